"""Compiled reads: queries of the public catalogue run as Python closures over plain rows, without the executor.

Each document is compiled once. A closure calls the resolver of a field, or reads the attribute that the field shows.
The optimizer hints of a field (`only`, `select_related`, `prefetch_related`) say what to read for it. If anything goes
wrong, the executor runs the whole operation again, so errors and nulls are always the executor's. It also runs every
operation that selects more than the catalogue, and all of them with COMPILED_READS=false. docs/performance.md has the
measurements.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Prefetch
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLField,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    get_named_type,
    get_operation_ast,
    get_variable_values,
    is_leaf_type,
    visit,
)
from graphql.execution.collect_fields import collect_fields, collect_sub_fields
from graphql.execution.values import get_argument_values
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField
from strawberry_django.fields.field import StrawberryDjangoField
from strawberry_django.optimizer import OptimizerStore

from domain.base.money import Exchange
from schema.base import public
from schema.base.context import Context
from schema.base.loading import Without, nodes_of
from schema.base.rows import Plan
from schema.root import graphql_schema, schema

logger = logging.getLogger(__name__)

_SCHEMA = graphql_schema
_QUERY = cast("GraphQLObjectType", _SCHEMA.query_type)
# Nothing below these root fields depends on the viewer.
PUBLIC_FIELDS = public.fields(_SCHEMA)


@dataclass(slots=True)
class State:
    """The parts of a request that an answer depends on."""

    context: Context
    variables: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResolverInfo:
    """The parts of Strawberry's `Info` that resolvers of the catalogue read."""

    context: Context
    _raw_info: Any
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class _RawInfo:
    """The parts of graphql-core's `info` that resolvers of the catalogue read."""

    parent_type: GraphQLObjectType


Write = Callable[[Any, State], Any]


class NotCompilable(Exception):
    """The operation selects something that only the executor can run."""


class NullForbidden(Exception):
    """A value is missing in a field that cannot be null."""


def answer(
    document: DocumentNode, operation: OperationDefinitionNode, variables: dict[str, Any], context: Context
) -> dict[str, Any] | None:
    """The `data` of a query of the public catalogue; None if the executor has to run the operation."""
    if operation.operation is not OperationType.QUERY:
        return None
    coerced = get_variable_values(_SCHEMA, operation.variable_definitions, variables)
    if not isinstance(coerced, dict):
        return None
    name = operation.name.value if operation.name else None
    chosen = tuple((flag, coerced.get(flag)) for flag in _flags(document))
    try:
        write = _compiled(document, name, chosen, context.exchange)
        return None if write is None else write(None, State(context, coerced))
    except GraphQLError:
        return None
    except Exception:
        logger.warning("The compiled %s failed, so the executor runs it.", name or "unnamed operation", exc_info=True)
        return None


@lru_cache(maxsize=300)
def _flags(document: DocumentNode) -> tuple[str, ...]:
    """The variables that decide which fields are selected."""
    found = _Flags()
    visit(document, found)
    return tuple(found.names)


class _Flags(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def enter_directive(self, node: Any, *_: Any) -> None:
        if node.name.value in {"skip", "include"}:
            self.names |= dict.fromkeys(_variables(node.arguments))


def _variables(nodes: Sequence[Any]) -> list[str]:
    """The names of the variables in these arguments."""
    found = _Variables()
    for node in nodes:
        visit(node, found)
    return found.names


class _Variables(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.append(node.name.value)


@lru_cache(maxsize=300)
def _compiled(
    document: DocumentNode, name: str | None, chosen: tuple[tuple[str, Any], ...], exchange: Exchange
) -> Write | None:
    """The function that writes an operation's data, for this currency and these values of the deciding variables."""
    operation = get_operation_ast(document, name)
    fragments = {part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)}
    if operation is None:
        return None
    try:
        return _Compiler(fragments, dict(chosen), exchange).operation(operation)
    except (NotCompilable, GraphQLError):
        return None


class _Compiler:
    def __init__(self, fragments: dict[str, FragmentDefinitionNode], flags: dict[str, Any], exchange: Exchange) -> None:
        self._fragments, self._flags = fragments, flags
        # Hints may read the currency, and nothing else.
        self._hinted: Any = ResolverInfo(cast("Context", _Currency(exchange)), None)

    def operation(self, operation: OperationDefinitionNode) -> Write:
        fields = collect_fields(_SCHEMA, self._fragments, self._flags, _QUERY, operation.selection_set)
        if not all(nodes[0].name.value in PUBLIC_FIELDS for nodes in fields.values()):
            raise NotCompilable
        return self._object(_QUERY, fields)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────

    def _object(self, type_: GraphQLObjectType, fields: dict[str, list[FieldNode]]) -> Write:
        parts = [(key, self._field(type_, nodes)) for key, nodes in fields.items()]

        def write(source: Any, state: State) -> dict[str, Any]:
            return {key: part(source, state) for key, part in parts}

        return write

    def _field(self, type_: GraphQLObjectType, nodes: list[FieldNode]) -> Write:
        if nodes[0].name.value == "__typename":
            return lambda _source, _state: type_.name
        definition = type_.fields.get(nodes[0].name.value)
        if definition is None:  # Introspection.
            raise NotCompilable
        field, of_type = _declared(definition), definition.type
        if field.base_resolver is None and isinstance(of_type, GraphQLNonNull) and is_leaf_type(of_type.of_type):
            # Most fields are like this. It takes half the time of the general way.
            return _column_value(_attribute(field), of_type.of_type)
        read, write = self._read(type_, definition, nodes), self._value(of_type, nodes)
        return lambda source, state: write(read(source, state), state)

    def _value(self, type_: GraphQLOutputType, nodes: list[FieldNode]) -> Write:
        if isinstance(type_, GraphQLNonNull):
            return _not_null(self._of_type(type_.of_type, nodes))
        write = self._of_type(type_, nodes)
        return lambda value, state: None if value is None else write(value, state)

    def _of_type(self, type_: Any, nodes: list[FieldNode]) -> Write:
        """For a value that is not null."""
        if isinstance(type_, GraphQLList):
            write = self._value(type_.of_type, nodes)
            return lambda value, state: [write(each, state) for each in value]
        if is_leaf_type(type_):
            return _leaf(type_)
        if isinstance(type_, GraphQLObjectType):
            return self._object(type_, self._below(type_, nodes))
        raise NotCompilable

    def _below(self, type_: GraphQLObjectType, nodes: list[FieldNode]) -> dict[str, list[FieldNode]]:
        return collect_sub_fields(_SCHEMA, self._fragments, self._flags, type_, nodes)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    def _read(self, type_: GraphQLObjectType, definition: GraphQLField, nodes: list[FieldNode]) -> Write:
        """Calls the resolver of a field, or reads its attribute."""
        field = _declared(definition)
        if field.base_resolver is None:
            name, without = _attribute(field), _without(field)
            if without is not None:
                return lambda source, _state: without.kept(getattr(source, name))
            return lambda source, _state: getattr(source, name)
        given = field.base_resolver
        resolve: Any = given.wrapped_func
        if given.root_parameter or given.parent_parameter or not given.self_parameter:
            raise NotCompilable
        arguments = self._arguments(definition, field, nodes[0])
        if not given.info_parameter:
            return lambda source, state: resolve(source, **arguments(state))
        info, raw_info, plan = given.info_parameter.name, _RawInfo(type_), self._planned(definition.type, nodes)

        def read(source: Any, state: State) -> Any:
            return resolve(source, **{info: ResolverInfo(state.context, raw_info, plan)}, **arguments(state))

        return read

    def _arguments(
        self, definition: GraphQLField, field: StrawberryField, node: FieldNode
    ) -> Callable[[State], dict[str, Any]]:
        def given(variables: dict[str, Any]) -> dict[str, Any]:
            values = get_argument_values(definition, node, variables)
            converter = schema.schema_converter
            return convert_arguments(values, field.arguments, converter.scalar_registry, schema.config)

        if definition.args and _variables(node.arguments):
            return lambda state: given(state.variables)
        constant = given({}) if definition.args else {}
        return lambda _state: constant

    # ── planning ─────────────────────────────────────────────────────────────────────────────────────

    def _planned(self, type_: GraphQLOutputType, nodes: list[FieldNode]) -> Plan | None:
        """The plan for the rows that a resolver returns."""
        named: Any = get_named_type(type_)
        if named.name.endswith("Connection"):
            of_nodes, nodes = nodes_of(_SCHEMA, self._fragments, self._flags, named, nodes)
            named = get_named_type(of_nodes)
        model = _model(named)
        if model is None:
            return None
        plan = Plan(model)
        self._plan(plan, named, nodes)
        return plan

    def _plan(self, plan: Plan, type_: GraphQLObjectType, nodes: list[FieldNode]) -> None:
        for below in self._below(type_, nodes).values():
            if below[0].name.value == "__typename":
                continue
            definition = type_.fields[below[0].name.value]
            field = _declared(definition)
            column = None if field.base_resolver else _column(plan.model, _attribute(field))
            if column is None:
                self._plan_resolver(plan, getattr(field, "store", OptimizerStore()), definition, below)
            elif not column.is_relation:
                plan.column(column.name)
            else:
                is_many = column.one_to_many or column.many_to_many
                related = plan.many(column.name) if is_many else plan.one(column.name)
                if without := _without(field):
                    related.column(without.flag)
                self._plan(related, cast("GraphQLObjectType", get_named_type(definition.type)), below)

    def _plan_resolver(
        self, plan: Plan, hints: OptimizerStore, definition: GraphQLField, nodes: list[FieldNode]
    ) -> None:
        """Adds what the hints of a resolver or property name."""
        for path in hints.only:
            plan.column(path)
        if not hints.only:
            plan.whole()
            for name in hints.select_related:
                plan.one(name).whole()
        named: Any = get_named_type(definition.type)
        for hint in hints.prefetch_related:
            related = _follow(plan, hint(self._hinted) if callable(hint) else hint)
            if related.model is _model(named):  # The resolver returns rows of the relation that it reads.
                self._plan(related, named, nodes)


@dataclass(frozen=True, slots=True)
class _Currency:
    """The parts of the context that hints read."""

    exchange: Exchange

    shows_foreign_currency = Context.shows_foreign_currency


def _follow(plan: Plan, hint: str | Prefetch[Any]) -> Plan:
    """Adds what a prefetch would load to the plan."""
    if isinstance(hint, str):
        return plan.many(hint).whole()
    rows: Any = hint.queryset
    related = plan.many(hint.prefetch_through, rows, to=hint.to_attr).whole()
    for name in rows.query.select_related or {}:
        related.one(name).whole()
    for further in rows._prefetch_related_lookups:
        _follow(related, further)
    return related


def _declared(definition: GraphQLField) -> StrawberryField:
    field: StrawberryField = definition.extensions["strawberry-definition"]
    is_known = not field.extensions or (_without(field) is not None and field.base_resolver is None)
    if not is_known or field.permission_classes or field.is_async:
        raise NotCompilable
    return field


def _without(field: StrawberryField) -> Without | None:
    """The extension that excludes rows, if it is the only extension of the field."""
    match field.extensions:
        case [Without() as without]:
            return without
    return None


def _attribute(field: StrawberryField) -> str:
    name = field.django_name if isinstance(field, StrawberryDjangoField) else None
    return name or field.python_name


def _column(model: type[Model], name: str) -> Any:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None


def _model(type_: Any) -> type[Model] | None:
    """The model of a type."""
    origin = getattr(type_.extensions.get("strawberry-definition"), "origin", None)
    shown = getattr(origin, "__strawberry_django_definition__", None)
    return shown.model if shown else None


def _not_null(write: Write) -> Write:
    def checked(value: Any, state: State) -> Any:
        if value is None:
            raise NullForbidden
        return write(value, state)

    return checked


def _leaf(type_: GraphQLLeafType) -> Write:
    serialize = type_.serialize
    return lambda value, _state: serialize(value)


def _column_value(name: str, type_: GraphQLLeafType) -> Write:
    serialize = type_.serialize

    def write(source: Any, _state: State) -> Any:
        value = getattr(source, name)
        if value is None:
            raise NullForbidden
        return serialize(value)

    return write
