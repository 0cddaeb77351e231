"""How goods are chosen: one by its id or its slug, many by a filter."""

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

Row = TypeVar("Row", bound=Model)

Id = Annotated[strawberry.ID | None, strawberry.argument(description="Its `id`.")]
Slug = Annotated[str | None, strawberry.argument(description="Its `slug`.")]


def one(rows: QuerySet[Row], type_name: str, id: str | None, slug: str | None) -> QuerySet[Row]:
    if id is None and slug is None:
        raise bad_user_input("Give `id` or `slug`.")
    if slug is not None:
        rows = rows.filter(slug=slug)
    try:
        return rows if id is None else rows.filter(pk=ids.number(id, type_name))
    except NotFound:
        return rows.none()


@strawberry.input(description="Bounds, each included.")
class DecimalRange:
    gte: Decimal | None = strawberry.field(default=None, description="At least.")
    lte: Decimal | None = strawberry.field(default=None, description="At most.")


@strawberry.input(description="An option with the values that will do.")
class OptionFilter:
    name: str = strawberry.field(description='"Size".')
    values: list[str] = strawberry.field(description='"S", "M": either will do.')


@strawberry.input(
    description="Every part given has to hold; within one part, one of the values. Empty lists do not count."
)
class ProductFilter:
    category_id: strawberry.ID | None = strawberry.field(default=None, description="With all below it.")
    category_slug: str | None = strawberry.field(default=None, description="With all below it.")
    vendor: list[str] | None = strawberry.field(default=None, description="One of these.")
    tags: list[str] | None = strawberry.field(default=None, description="At least one of these.")
    product_type: list[str] | None = strawberry.field(default=None, description="One of these.")
    price: DecimalRange | None = strawberry.field(
        default=None,
        description="Of the lowest-priced variant, as converted to the currency of `@inContext`: a price that is "
        "listed in it is not looked at.",
    )
    available: bool | None = strawberry.field(default=None, description="Whether one of its variants can be had.")
    options: list[OptionFilter] | None = strawberry.field(default=None, description="For one and the same variant.")
    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="At most 100; of an empty list, none.")


def decoded(filter: ProductFilter, info: Info) -> browse.ProductFilter:
    options = [option for option in filter.options or () if option.values]
    if len({option.name for option in options}) > drafts.MAX_OPTIONS:
        raise bad_user_input(f"At most {drafts.MAX_OPTIONS} `options`.")
    values = [filter.vendor, filter.product_type, filter.tags, filter.ids, *(option.values for option in options)]
    if any(len(each or ()) > MAX_PAGE for each in values):
        raise bad_user_input(f"At most {MAX_PAGE} values in one part of a filter.")
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
        ids=None if filter.ids is None else tuple(_known(filter.ids)),
    )


def _categories(filter: ProductFilter) -> QuerySet[models.Category] | None:
    if filter.category_id is None and filter.category_slug is None:
        return None
    return one(models.Category.objects.all(), "Category", filter.category_id, filter.category_slug)


def _known(product_ids: list[strawberry.ID]) -> list[int]:
    """The keys of those that are ids of products; the others match nothing."""
    keys = []
    for product_id in product_ids:
        try:
            keys.append(ids.number(product_id, "Product"))
        except NotFound:
            continue
    return keys
