"""The schema: merges the Query and Mutation classes of all modules."""

from decimal import Decimal
from typing import Annotated, Any

import strawberry
from django.core.files.uploadedfile import TemporaryUploadedFile
from strawberry.directive import DirectiveLocation, DirectiveValue
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from schema.base.errors import user_error_types
from schema.base.scalars import DECIMAL, UPLOAD
from schema.shop.accounts import AccountMutation, AccountQuery
from schema.shop.cart import CartMutation, CartQuery
from schema.shop.catalog import CatalogQuery
from schema.shop.orders import OrderMutation, OrderQuery
from schema.shop.payments import PaymentMutation
from schema.shop.sessions import SessionMutation
from schema.shop.shop import ShopQuery
from schema.staff.categories import CategoryMutation
from schema.staff.change_log import ChangeQuery
from schema.staff.check_books import AuditQuery
from schema.staff.currency import CurrencyMutation, CurrencyQuery
from schema.staff.customers import CustomerQuery
from schema.staff.fulfilment import FulfilmentMutation
from schema.staff.images import ImageMutation
from schema.staff.imports import ImportMutation, ImportQuery
from schema.staff.products import ProductMutation, ProductQuery
from schema.staff.promotions import PromotionMutation, PromotionQuery
from schema.staff.refunds import RefundMutation
from schema.staff.reports import ReportQuery
from schema.staff.shipping import ShippingMutation, ShippingQuery
from schema.staff.stock import StockMutation, StockQuery
from schema.staff.tax import TaxMutation, TaxQuery

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
        OrderMutation,
        PaymentMutation,
        RefundMutation,
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
    description="The currency in which the operation shows catalogue prices, and of a cart that it creates.",
)
def in_context(
    value: DirectiveValue[Any],
    currency: Annotated[  # noqa: ARG001 (it declares the argument)
        str | None, strawberry.argument(description="One of `shop.currencies`; default: `shop.currency`.")
    ] = None,
) -> Any:
    """`schema.serving.execution` reads it from the operation before execution."""
    return value


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    directives=[in_context],
    types=user_error_types(),
    config=StrawberryConfig(scalar_map={Decimal: DECIMAL, TemporaryUploadedFile: UPLOAD}),
)
# The same as graphql-core has it: what parses, validates and executes.
graphql_schema = schema._schema
