"""Reads the catalogue: lists of products, their filters, and the category tree."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import reduce
from operator import or_

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db import models as db
from django.db.models.expressions import RawSQL

from domain.catalog import search, stock
from storefront.models import Category, Product, ProductVariant, Stock


class Sort(Enum):
    RELEVANCE = "RELEVANCE"
    NEWEST = "NEWEST"
    PRICE_ASC = "PRICE_ASC"
    PRICE_DESC = "PRICE_DESC"
    TITLE = "TITLE"


@dataclass(frozen=True, slots=True)
class OptionFilter:
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """A filter of a list of products. Values within one field are alternatives (OR); all fields must match (AND).

    `categories` include their descendants. One and the same variant must match `options` and `available`: size M, in
    red, and available. Prices are in the shop's currency and compared with a product's lowest price.
    """

    categories: db.QuerySet[Category] | None = None
    vendors: tuple[str, ...] = ()
    product_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    price_gte: Decimal | None = None
    price_lte: Decimal | None = None
    available: bool | None = None
    options: tuple[OptionFilter, ...] = ()
    ids: tuple[int, ...] | None = None


def browse(*, filter: ProductFilter, query: search.SearchQuery | None, now: datetime) -> db.QuerySet[Product]:
    """The published products that match the filter. With a query, those that match it too, each with a `score`."""
    products = Product.objects.published(now=now).filter(*_conditions(filter))
    return query.filter(products) if query else products


class ProductState(Enum):
    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    PUBLISHED = "PUBLISHED"
    ARCHIVED = "ARCHIVED"


def state(*, product: Product, now: datetime) -> ProductState:
    """The product's publication state at `now`."""
    if product.archived_at is not None:
        return ProductState.ARCHIVED
    if product.published_at is None:
        return ProductState.DRAFT
    return ProductState.PUBLISHED if product.published_at <= now else ProductState.SCHEDULED


def staff_products(
    *, filter: ProductFilter, states: Collection[ProductState], query: search.SearchQuery | None, now: datetime
) -> db.QuerySet[Product]:
    """Like `browse`, for products in any of these states instead of published ones."""
    conditions = {
        ProductState.DRAFT: db.Q(published_at=None, archived_at=None),
        ProductState.SCHEDULED: db.Q(published_at__gt=now),
        ProductState.PUBLISHED: db.Q(published_at__lte=now),
        ProductState.ARCHIVED: db.Q(archived_at__isnull=False),
    }
    any_of = reduce(or_, (conditions[each] for each in states), db.Q(pk__in=()))
    products = Product.objects.filter(any_of, *_conditions(filter))
    return query.filter(products) if query else products


class CategoryTree:
    """All categories of the shop, read with one statement (docs/adr/0008)."""

    def __init__(self) -> None:
        self._by_key: dict[int, Category] = {}
        self._children: dict[int | None, list[Category]] = {}
        for category in Category.objects.all():
            self._by_key[category.pk] = category
            self._children.setdefault(category.parent_id, []).append(category)

    def children(self, category: Category | None) -> list[Category]:
        """The category's children in the shop's order; the roots for None."""
        return self._children.get(category.pk if category else None, [])

    def parent(self, category: Category) -> Category | None:
        return None if category.parent_id is None else self._by_key.get(category.parent_id)

    def ancestors(self, category: Category) -> list[Category]:
        """The categories above this one, from the root down to the parent."""
        path: list[Category] = []
        above = self.parent(category)
        while above is not None and above not in path:
            path.insert(0, above)
            above = self.parent(above)
        return path

    def with_descendants(self, category: Category) -> list[Category]:
        """The category and all categories below it."""
        found = [category]
        for each in found:  # The loop visits what it appends.
            found += [child for child in self.children(each) if child not in found]
        return found


def _conditions(wanted: ProductFilter) -> Iterable[db.Q]:
    if wanted.categories is not None:
        yield _in_category_trees(wanted.categories)
    if wanted.vendors:
        yield db.Q(vendor__in=wanted.vendors)
    if wanted.product_types:
        yield db.Q(product_type__in=wanted.product_types)
    if wanted.tags:
        tagged = Product.tags.through.objects.filter(tag__name__in=wanted.tags)
        yield db.Q(pk__in=tagged.values("product_id"))
    if wanted.price_gte is not None:
        yield db.Q(min_price__gte=wanted.price_gte)
    if wanted.price_lte is not None:
        yield db.Q(min_price__lte=wanted.price_lte)
    if wanted.ids is not None:
        yield db.Q(pk__in=wanted.ids)
    if wanted.options or wanted.available is not None:
        yield _has_variant(wanted)


def _in_category_trees(categories: db.QuerySet[Category]) -> db.Q:
    """Matches products in these categories or their descendants, without reading the rest of the tree."""
    try:
        top, params = categories.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return db.Q(pk__in=())
    below = f"""WITH RECURSIVE below (id) AS (SELECT * FROM ({top}) AS top UNION
        SELECT c.id FROM storefront_category c JOIN below ON c.parent_id = below.id) SELECT id FROM below"""  # noqa: S608
    # With an array, PostgreSQL evaluates the subquery once and estimates the number of categories better.
    within = f"= ANY (ARRAY ({below}))" if connection.vendor == "postgresql" else f"IN ({below})"
    hangs = RawSQL(f"category_id {within}", params, output_field=db.BooleanField())  # noqa: S611
    return db.Q(pk__in=Product.categories.through.objects.filter(hangs).values("product_id"))


def matching_variants(*, filter: ProductFilter) -> db.QuerySet[ProductVariant]:
    """The variants on sale that have all of the filter's options, and can be bought if it asks for available ones."""
    variants = ProductVariant.objects.filter(is_withdrawn=False)
    for option in filter.options:
        variants = variants.filter(
            db.Q(product__option1_name=option.name, option1__in=option.values)
            | db.Q(product__option2_name=option.name, option2__in=option.values)
            | db.Q(product__option3_name=option.name, option3__in=option.values)
        )
    if filter.available:
        variants = variants.filter(db.Exists(Stock.objects.filter(stock.SELLABLE, variant=db.OuterRef("pk"))))
    return variants


def _has_variant(wanted: ProductFilter) -> db.Q:
    def among(variants: db.QuerySet[ProductVariant]) -> db.Q:
        return db.Q(db.Exists(variants.filter(product=db.OuterRef("pk"))))

    found = among(matching_variants(filter=wanted))
    # available=False: variants with these options exist, and none of them can be bought.
    return (
        found & ~among(matching_variants(filter=replace(wanted, available=True)))
        if wanted.available is False
        else found
    )
