"""The catalogue as buyers see it. How products are written is in `domain.catalog.products`."""

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
    """What a buyer narrows a list by. Values within one part are alternatives; parts all hold.

    `categories` count with all that hang below them. `options` and `available` hold for one and the same variant:
    size M in red, and there to be sold. Prices are in the shop's currency and compared with a product's lowest.
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


def browse(*, filter: ProductFilter, question: search.Question | None, now: datetime) -> db.QuerySet[Product]:
    """The published products that the filter lets through; with a question, those that match, with a `score`."""
    products = Product.objects.published(now=now).filter(*_conditions(filter))
    return question.among(products) if question else products


class ProductState(Enum):
    DRAFT = "DRAFT"
    SCHEDULED = "SCHEDULED"
    PUBLISHED = "PUBLISHED"
    ARCHIVED = "ARCHIVED"


def state(*, product: Product, now: datetime) -> ProductState:
    """Whether buyers see a product, and why not."""
    if product.archived_at is not None:
        return ProductState.ARCHIVED
    if product.published_at is None:
        return ProductState.DRAFT
    return ProductState.PUBLISHED if product.published_at <= now else ProductState.SCHEDULED


def of_staff(
    *, filter: ProductFilter, states: Collection[ProductState], question: search.Question | None, now: datetime
) -> db.QuerySet[Product]:
    """The products in one of these states, as `browse` finds those that are published."""
    conditions = {
        ProductState.DRAFT: db.Q(published_at=None, archived_at=None),
        ProductState.SCHEDULED: db.Q(published_at__gt=now),
        ProductState.PUBLISHED: db.Q(published_at__lte=now),
        ProductState.ARCHIVED: db.Q(archived_at__isnull=False),
    }
    any_of = reduce(or_, (conditions[each] for each in states), db.Q(pk__in=()))
    products = Product.objects.filter(any_of, *_conditions(filter))
    return question.among(products) if question else products


class CategoryTree:
    """Every category of the shop, read in one statement: docs/adr/0008."""

    def __init__(self) -> None:
        self._by_key: dict[int, Category] = {}
        self._children: dict[int | None, list[Category]] = {}
        for category in Category.objects.all():
            self._by_key[category.pk] = category
            self._children.setdefault(category.parent_id, []).append(category)

    def children(self, category: Category | None) -> list[Category]:
        """In the shop's order; the roots, for None."""
        return self._children.get(category.pk if category else None, [])

    def parent(self, category: Category) -> Category | None:
        return None if category.parent_id is None else self._by_key.get(category.parent_id)

    def ancestors(self, category: Category) -> list[Category]:
        """From the root down to the parent."""
        path: list[Category] = []
        above = self.parent(category)
        while above is not None and above not in path:
            path.insert(0, above)
            above = self.parent(above)
        return path

    def with_all_below(self, category: Category) -> list[Category]:
        found = [category]
        for each in found:  # It grows while it is walked.
            found += [child for child in self.children(each) if child not in found]
        return found


def _conditions(wanted: ProductFilter) -> Iterable[db.Q]:
    if wanted.categories is not None:
        yield _hangs_below(wanted.categories)
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


def _hangs_below(categories: db.QuerySet[Category]) -> db.Q:
    """Hangs on one of these or on one of all that are below them, without reading the rest of the tree."""
    try:
        top, params = categories.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return db.Q(pk__in=())
    below = f"""WITH RECURSIVE below (id) AS (SELECT * FROM ({top}) AS top UNION
        SELECT c.id FROM storefront_category c JOIN below ON c.parent_id = below.id) SELECT id FROM below"""  # noqa: S608
    # As an array, PostgreSQL finds them once and knows then how few they are.
    within = f"= ANY (ARRAY ({below}))" if connection.vendor == "postgresql" else f"IN ({below})"
    hangs = RawSQL(f"category_id {within}", params, output_field=db.BooleanField())  # noqa: S611
    return db.Q(pk__in=Product.categories.through.objects.filter(hangs).values("product_id"))


def variants_wanted(*, wanted: ProductFilter) -> db.QuerySet[ProductVariant]:
    """The variants that have every option that is wanted, and can be had if that is."""
    variants = ProductVariant.objects.filter(is_withdrawn=False)
    for option in wanted.options:
        variants = variants.filter(
            db.Q(product__option1_name=option.name, option1__in=option.values)
            | db.Q(product__option2_name=option.name, option2__in=option.values)
            | db.Q(product__option3_name=option.name, option3__in=option.values)
        )
    if wanted.available:
        variants = variants.filter(db.Exists(Stock.objects.filter(stock.SELLABLE, variant=db.OuterRef("pk"))))
    return variants


def _has_variant(wanted: ProductFilter) -> db.Q:
    def among(variants: db.QuerySet[ProductVariant]) -> db.Q:
        return db.Q(db.Exists(variants.filter(product=db.OuterRef("pk"))))

    found = among(variants_wanted(wanted=wanted))
    # Not available: it has the options, and none of those variants can be had.
    return (
        found & ~among(variants_wanted(wanted=replace(wanted, available=True))) if wanted.available is False else found
    )
