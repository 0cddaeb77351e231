"""How many products each further choice would leave: the counts beside a list of products."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from django.db.models import Count, F, QuerySet

from domain.catalog import ProductFilter, browse, variants_wanted
from domain.drafts import MAX_OPTIONS
from domain.search import Question
from storefront.models import Product

MAX_VALUES = 100


class FacetKind(Enum):
    VENDOR = "VENDOR"
    PRODUCT_TYPE = "PRODUCT_TYPE"
    TAG = "TAG"
    OPTION = "OPTION"


@dataclass(frozen=True, slots=True)
class FacetValue:
    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow the list further. `name` is the option's name for OPTION, else the kind's own."""

    kind: FacetKind
    name: str
    values: list[FacetValue]


def count(*, filter: ProductFilter, question: Question | None, now: datetime) -> list[Facet]:
    """Counts each facet among the products that the *other* filters leave, so that a choice can be widened.

    At most MAX_VALUES values a facet, the most frequent first; facets without a value are left out.
    """

    def products(**without: Any) -> QuerySet[Product]:
        return browse(filter=replace(filter, **without), question=question, now=now)

    tagged = Product.tags.through.objects.filter(product__in=products(tags=()).values("pk"))
    facets = [
        Facet(FacetKind.VENDOR, "Vendor", _values(products(vendors=()), "vendor")),
        Facet(FacetKind.PRODUCT_TYPE, "Type", _values(products(product_types=()), "product_type")),
        Facet(FacetKind.TAG, "Tag", _values(tagged, "tag__name")),
    ]
    chosen = {option.name for option in filter.options}
    facets += [facet for facet in _options(products(), filter) if facet.name not in chosen]
    for name in sorted(chosen):
        others = replace(filter, options=tuple(option for option in filter.options if option.name != name))
        facets += [facet for facet in _options(products(options=others.options), others) if facet.name == name]
    return [facet for facet in facets if facet.values]


def _values(rows: QuerySet[Any], column: str) -> list[FacetValue]:
    counted = (
        rows.order_by()
        .exclude(**{column: ""})
        .values_list(column)
        .annotate(products=Count("pk"))
        .order_by("-products", column)
    )
    return [FacetValue(value, products) for value, products in counted[:MAX_VALUES]]


def _options(products: QuerySet[Product], filter: ProductFilter) -> Iterator[Facet]:
    of_each_number = [
        variants_wanted(filter)
        .filter(product__in=products.values("pk"))
        .exclude(**{f"option{number}": ""})
        .order_by()
        .values_list(F(f"product__option{number}_name"), F(f"option{number}"))
        .annotate(products=Count("product", distinct=True))
        for number in range(1, MAX_OPTIONS + 1)
    ]
    counts: dict[str, dict[str, int]] = {}
    for name, value, number in of_each_number[0].union(*of_each_number[1:], all=True):
        values = counts.setdefault(name, {})
        values[value] = values.get(value, 0) + number
    for name, values in sorted(counts.items()):
        most = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:MAX_VALUES]
        yield Facet(FacetKind.OPTION, name, [FacetValue(value, number) for value, number in most])
