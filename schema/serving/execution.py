"""Executes operations. Documents are parsed and validated once, and every error gets a code."""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from graphql import (
    ASTValidationRule,
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    execute_sync,
    get_directive_values,
    get_operation_ast,
    get_variable_values,
    parse,
    specified_rules,
    validate,
)

from domain.accounts.throttle import RateLimited
from domain.base.money import Exchange
from domain.sales import currency
from domain.sales.currency import CurrencyUnavailable
from schema.base import public
from schema.base.context import Context
from schema.root import graphql_schema
from schema.serving import compiled_reads, limits
from schema.serving.memory import Memory

logger = logging.getLogger(__name__)

MAX_TOKENS = 2_000
MAX_CACHED = 8_000  # characters; the documents of a front end are shorter
# graphql-core's executor. Strawberry's picks the first operation where the specification requires an error.
_SCHEMA = graphql_schema
_PUBLIC = public.fields(_SCHEMA)
_IN_CONTEXT = next(directive for directive in _SCHEMA.directives if directive.name == "inContext")


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """The response as JSON. `status` is the HTTP status for application/graphql-response+json: 200 if the operation was
    executed. `etag` is set if the response is the same for everyone. `retry_after` are the seconds that a client has to
    wait after too many requests."""

    content: bytes
    status: int = 200
    has_errors: bool = False
    etag: str = ""
    retry_after: int = 0


# Sizes that are kept per operation.
_MAX_SIZES = 50
# About a thousand documents, each counted with the maximum length.
_known: "Memory[Prepared | GraphQLResponse]" = Memory(most=lambda: 1_000 * MAX_CACHED, size=lambda _: MAX_CACHED)
_compact_json = json.JSONEncoder(separators=(",", ":")).encode


class NotAllowedByGet(Exception):
    """A mutation was sent by GET."""


class Refused(Exception):
    """Nothing was executed, so the response has no `data`."""

    def __init__(self, response: GraphQLResponse) -> None:
        super().__init__(response)
        self.response = response


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation of a parsed and validated document. `hash` identifies its text in the log and in persisted queries.
    `variables` are the names that it declares."""

    document: DocumentNode
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    name: str
    hash: str
    variables: frozenset[str]
    is_public: bool
    # Its size, by the values of integer variables. Other variables do not change it.
    sizes: dict[tuple[Any, ...], limits.Size] = field(default_factory=dict, compare=False)
    queryset_cache: dict[Any, Any] = field(default_factory=dict, compare=False)

    @property
    def is_query(self) -> bool:
        return self.operation.operation is OperationType.QUERY


def prepare(query: str, operation_name: str | None, *, pay: Callable[[int], None]) -> Prepared:
    """The operation of that name, or the only one. Documents of usual length are parsed once. An unknown document is
    charged to the client with `pay`: its length before parsing, its fragments before validation, and the maximum cost
    of an operation if it is invalid. Raises Refused."""
    key = f"{settings.INTROSPECTION} {operation_name!r} {query}"  # The quotes of the repr make the key unambiguous.
    found = _known.get(key)
    if found is None:
        try:
            pay(len(key))
            found = _prepared(query, operation_name, pay)
        except RateLimited as limited:
            raise too_much(limited) from None
        if len(key) <= MAX_CACHED:
            _known.keep(key, found)
        if isinstance(found, GraphQLResponse):
            with suppress(RateLimited):  # The next request is refused.
                pay(settings.MAX_QUERY_COST)
    if isinstance(found, GraphQLResponse):
        raise Refused(found)
    return found


def execute(prepared: Prepared, variables: dict[str, Any] | None, context: Context) -> GraphQLResponse:
    """Runs one operation. Raises Refused."""
    size = _size(prepared, variables or {})
    context.log_fields["cost"], context.queryset_cache = size.cost, prepared.queryset_cache
    too_large = limits.refusal(size)
    try:
        context.pay(settings.MAX_QUERY_COST if too_large else size.cost)
        if too_large:
            raise Refused(_refusal([too_large]))
        context.exchange = _exchange(prepared.operation, variables or {})
    except RateLimited as limited:
        raise too_much(limited) from None
    except CurrencyUnavailable as unavailable:
        error = GraphQLError(unavailable.message, prepared.operation, extensions={"code": "BAD_USER_INPUT"})
        raise Refused(_refusal([error])) from None
    if prepared.is_public and settings.COMPILED_READS:
        data = compiled_reads.answer(prepared.document, prepared.operation, variables or {}, context)
        if data is not None:
            return _respond(ExecutionResult(data, None), prepared.name, size)
    result = execute_sync(
        _SCHEMA,
        prepared.document,
        variable_values=variables,
        operation_name=prepared.name or None,
        context_value=context,
    )
    return _respond(result, prepared.name, size)


def _size(prepared: Prepared, variables: dict[str, Any]) -> limits.Size:
    given = ((name, variables[name]) for name in prepared.variables if name in variables)
    numbers = tuple((name, value if isinstance(value, int) else None) for name, value in given)
    size = prepared.sizes.get(numbers)
    if size is None:
        if len(prepared.sizes) >= _MAX_SIZES:
            prepared.sizes.clear()
        size = limits.measure(prepared.operation, prepared.fragments, variables, _SCHEMA)
        prepared.sizes[numbers] = size
    return size


def _exchange(operation: OperationDefinitionNode, variables: dict[str, Any]) -> Exchange:
    """The currency of `@inContext`. Raises CurrencyUnavailable. Execution reports variables of a wrong type."""
    code = None
    if operation.directives:
        coerced = get_variable_values(_SCHEMA, operation.variable_definitions, variables)
        given = get_directive_values(_IN_CONTEXT, operation, coerced) if isinstance(coerced, dict) else None
        code = (given or {}).get("currency")
    return currency.exchange_to(currency=currency.by_code(code=code) if code is not None else None)


def _prepared(query: str, operation_name: str | None, pay: Callable[[int], None]) -> Prepared | GraphQLResponse:
    document = _parsed(query)
    if isinstance(document, GraphQLResponse):
        return document
    bulk = limits.weigh(document)
    if too_bulky := limits.too_bulky(bulk):
        return _refusal([too_bulky])
    pay(bulk.fragments**2)  # Validation compares each fragment with every other one.
    rules = [*specified_rules, NoNul]
    if not settings.INTROSPECTION:
        rules.append(NoSchemaIntrospectionCustomRule)
    try:
        errors = validate(_SCHEMA, document, rules, max_errors=20)
    except RecursionError:
        return _too_deep()
    if errors:
        return _refusal([_coded(found, "GRAPHQL_VALIDATION_FAILED") for found in errors])
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        message = (
            f"The document has no operation {operation_name!r}." if operation_name else "`operationName` is required."
        )
        return _refusal([GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})])
    fragments = {part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)}
    return Prepared(
        document=document,
        operation=operation,
        fragments=fragments,
        name=operation.name.value if operation.name else "",
        hash=hashlib.sha256(query.encode()).hexdigest(),
        variables=frozenset(each.variable.name.value for each in operation.variable_definitions),
        is_public=public.is_public(operation, fragments, _PUBLIC),
    )


def _parsed(query: str) -> DocumentNode | GraphQLResponse:
    try:
        return parse(query, max_tokens=MAX_TOKENS)
    except GraphQLError as error:
        return _refusal([_coded(error, "GRAPHQL_PARSE_FAILED")])
    except RecursionError:
        return _too_deep()


def _too_deep() -> GraphQLResponse:
    return _refusal([_coded(GraphQLError("The document is nested too deeply."), "GRAPHQL_PARSE_FAILED")])


class NoNul(ASTValidationRule):
    """Refuses the character NUL in strings, because no database column can store it."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            self.report_error(GraphQLError("A string cannot contain the character NUL.", node))


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    if not settings.INTROSPECTION:
        error.message = error.message.partition(" Did you mean")[0]
    error.extensions = {"code": code, **(error.extensions or {})}
    return error


def _encoded(body: dict[str, Any]) -> bytes:
    return _compact_json(body).encode()


def too_much(limited: RateLimited) -> Refused:
    extensions = {"code": limited.code, "retryAfter": limited.retry_after}
    error = GraphQLError(limited.message, extensions=extensions)
    return Refused(_refusal([error], status=429, retry_after=limited.retry_after))


def _refusal(errors: list[GraphQLError], status: int = 400, retry_after: int = 0) -> GraphQLResponse:
    body = {"errors": [error.formatted for error in errors]}
    return GraphQLResponse(_encoded(body), status=status, has_errors=True, retry_after=retry_after)


def _respond(result: ExecutionResult, name: str, size: limits.Size) -> GraphQLResponse:
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        if result.data is None and not any(error.path for error in result.errors):
            raise Refused(_refusal([_coded(error, "BAD_USER_INPUT") for error in result.errors]))
        body = {"errors": [_shown(error, name).formatted for error in result.errors], **body}
    if settings.DEBUG:
        body["extensions"] = {"cost": {"estimated": size.cost, "limit": settings.MAX_QUERY_COST}}
    return GraphQLResponse(_encoded(body), has_errors=bool(result.errors))


def _shown(error: GraphQLError, operation: str) -> GraphQLError:
    """The error as clients see it. Unexpected errors are replaced by an id, which is in the log."""
    if error.original_error is None or isinstance(error.original_error, GraphQLError):
        return _coded(error, "BAD_USER_INPUT")
    error_id = uuid.uuid4().hex
    logger.error(
        "Error %s in %s at %s", error_id, operation or "an unnamed operation", error.path, exc_info=error.original_error
    )
    return GraphQLError(
        "An internal error occurred. Report its id to the shop.",
        nodes=error.nodes,
        path=error.path,
        extensions={"code": "INTERNAL_SERVER_ERROR", "id": error_id},
    )
