"""How many products each further choice would leave: the counts beside a list of products."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from django.core.exceptions import EmptyResultSet

from domain.base import replicas
from domain.catalog import search
from domain.catalog.browse import ProductFilter, browse, variants_wanted
from domain.catalog.drafts import MAX_OPTIONS
from domain.catalog.search import Question
from storefront.models import Product, ProductVariant, Tag

MAX_VALUES = 100
# Products that are counted. Where a list is longer, the counts say how they are spread over so many of them; SOME, of
# a search that too many match.
MAX_COUNTED = 10_000

_COLUMNS = ["id", "vendor", "product_type", *(f"option{number}_name" for number in range(1, MAX_OPTIONS + 1))]
_VARIANT, _TAG = (model._meta.db_table for model in (ProductVariant, Tag))
_TAGGED = Product.tags.through._meta.db_table


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
    counts = _Counts(question, now)
    try:
        counts.column(FacetKind.VENDOR, "Vendor", "vendor", replace(filter, vendors=()))
        counts.column(FacetKind.PRODUCT_TYPE, "Type", "product_type", replace(filter, product_types=()))
        counts.tags(replace(filter, tags=()))
        chosen = sorted({option.name for option in filter.options})
        counts.options(filter, where=f"NOT IN ({', '.join(['%s'] * len(chosen))})" if chosen else "<> ''", names=chosen)
        for name in chosen:
            others = tuple(option for option in filter.options if option.name != name)
            counts.options(replace(filter, options=others), where="= %s", names=[name])
    except EmptyResultSet:  # A part of the filter that nothing can match, and that no facet is counted without.
        return []
    return list(counts.told())


class _Counts:
    """All counts in one statement, which finds each set of products once, however many facets are counted in it."""

    def __init__(self, question: Question | None, now: datetime) -> None:
        self._question, self._now = question, now
        self._sets: dict[ProductFilter, str] = {}
        self._set_params: list[Any] = []
        self._counts: list[str] = []
        self._params: list[Any] = []

    def column(self, kind: FacetKind, name: str, column: str, filter: ProductFilter) -> None:
        self._count(
            f"""SELECT '{kind.name}', '{name}', p.{column}, count(*) FROM {self._among(filter)} p
            WHERE p.{column} <> '' GROUP BY p.{column}"""
        )

    def tags(self, filter: ProductFilter) -> None:
        self._count(
            f"""SELECT '{FacetKind.TAG.name}', 'Tag', t.name, count(*) FROM {self._among(filter)} p
            JOIN {_TAGGED} h ON h.product_id = p.id JOIN {_TAG} t ON t.id = h.tag_id GROUP BY t.name"""
        )

    def options(self, filter: ProductFilter, *, where: str, names: Sequence[str]) -> None:
        """Counts the options whose names are so, among the variants that go with the filter."""
        variants: str = ""
        params: Sequence[Any] = ()
        if filter.options or filter.available is not None:
            sql, params = variants_wanted(wanted=filter).values("pk").query.sql_with_params()
            variants = f"AND v.id IN ({sql})"
        for number in range(1, MAX_OPTIONS + 1):
            name, value = f"p.option{number}_name", f"v.option{number}"
            self._count(
                f"""SELECT '{FacetKind.OPTION.name}', name, value, count(*) FROM (
                    SELECT DISTINCT p.id, {name} AS name, {value} AS value
                    FROM {self._among(filter)} p JOIN {_VARIANT} v ON v.product_id = p.id
                    WHERE {name} {where} AND {value} <> '' {variants}) AS had{number} GROUP BY name, value""",
                *names,
                *params,
            )

    def _among(self, filter: ProductFilter) -> str:
        """The name of the set of products that the filter leaves."""
        name = f"found{list(self._sets).index(filter) if filter in self._sets else len(self._sets)}"
        if filter not in self._sets:
            question, most = self._question, MAX_COUNTED
            if question and not question.is_ranked:
                question, most = question.sample if filter == ProductFilter() else question, search.SOME
            products = browse(filter=filter, question=question, now=self._now).order_by().values(*_COLUMNS)
            sql, params = products[:most].query.sql_with_params()
            self._sets[filter] = f"{name} ({', '.join(_COLUMNS)}) AS ({sql})"
            self._set_params += params
        return name

    def _count(self, sql: str, *params: Any) -> None:
        self._counts.append(sql)
        self._params += params

    def told(self) -> Iterator[Facet]:
        with replicas.connection().cursor() as cursor:
            cursor.execute(
                f"WITH {', '.join(self._sets.values())} {' UNION ALL '.join(self._counts)}",
                [*self._set_params, *self._params],
            )
            rows = cursor.fetchall()
        counts: dict[tuple[FacetKind, str], dict[str, int]] = {}
        for kind, name, value, products in rows:
            values = counts.setdefault((FacetKind[kind], name), {})
            values[value] = values.get(value, 0) + products
        order = list(FacetKind)
        for kind, name in sorted(counts, key=lambda facet: (order.index(facet[0]), facet[1])):
            most = sorted(counts[kind, name].items(), key=lambda item: (-item[1], item[0]))[:MAX_VALUES]
            yield Facet(kind, name, [FacetValue(value, products) for value, products in most])
