"""Facets: how many products each value of a filter would leave, shown beside a list of products."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from django.core.exceptions import EmptyResultSet

from domain.base import replicas
from domain.catalog import search
from domain.catalog.browse import ProductFilter, browse, matching_variants
from domain.catalog.drafts import MAX_OPTIONS
from domain.catalog.search import SearchQuery
from storefront.models import Product, ProductVariant, Tag

MAX_VALUES = 100
# At most this many products are counted; for a search that matches too many to rank, SAMPLE_SIZE. Counts of longer
# lists are therefore those of a sample.
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
    """A filter and its values. `name` is the option's name for OPTION, else a label of the kind."""

    kind: FacetKind
    name: str
    values: list[FacetValue]


def count(*, filter: ProductFilter, query: SearchQuery | None, now: datetime) -> list[Facet]:
    """Counts each facet among the products that match the *other* filters, so that a choice can be widened.

    Returns at most MAX_VALUES values for each facet, most frequent first, and no facets without values.
    """
    counts = _Counts(query, now)
    try:
        counts.column(FacetKind.VENDOR, "Vendor", "vendor", replace(filter, vendors=()))
        counts.column(FacetKind.PRODUCT_TYPE, "Type", "product_type", replace(filter, product_types=()))
        counts.tags(replace(filter, tags=()))
        chosen = sorted({option.name for option in filter.options})
        counts.options(filter, where=f"NOT IN ({', '.join(['%s'] * len(chosen))})" if chosen else "<> ''", names=chosen)
        for name in chosen:
            others = tuple(option for option in filter.options if option.name != name)
            counts.options(replace(filter, options=others), where="= %s", names=[name])
    except EmptyResultSet:  # Django raises it for a filter that can match nothing.
        return []
    return list(counts.facets())


class _Counts:
    """Collects all counts into one statement. Each set of products is selected once, for all facets that count it."""

    def __init__(self, query: SearchQuery | None, now: datetime) -> None:
        self._query, self._now = query, now
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
        """Counts the options whose name matches `where`, among the variants that match the filter."""
        variants: str = ""
        params: Sequence[Any] = ()
        if filter.options or filter.available is not None:
            sql, params = matching_variants(filter=filter).values("pk").query.sql_with_params()
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
        """The SQL name of the set of products that match the filter."""
        name = f"found{list(self._sets).index(filter) if filter in self._sets else len(self._sets)}"
        if filter not in self._sets:
            query, most = self._query, MAX_COUNTED
            if query and not query.is_ranked:
                query, most = query.sample if filter == ProductFilter() else query, search.SAMPLE_SIZE
            products = browse(filter=filter, query=query, now=self._now).order_by().values(*_COLUMNS)
            sql, params = products[:most].query.sql_with_params()
            self._sets[filter] = f"{name} ({', '.join(_COLUMNS)}) AS ({sql})"
            self._set_params += params
        return name

    def _count(self, sql: str, *params: Any) -> None:
        self._counts.append(sql)
        self._params += params

    def facets(self) -> Iterator[Facet]:
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
