"""The HTTP side of the endpoint, after the GraphQL-over-HTTP specification.

https://graphql.github.io/graphql-over-http/draft/
"""

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt

from schema import examples, uploads
from schema.context import Context
from schema.errors import BadRequest
from schema.execution import NotAllowedByGet, answer

RESPONSE_TYPE = "application/graphql-response+json"
JSON_TYPE = "application/json"
_PREFLIGHT_HEADERS = ("apollo-require-preflight", "x-apollo-operation-name")


@csrf_exempt  # Replaced by the rule of `_trusts_cookies`.
def graphql(request: HttpRequest) -> HttpResponse:
    """`/graphql/`: operations by POST, queries by GET too; GraphiQL for a browser that asks for a page."""
    if settings.GRAPHIQL and request.method == "GET" and _wants_page(request) and "query" not in request.GET:
        config = {"endpoint": request.path, "tabs": examples.tabs()}
        return render(request, "graphiql.html", {"config": config})
    try:
        media_type = _negotiated(request)
    except BadRequest as error:
        return _error(error, JSON_TYPE)
    context = Context(request=request, trusts_cookies=_trusts_cookies(request))
    try:
        result = answer(**_parameters(request, context), context=context, queries_only=request.method == "GET")
    except BadRequest as error:
        return _error(error, media_type)
    except NotAllowedByGet:
        return _error(BadRequest("A mutation is sent by POST.", 405), media_type)
    finally:
        request.operation = context.told | {"viewer": context.viewer_id}  # type: ignore[attr-defined]
    # With the older media type, whatever is well-formed JSON is answered by 200, errors and all.
    status = 400 if result.is_request_error and media_type == RESPONSE_TYPE else 200
    response = _json(result.body, status, media_type)
    for name, kept in context.cookies.items():
        _set_cookie(response, name, kept, path=request.path)
    return response


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _negotiated(request: HttpRequest) -> str:
    """The media type to answer in."""
    if request.method not in ("GET", "POST"):
        raise BadRequest("GraphQL is spoken by GET and POST.", 405)
    # The older type, unless the client knows the newer one by name.
    known = [JSON_TYPE, RESPONSE_TYPE]
    if RESPONSE_TYPE in request.headers.get("Accept", ""):
        known.reverse()
    preferred = request.get_preferred_type([*known, *(f"{kind}; charset=utf-8" for kind in known)])
    if preferred is None:
        raise BadRequest(f"This endpoint answers in {RESPONSE_TYPE} or {JSON_TYPE}.", 406)
    return preferred.partition(";")[0]


def _trusts_cookies(request: HttpRequest) -> bool:
    """Whether a browser would have asked us first before sending this from another site.

    https://www.apollographql.com/docs/apollo-server/security/cors#preventing-cross-site-request-forgery-csrf
    """
    return request.content_type == JSON_TYPE or any(header in request.headers for header in _PREFLIGHT_HEADERS)


def _parameters(request: HttpRequest, context: Context) -> dict[str, Any]:
    """`query`, `operation_name` and `variables`, of the right types and free of what no database can store."""
    given = _from_address(request) if request.method == "GET" else _from_body(request, context)
    for name, kind, what in _TYPES:
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise BadRequest(f"`{name}` has to be {what}.")
    if "persistedQuery" in (given.get("extensions") or {}) and not given.get("query"):
        # Apollo's link sends the whole query then, and asks no more by hash.
        raise BadRequest("PersistedQueryNotSupported", code="PERSISTED_QUERY_NOT_SUPPORTED")
    if not given.get("query"):
        raise BadRequest("`query` is missing.")
    try:
        _refuse_unstorable(given)
    except RecursionError:
        raise BadRequest("The body is nested too deeply.") from None
    return {
        "query": given["query"],
        "operation_name": given.get("operationName") or None,
        "variables": given.get("variables"),
    }


_TYPES: tuple[tuple[str, type, str], ...] = (
    ("query", str, "a text"),
    ("operationName", str, "a text"),
    ("variables", dict, "an object"),
    ("extensions", dict, "an object"),
)


def _from_address(request: HttpRequest) -> dict[str, Any]:
    given: dict[str, Any] = {name: request.GET[name] for name, _, _ in _TYPES if name in request.GET}
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _parsed(given[name])
    return given


def _from_body(request: HttpRequest, context: Context) -> dict[str, Any]:
    if request.content_type == uploads.MULTIPART_TYPE and context.trusts_cookies:
        return _with_file(request, context)
    if request.content_type != JSON_TYPE:
        raise BadRequest("The body has to be application/json.", 415)
    try:
        text = request.body.decode()
    except RequestDataTooBig:
        raise BadRequest("The body is too long.", 413) from None
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None
    return _object(_parsed(text))


def _with_file(request: HttpRequest, context: Context) -> dict[str, Any]:
    operations, where, name, file = uploads.parts(request, context)
    return uploads.put_in(_object(_parsed(operations)), _parsed(where), name, file)


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadRequest("The body has to be an object with a `query`.")
    return given


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequest("This is not JSON.") from None


def _no_number(name: str) -> None:
    raise ValueError(name)


def _refuse_unstorable(value: Any) -> None:
    """No database column holds the character NUL, and half a surrogate pair is no text."""
    match value:
        case str():
            if "\0" in value or (not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value)):
                raise BadRequest("A text cannot hold NUL or half a surrogate pair.")
        case dict():
            for key, inner in value.items():
                _refuse_unstorable(key)
                _refuse_unstorable(inner)
        case list():
            for inner in value:
                _refuse_unstorable(inner)


def _error(error: BadRequest, media_type: str) -> HttpResponse:
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
    return _json(body, error.status, media_type)


def _json(body: dict[str, Any], status: int, media_type: str) -> HttpResponse:
    response = JsonResponse(body, status=status, content_type=f"{media_type}; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    if status == 405:
        response["Allow"] = "GET, POST"
    return response


def _set_cookie(response: HttpResponse, name: str, kept: tuple[str, int] | None, *, path: str) -> None:
    value, seconds = kept or ("", 0)
    response.set_signed_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )
