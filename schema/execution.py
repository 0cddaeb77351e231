"""A document and its variables in, the answer out: parsed and validated once, every error with its code."""

import hashlib
import logging
import uuid
from dataclasses import dataclass
from functools import lru_cache
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
from structlog.contextvars import bind_contextvars

from domain import currency
from domain.currency import CurrencyUnavailable
from domain.money import Exchange
from schema import compiled, limits
from schema.context import Context
from schema.root import schema

logger = logging.getLogger(__name__)

MAX_TOKENS = 2_000
MAX_CACHED = 8_000  # characters; a front end's documents are shorter
# graphql-core's own executor: Strawberry's picks the first operation where the specification wants an error.
_SCHEMA = schema._schema
_IN_CONTEXT = next(directive for directive in _SCHEMA.directives if directive.name == "inContext")


@dataclass(frozen=True, slots=True)
class Answer:
    """The response map. `is_request_error`: nothing was executed, so there is no `data`."""

    body: dict[str, Any]
    is_request_error: bool


class NotAllowedByGet(Exception):
    """A GET asked for more than a query."""


def answer(
    *,
    query: str,
    operation_name: str | None,
    variables: dict[str, Any] | None,
    context: Context,
    queries_only: bool,
) -> Answer:
    """Runs one operation. Raises NotAllowedByGet."""
    check = _checked if len(query) <= MAX_CACHED else _checked.__wrapped__
    document, errors = check(query, introspection=settings.INTROSPECTION)
    if document is None or errors:
        return _refused(errors)
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        message = f"There is no operation {operation_name!r}." if operation_name else "Name one of the operations."
        return _refused([GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})])
    if queries_only and not _is_query(operation):
        raise NotAllowedByGet
    context.told |= {"operation": operation.name.value[:100] if operation.name else "", "hash": _hash(query)}
    bind_contextvars(operation=context.told["operation"])  # For every line that is logged from here on.
    fragments = {part.name.value: part for part in document.definitions if isinstance(part, FragmentDefinitionNode)}
    size = limits.measure(operation, fragments, variables or {}, _SCHEMA)
    context.told["cost"] = size.cost
    if too_large := limits.refusal(size):
        return _refused([too_large])
    try:
        context.exchange = _exchange(operation, variables or {})
    except CurrencyUnavailable as error:
        return _refused([GraphQLError(error.message, operation, extensions={"code": "BAD_USER_INPUT"})])
    data = compiled.answer(document, operation, variables or {}, context)
    if data is not None:
        return Answer({"data": data}, is_request_error=False)
    result = execute_sync(
        _SCHEMA,
        document,
        variable_values=variables,
        operation_name=operation_name,
        context_value=context,
    )
    return _answered(result, operation)


def _exchange(operation: OperationDefinitionNode, variables: dict[str, Any]) -> Exchange:
    """What `@inContext` asks for. Raises CurrencyUnavailable. Variables of a wrong type are for execution to tell."""
    code = None
    if operation.directives:
        coerced = get_variable_values(_SCHEMA, operation.variable_definitions, variables)
        given = get_directive_values(_IN_CONTEXT, operation, coerced) if isinstance(coerced, dict) else None
        code = (given or {}).get("currency")
    return currency.exchange_to(currency.named(code) if code is not None else None)


@lru_cache(maxsize=1_000)
def _hash(query: str) -> str:
    """What an operation is known by in the log, as by persisted queries: its text is not written down."""
    return hashlib.sha256(query.encode()).hexdigest()


def _is_query(operation: OperationDefinitionNode) -> bool:
    return operation.operation is OperationType.QUERY


@lru_cache(maxsize=1_000)
def _checked(query: str, *, introspection: bool) -> tuple[DocumentNode | None, list[GraphQLError]]:
    rules = [*specified_rules, NoNul]
    if not introspection:
        rules.append(NoSchemaIntrospectionCustomRule)
    try:
        document = parse(query, max_tokens=MAX_TOKENS)
        errors = validate(_SCHEMA, document, rules, max_errors=20)
    except GraphQLError as error:
        return None, [_coded(error, "GRAPHQL_PARSE_FAILED")]
    except RecursionError:
        return None, [_coded(GraphQLError("The document is nested too deeply."), "GRAPHQL_PARSE_FAILED")]
    return document, [_coded(found, "GRAPHQL_VALIDATION_FAILED") for found in errors]


class NoNul(ASTValidationRule):
    """No database column holds the character NUL, which a GraphQL text can."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            self.report_error(GraphQLError("A text cannot hold the character NUL.", node))


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    if not settings.INTROSPECTION:
        error.message = error.message.partition(" Did you mean")[0]
    error.extensions = {"code": code, **(error.extensions or {})}
    return error


def _refused(errors: list[GraphQLError]) -> Answer:
    return Answer({"errors": [error.formatted for error in errors]}, is_request_error=True)


def _answered(result: ExecutionResult, operation: OperationDefinitionNode) -> Answer:
    if not result.errors:
        return Answer({"data": result.data}, is_request_error=False)
    if result.data is None and not any(error.path for error in result.errors):
        return _refused([_coded(error, "BAD_USER_INPUT") for error in result.errors])
    name = operation.name.value if operation.name else "an unnamed operation"
    return Answer(
        {"errors": [_shown(error, name).formatted for error in result.errors], "data": result.data},
        is_request_error=False,
    )


def _shown(error: GraphQLError, operation: str) -> GraphQLError:
    """An error as a client may see it: those that were meant for it, and of the others an id to ask us by."""
    if error.original_error is None or isinstance(error.original_error, GraphQLError):
        return _coded(error, "BAD_USER_INPUT")
    error_id = uuid.uuid4().hex
    logger.error("Error %s in %s at %s", error_id, operation, error.path, exc_info=error.original_error)
    return GraphQLError(
        "Something went wrong on our side.",
        nodes=error.nodes,
        path=error.path,
        extensions={"code": "INTERNAL_SERVER_ERROR", "id": error_id},
    )
