"""The schema: one Query and one Mutation class a context, merged."""

from decimal import Decimal

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from schema.accounts import AccountMutation, AccountQuery
from schema.cart import CartMutation, CartQuery
from schema.catalog import CatalogQuery
from schema.checkout import CheckoutMutation
from schema.errors import (
    AddressIncomplete,
    CartLocked,
    DiscountRefused,
    InsufficientStock,
    InvalidInput,
    NotForSale,
    PriceChanged,
    RateLimited,
    ShippingUnavailable,
    TotalChanged,
)
from schema.orders import OrderMutation, OrderQuery
from schema.payments import PaymentMutation
from schema.scalars import DECIMAL
from schema.sessions import SessionMutation
from schema.shop import ShopQuery

Query = merge_types("Query", (ShopQuery, CatalogQuery, CartQuery, OrderQuery, AccountQuery))
Mutation = merge_types(
    "Mutation", (SessionMutation, AccountMutation, CartMutation, CheckoutMutation, OrderMutation, PaymentMutation)
)

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    types=[
        InvalidInput,
        InsufficientStock,
        NotForSale,
        PriceChanged,
        AddressIncomplete,
        ShippingUnavailable,
        DiscountRefused,
        TotalChanged,
        CartLocked,
        RateLimited,
    ],
    config=StrawberryConfig(scalar_map={Decimal: DECIMAL}),
)
