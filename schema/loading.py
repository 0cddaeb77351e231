"""Rows with all that a request selects of them, in a number of statements that does not grow with the rows."""

from typing import Any, Generic, TypeVar, cast

from django.db.models import Model, QuerySet
from graphql import GraphQLObjectType, GraphQLResolveInfo, get_named_type
from graphql.execution.collect_fields import collect_sub_fields
from graphql.language import FieldNode
from strawberry_django.optimizer import OptimizerConfig, optimize

from schema.context import Info

Row = TypeVar("Row", bound=Model)

# Whole rows: a column that a resolver needs and nobody selected would cost a statement a row.
_CONFIG = OptimizerConfig(enable_only=False)


def load(rows: QuerySet[Row], info: Info) -> QuerySet[Row]:
    """For a field whose type is that of the rows."""
    return optimize(rows, info, config=_CONFIG)


def load_nodes(rows: QuerySet[Row], info: Info) -> QuerySet[Row]:
    """For a field whose type is a connection of the rows, by what is selected of `nodes` and `edges.node`."""
    return optimize(rows, _of_nodes(info._raw_info), config=_CONFIG)


def load_as(rows: QuerySet[Row], info: Info, type_name: str) -> QuerySet[Row]:
    """For a field whose type is an interface that this one implements."""
    concrete = cast("GraphQLObjectType", info._raw_info.schema.type_map[type_name])
    return optimize(rows, info._raw_info._replace(return_type=concrete), config=_CONFIG)


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


def _of_nodes(info: GraphQLResolveInfo) -> GraphQLResolveInfo:
    """The info as it would be if the connection's field were a plain list of its nodes."""
    connection = cast("GraphQLObjectType", get_named_type(info.return_type))
    edge = cast("GraphQLObjectType", get_named_type(connection.fields["edges"].type))

    def below(parent: GraphQLObjectType, fields: list[FieldNode], name: str) -> list[FieldNode]:
        selected = collect_sub_fields(info.schema, info.fragments, info.variable_values, parent, fields)
        return [node for nodes in selected.values() for node in nodes if node.name.value == name]

    edges = below(connection, info.field_nodes, "edges")
    nodes = below(connection, info.field_nodes, "nodes") + below(edge, edges, "node")
    return info._replace(field_nodes=nodes, return_type=connection.fields["nodes"].type)
