"""The schema: one Query and one Mutation class a context, merged."""

from decimal import Decimal
from typing import Annotated, Any

import strawberry
from django.core.files.uploadedfile import TemporaryUploadedFile
from strawberry.directive import DirectiveLocation, DirectiveValue
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from schema.accounts import AccountMutation, AccountQuery
from schema.audit import AuditQuery
from schema.cart import CartMutation, CartQuery
from schema.catalog import CatalogQuery
from schema.categories import CategoryMutation
from schema.changes import ChangeQuery
from schema.checkout import CheckoutMutation
from schema.currency import CurrencyMutation, CurrencyQuery
from schema.customers import CustomerQuery
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
    StaleVersion,
    TotalChanged,
)
from schema.fulfilment import FulfilmentMutation
from schema.images import ImageMutation
from schema.imports import ImportMutation, ImportQuery
from schema.orders import OrderMutation, OrderQuery
from schema.payments import PaymentMutation
from schema.products import ProductMutation, ProductQuery
from schema.promotions import PromotionMutation, PromotionQuery
from schema.reports import ReportQuery
from schema.scalars import DECIMAL, UPLOAD
from schema.sessions import SessionMutation
from schema.shipping import ShippingMutation, ShippingQuery
from schema.shop import ShopQuery
from schema.stock import StockMutation, StockQuery
from schema.tax import TaxMutation, TaxQuery

Query = merge_types(
    "Query",
    (
        ShopQuery,
        CatalogQuery,
        CartQuery,
        OrderQuery,
        AccountQuery,
        ShippingQuery,
        TaxQuery,
        PromotionQuery,
        CurrencyQuery,
        AuditQuery,
        ProductQuery,
        StockQuery,
        CustomerQuery,
        ReportQuery,
        ChangeQuery,
        ImportQuery,
    ),
)
Mutation = merge_types(
    "Mutation",
    (
        SessionMutation,
        AccountMutation,
        CartMutation,
        CheckoutMutation,
        OrderMutation,
        PaymentMutation,
        FulfilmentMutation,
        ImageMutation,
        ShippingMutation,
        TaxMutation,
        PromotionMutation,
        CurrencyMutation,
        ProductMutation,
        CategoryMutation,
        StockMutation,
        ImportMutation,
    ),
)


@strawberry.directive(
    locations=[DirectiveLocation.QUERY, DirectiveLocation.MUTATION],
    description="Which currency the operation's prices of the catalogue are in, and a cart that it creates.",
)
def in_context(
    value: DirectiveValue[Any],
    currency: Annotated[  # noqa: ARG001 (its place in the schema)
        str | None, strawberry.argument(description="One of `shop.currencies`; without it, `shop.currency`.")
    ] = None,
) -> Any:
    """Read from the operation by `schema.execution`, before any field is."""
    return value


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    directives=[in_context],
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
        StaleVersion,
        RateLimited,
    ],
    config=StrawberryConfig(scalar_map={Decimal: DECIMAL, TemporaryUploadedFile: UPLOAD}),
)
