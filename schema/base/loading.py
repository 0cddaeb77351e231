"""Rows with all that a request selects of them, in a number of statements that does not grow with the rows."""

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

Row = TypeVar("Row", bound=Model)

# Whole rows: a column that a resolver needs and nobody selected would cost a statement a row.
_CONFIG = OptimizerConfig(enable_only=False)
# Kept of a document.
_MAX_WANTED = 50


def load(rows: QuerySet[Row], info: Info) -> QuerySet[Row]:
    """For a field whose type is that of the rows."""
    plan: Plan | None = getattr(info, "plan", None)
    if plan:  # Of a compiled query: docs/performance.md.
        return plan.over(rows)
    return optimize(rows, info, config=_CONFIG)


def load_nodes(rows: QuerySet[Row], info: Info) -> QuerySet[Row]:
    """For a field whose type is a connection of the rows, by what is selected of `nodes` and `edges.node`."""
    plan: Plan | None = getattr(info, "plan", None)
    if plan:
        return plan.over(rows)
    raw = info._raw_info
    connection = cast("GraphQLObjectType", get_named_type(raw.return_type))
    type_, nodes = nodes_of(raw.schema, raw.fragments, raw.variable_values, connection, raw.field_nodes)
    return optimize(rows, raw._replace(field_nodes=nodes, return_type=type_), config=_CONFIG)


def complete(row: Row, info: Info) -> Row:
    """For a field whose type is that of a row which is there already: reads what is selected of it and was not read."""
    wanted = _wanted(type(row), info)
    if wanted.query.annotations:  # Which come with rows alone.
        return wanted.get(pk=row.pk)
    _complete([row], wanted)
    return row


def _wanted(model: type[Row], info: Info) -> QuerySet[Row]:
    """What is selected of rows of the model. Worked out once for each currency, unless variables may change it."""
    raw, known = info._raw_info, info.context.worked_out
    key = (info.context.exchange, *map(id, raw.field_nodes))
    wanted: QuerySet[Row] | None = known.get(key)
    if wanted is None:
        wanted = optimize(model._default_manager.all(), info, config=_CONFIG)
        if not _mentions_variables([*raw.field_nodes, *raw.fragments.values()]):
            if len(known) >= _MAX_WANTED:
                known.clear()
            known[key] = wanted
    return wanted.all()


class _Variables(Visitor):
    are_there = False

    def enter_variable(self, *_: Any) -> Any:
        self.are_there = True
        return BREAK


def _mentions_variables(nodes: Iterable[Node]) -> bool:
    looked = _Variables()
    for node in nodes:
        visit(node, looked)
    return looked.are_there


def _complete(rows: list[Any], wanted: QuerySet[Any]) -> None:
    prefetch_related_objects(rows, *_paths(wanted.query.select_related))
    for lookup in wanted._prefetch_related_lookups:  # type: ignore[attr-defined]
        below = getattr(lookup, "queryset", None)
        if below is not None and all(_has(row, lookup.prefetch_to) for row in rows):
            _complete([each for row in rows for each in getattr(row, lookup.prefetch_to).all()], below)
        else:
            prefetch_related_objects(rows, lookup if below is None else _own(lookup))


def _own(lookup: Any) -> Any:
    """A prefetch for this request alone, of one that many share."""
    own = copy(lookup)
    own.queryset = lookup.queryset.all()
    return own


def _paths(related: Any, above: str = "") -> list[str]:
    """`select_related` of a query as lookups to prefetch, which leave alone what is there."""
    if not isinstance(related, dict):
        return []
    return [path for name, below in related.items() for path in _paths(below, f"{above}{name}__") or [above + name]]


def _has(row: Any, name: str) -> bool:
    return name in getattr(row, "_prefetched_objects_cache", ())


def load_as(rows: QuerySet[Row], info: Info, type_name: str) -> QuerySet[Row]:
    """For a field whose type is an interface that this one implements."""
    concrete = cast("GraphQLObjectType", info._raw_info.schema.type_map[type_name])
    return optimize(rows, info._raw_info._replace(return_type=concrete), config=_CONFIG)


class Without(FieldExtension):
    """Leaves out rows whose flag is set, after they were loaded with all that is asked for of the others."""

    def __init__(self, flag: str) -> None:
        self.flag = flag

    def resolve(self, next_: Callable[..., Any], source: Any, info: Info, **given: Any) -> Any:
        return self.kept(next_(source, info, **given))

    def kept(self, rows: Iterable[Any]) -> list[Any]:
        return [row for row in rows if not getattr(row, self.flag)]


class Together(Generic[Row]):
    """Rows that several siblings of a list name one each: loaded for all of them when the first is asked."""

    def __init__(self, rows: QuerySet[Row]) -> None:
        self._rows = rows
        self._loaded: dict[str | int, dict[Any, Row]] = {}

    def get(self, key: Any, info: Info) -> Row:
        alias = info.path.key  # Each alias may select something else.
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
    """The type and the selections that a connection's field would have, were it a plain list of its nodes."""
    edge = cast("GraphQLObjectType", get_named_type(connection.fields["edges"].type))

    def below(parent: GraphQLObjectType, fields: list[FieldNode], name: str) -> list[FieldNode]:
        selected = collect_sub_fields(schema, fragments, variables, parent, fields)
        return [node for nodes in selected.values() for node in nodes if node.name.value == name]

    edges = below(connection, field_nodes, "edges")
    nodes = below(connection, field_nodes, "nodes") + below(edge, edges, "node")
    return connection.fields["nodes"].type, nodes
