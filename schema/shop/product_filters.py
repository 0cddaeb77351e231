"""Arguments that select products and categories: by id or slug, or with a filter."""

from decimal import Decimal
from typing import Annotated, TypeVar

import strawberry
from django.db.models import Model, QuerySet

from domain.base.errors import NotFound
from domain.catalog import browse, drafts
from schema.base import ids
from schema.base.connections import MAX_PAGE
from schema.base.context import Info
from schema.base.errors import bad_user_input
from storefront import models

AnyModel = TypeVar("AnyModel", bound=Model)

Id = Annotated[strawberry.ID | None, strawberry.argument(description="The object's `id`.")]
Slug = Annotated[str | None, strawberry.argument(description="The object's `slug`.")]


def by_id_or_slug(rows: QuerySet[AnyModel], type_name: str, id: str | None, slug: str | None) -> QuerySet[AnyModel]:
    if id is None and slug is None:
        raise bad_user_input("Either `id` or `slug` is required.")
    if slug is not None:
        rows = rows.filter(slug=slug)
    try:
        return rows if id is None else rows.filter(pk=ids.number(id, type_name))
    except NotFound:
        return rows.none()


@strawberry.input(description="A range of numbers. Both bounds are included.")
class DecimalRange:
    gte: Decimal | None = strawberry.field(default=None, description="This number or more.")
    lte: Decimal | None = strawberry.field(default=None, description="This number or less.")


@strawberry.input(description="An option and the accepted values.")
class OptionFilter:
    name: str = strawberry.field(description='The name of the option: "Size".')
    values: list[str] = strawberry.field(
        description='The accepted values, such as "S" and "M". One of them has to match.'
    )


@strawberry.input(
    description="Products have to match every field that is given. In a list, one of the values has to match. Empty "
    "lists are ignored, except for `ids`."
)
class ProductFilter:
    category_id: strawberry.ID | None = strawberry.field(
        default=None, description="Products in this category or below it."
    )
    category_slug: str | None = strawberry.field(default=None, description="Products in this category or below it.")
    vendor: list[str] | None = strawberry.field(default=None, description="One of these vendors.")
    tags: list[str] | None = strawberry.field(default=None, description="At least one of these tags.")
    product_type: list[str] | None = strawberry.field(default=None, description="One of these product types.")
    price: DecimalRange | None = strawberry.field(
        default=None,
        description="The price of the cheapest variant, converted to the currency of `@inContext`. Prices that are "
        "set in that currency are not considered.",
    )
    available: bool | None = strawberry.field(default=None, description="Whether at least one variant can be bought.")
    options: list[OptionFilter] | None = strawberry.field(
        default=None, description="Option values that one variant has to have together."
    )
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="At most 100 `Product.id`. An empty list matches no products."
    )


def decode_filter(filter: ProductFilter, info: Info) -> browse.ProductFilter:
    options = [option for option in filter.options or () if option.values]
    if len({option.name for option in options}) > drafts.MAX_OPTIONS:
        raise bad_user_input(f"`options` can have at most {drafts.MAX_OPTIONS} names.")
    values = [filter.vendor, filter.product_type, filter.tags, filter.ids, *(option.values for option in options)]
    if any(len(each or ()) > MAX_PAGE for each in values):
        raise bad_user_input(f"A field of the filter can have at most {MAX_PAGE} values.")
    price, exchange = filter.price or DecimalRange(), info.context.exchange
    return browse.ProductFilter(
        categories=_categories(filter),
        vendors=tuple(filter.vendor or ()),
        product_types=tuple(filter.product_type or ()),
        tags=tuple(filter.tags or ()),
        price_gte=None if price.gte is None else exchange.lower_bound(price.gte),
        price_lte=None if price.lte is None else exchange.upper_bound(price.lte),
        available=filter.available,
        options=tuple(browse.OptionFilter(option.name, tuple(option.values)) for option in options),
        ids=None if filter.ids is None else tuple(_product_keys(filter.ids)),
    )


def _categories(filter: ProductFilter) -> QuerySet[models.Category] | None:
    if filter.category_id is None and filter.category_slug is None:
        return None
    return by_id_or_slug(models.Category.objects.all(), "Category", filter.category_id, filter.category_slug)


def _product_keys(product_ids: list[strawberry.ID]) -> list[int]:
    """The primary keys of valid product ids. Other ids match nothing."""
    keys = []
    for product_id in product_ids:
        try:
            keys.append(ids.number(product_id, "Product"))
        except NotFound:
            continue
    return keys
