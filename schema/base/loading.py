"""Loads rows with everything that a request selects of them, in a number of statements that does not grow with the
number of rows."""

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, Generic, TypeVar, cast

from django.db.models import Model, QuerySet, prefetch_related_objects
from graphql import (
    BREAK,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    Node,
    Visitor,
    get_named_type,
    visit,
)
from graphql.execution.collect_fields import collect_sub_fields
from graphql.language import FieldNode
from strawberry.extensions.field_extension import FieldExtension
from strawberry_django.optimizer import OptimizerConfig, optimize

from schema.base.context import Info
from schema.base.rows import Plan

AnyModel = TypeVar("AnyModel", bound=Model)

# Complete rows: a column that a resolver needs, but that is not selected, would cost one statement per row.
_CONFIG = OptimizerConfig(enable_only=False)
# Optimized querysets that are kept per document.
_MAX_OPTIMIZED = 50


def load(rows: QuerySet[AnyModel], info: Info) -> QuerySet[AnyModel]:
    """For a field that returns these rows."""
    plan: Plan | None = getattr(info, "plan", None)
    if plan:  # In a compiled read: docs/performance.md.
        return plan.over(rows)
    return optimize(rows, info, config=_CONFIG)


def load_nodes(rows: QuerySet[AnyModel], info: Info) -> QuerySet[AnyModel]:
    """For a field that returns a connection of these rows: loads what is selected below `nodes` and `edges.node`."""
    plan: Plan | None = getattr(info, "plan", None)
    if plan:
        return plan.over(rows)
    raw = info._raw_info
    connection = cast("GraphQLObjectType", get_named_type(raw.return_type))
    type_, nodes = nodes_of(raw.schema, raw.fragments, raw.variable_values, connection, raw.field_nodes)
    return optimize(rows, raw._replace(field_nodes=nodes, return_type=type_), config=_CONFIG)


def complete(row: AnyModel, info: Info) -> AnyModel:
    """For a field that returns a row which is loaded already: reads what is selected of it and not loaded yet."""
    optimized = _optimized(type(row), info)
    if optimized.query.annotations:  # Annotations can only be read together with the row.
        return optimized.get(pk=row.pk)
    _complete([row], optimized)
    return row


def _optimized(model: type[AnyModel], info: Info) -> QuerySet[AnyModel]:
    """A queryset that reads what is selected of the model. It is kept per document and currency, unless the selection
    depends on variables."""
    raw, cache = info._raw_info, info.context.queryset_cache
    key = (info.context.exchange, *map(id, raw.field_nodes))
    optimized: QuerySet[AnyModel] | None = cache.get(key)
    if optimized is None:
        optimized = optimize(model._default_manager.all(), info, config=_CONFIG)
        if not _mentions_variables([*raw.field_nodes, *raw.fragments.values()]):
            if len(cache) >= _MAX_OPTIMIZED:
                cache.clear()
            cache[key] = optimized
    return optimized.all()


class _Variables(Visitor):
    found = False

    def enter_variable(self, *_: Any) -> Any:
        self.found = True
        return BREAK


def _mentions_variables(nodes: Iterable[Node]) -> bool:
    variables = _Variables()
    for node in nodes:
        visit(node, variables)
    return variables.found


def _complete(rows: list[Any], optimized: QuerySet[Any]) -> None:
    prefetch_related_objects(rows, *_paths(optimized.query.select_related))
    for lookup in optimized._prefetch_related_lookups:  # type: ignore[attr-defined]
        below = getattr(lookup, "queryset", None)
        if below is not None and all(_has(row, lookup.prefetch_to) for row in rows):
            _complete([each for row in rows for each in getattr(row, lookup.prefetch_to).all()], below)
        else:
            prefetch_related_objects(rows, lookup if below is None else _own(lookup))


def _own(lookup: Any) -> Any:
    """A copy of a shared prefetch, for this request only."""
    own = copy(lookup)
    own.queryset = lookup.queryset.all()
    return own


def _paths(related: Any, above: str = "") -> list[str]:
    """The `select_related` of a query as lookups for prefetching, which does not read loaded rows again."""
    if not isinstance(related, dict):
        return []
    return [path for name, below in related.items() for path in _paths(below, f"{above}{name}__") or [above + name]]


def _has(row: Any, name: str) -> bool:
    return name in getattr(row, "_prefetched_objects_cache", ())


def load_as(rows: QuerySet[AnyModel], info: Info, type_name: str) -> QuerySet[AnyModel]:
    """For a field that returns an interface: loads the rows as the named type, which implements it."""
    concrete = cast("GraphQLObjectType", info._raw_info.schema.type_map[type_name])
    return optimize(rows, info._raw_info._replace(return_type=concrete), config=_CONFIG)


class Without(FieldExtension):
    """Excludes rows whose flag is set, after they are loaded."""

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **given: Any) -> Any:
        return self.kept(next_(source, info, **given))

    def kept(self, rows: Iterable[Any]) -> list[Any]:
        return [row for row in rows if not getattr(row, self.flag)]


class Together(Generic[AnyModel]):
    """Rows that the items of a list refer to, one each: loaded for all items when the first one needs its row."""

    def __init__(self, rows: QuerySet[AnyModel]) -> None:
        self._rows = rows
        self._loaded: dict[str | int, dict[Any, AnyModel]] = {}

    def get(self, key: Any, info: Info) -> AnyModel:
        alias = info.path.key  # Each alias may select other fields.
        if alias not in self._loaded:
            self._loaded[alias] = {row.pk: row for row in load(self._rows, info)}
        return self._loaded[alias][key]


def nodes_of(
    schema: GraphQLSchema,
    fragments: dict[str, FragmentDefinitionNode],
    variables: dict[str, Any],
    connection: GraphQLObjectType,
    field_nodes: list[FieldNode],
) -> tuple[Any, list[FieldNode]]:
    """The type of a connection's nodes, and what is selected of them below `nodes` and `edges.node`."""
    edge = cast("GraphQLObjectType", get_named_type(connection.fields["edges"].type))

    def below(parent: GraphQLObjectType, fields: list[FieldNode], name: str) -> list[FieldNode]:
        selected = collect_sub_fields(schema, fragments, variables, parent, fields)
        return [node for nodes in selected.values() for node in nodes if node.name.value == name]

    edges = below(connection, field_nodes, "edges")
    nodes = below(connection, field_nodes, "nodes") + below(edge, edges, "node")
    return connection.fields["nodes"].type, nodes
