"""The HTTP endpoint, according to the GraphQL-over-HTTP specification.

https://graphql.github.io/graphql-over-http/draft/
"""

import json
import time
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from schema.base.context import Context
from schema.base.errors import BadRequest
from schema.serving import examples, persisted_queries, response_cache, uploads
from schema.serving.execution import GraphQLResponse, NotAllowedByGet, Refused
from schema.serving.persisted_queries import PersistedQueryError

RESPONSE_TYPE = "application/graphql-response+json"
JSON_TYPE = "application/json"
_HELD_SECONDS = 0.1
held_back = BoundedSemaphore(2)
_PREFLIGHT_HEADERS = ("apollo-require-preflight", "x-apollo-operation-name")


@csrf_exempt  # `_trusts_cookies` replaces it.
def graphql(request: HttpRequest) -> HttpResponse:
    """`/graphql/`: operations by POST, and queries by GET too. A browser that requests HTML gets GraphiQL."""
    if settings.GRAPHIQL and request.method == "GET" and _wants_page(request) and "query" not in request.GET:
        config = {"endpoint": request.path, "tabs": examples.tabs()}
        return render(request, "graphiql.html", {"config": config})
    try:
        media_type = _negotiated(request)
    except BadRequest as error:
        return _error(error, JSON_TYPE)
    context = Context(request=request, trusts_cookies=_trusts_cookies(request))
    try:
        parameters = _parameters(request, context)
        answer = response_cache.answer(
            query=parameters["query"],
            operation_name=parameters["operationName"],
            variables=parameters["variables"],
            context=context,
            queries_only=request.method == "GET",
        )
        persisted_queries.keep(parameters["query"], parameters["extensions"])
    except BadRequest as error:
        return _error(error, media_type)
    except PersistedQueryError as error:
        return _error(BadRequest(error.message, error.status, error.code), media_type)
    except NotAllowedByGet:
        return _error(BadRequest("A mutation must be sent by POST.", 405), media_type)
    except Refused as refused:
        answer = refused.response
        if answer.retry_after:
            _hold_back()
    finally:
        request.operation = context.log_fields | {"viewer": context.viewer_id}  # type: ignore[attr-defined]
    response = _response(answer, media_type)
    for name, kept in context.cookies.items():
        _set_cookie(response, name, kept, path=request.path)
    return _cacheable(request, response, answer) if answer.etag and request.method == "GET" else response


def _hold_back() -> None:
    """Delays the refusal of a client that sent too many requests. Otherwise a client that retries at once would take
    processor time from buyers. Only a few requests wait at the same time, so that they do not use up the threads."""
    if held_back.acquire(blocking=False):
        try:
            time.sleep(_HELD_SECONDS)
        finally:
            held_back.release()


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _negotiated(request: HttpRequest) -> str:
    """The media type of the response."""
    if request.method not in ("GET", "POST"):
        raise BadRequest("Use GET or POST.", 405)
    media_type = _preferred(request.headers.get("Accept", "*/*"))
    if media_type is None:
        raise BadRequest(f"The response can be {RESPONSE_TYPE} or {JSON_TYPE}.", 406)
    return media_type


@lru_cache(maxsize=200)
def _preferred(accept: str) -> str | None:
    """The preferred media type: application/json, unless the client names the newer one. The result is cached, because
    clients send the same header each time."""
    known = [JSON_TYPE, RESPONSE_TYPE]
    if RESPONSE_TYPE in accept:
        known.reverse()
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = accept
    preferred = request.get_preferred_type([*known, *(f"{kind}; charset=utf-8" for kind in known)])
    return preferred.partition(";")[0] if preferred else None


def _trusts_cookies(request: HttpRequest) -> bool:
    """Whether a browser would have sent a preflight request first if another site had made it send this.

    https://www.apollographql.com/docs/apollo-server/security/cors#preventing-cross-site-request-forgery-csrf
    """
    return request.content_type == JSON_TYPE or any(header in request.headers for header in _PREFLIGHT_HEADERS)


def _parameters(request: HttpRequest, context: Context) -> dict[str, Any]:
    """The parameters in _TYPES, checked for their types and for characters that no database can store."""
    given = _from_url(request) if request.method == "GET" else _from_body(request, context)
    for name, kind, what in _TYPES:
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise BadRequest(f"`{name}` must be {what}.")
    try:
        _refuse_unstorable(given)
    except RecursionError:
        raise BadRequest("The request body is nested too deeply.") from None
    parameters = {name: given.get(name) or None for name, _, _ in _TYPES}
    parameters["query"] = persisted_queries.text(parameters["query"], parameters["extensions"])
    if not parameters["query"]:
        raise BadRequest("`query` is missing.")
    return parameters


_TYPES: tuple[tuple[str, type, str], ...] = (
    ("query", str, "a string"),
    ("operationName", str, "a string"),
    ("variables", dict, "an object"),
    ("extensions", dict, "an object"),
)


def _from_url(request: HttpRequest) -> dict[str, Any]:
    given: dict[str, Any] = {name: request.GET[name] for name, _, _ in _TYPES if name in request.GET}
    for name in ("variables", "extensions"):
        if name in given:
            given[name] = _parsed(given[name])
    return given


def _from_body(request: HttpRequest, context: Context) -> dict[str, Any]:
    if request.content_type == uploads.MULTIPART_TYPE and context.trusts_cookies:
        return _with_file(request, context)
    if request.content_type != JSON_TYPE:
        raise BadRequest("The content type must be application/json.", 415)
    try:
        text = request.body.decode()
    except RequestDataTooBig:
        raise BadRequest("The request body is too large.", 413) from None
    except UnicodeDecodeError:
        raise BadRequest("The request body is not UTF-8.") from None
    return _object(_parsed(text))


def _with_file(request: HttpRequest, context: Context) -> dict[str, Any]:
    operations, where, name, file = uploads.parts(request, context)
    return uploads.put_in(_object(_parsed(operations)), _parsed(where), name, file)


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise BadRequest("The request body must be an object with a `query`.")
    return given


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequest("The request is not valid JSON.") from None


def _no_number(name: str) -> None:
    raise ValueError(name)


def _refuse_unstorable(value: Any) -> None:
    """Refuses the character NUL, which no database column can store, and unpaired surrogates, which are not text."""
    match value:
        case str():
            if "\0" in value or (not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value)):
                raise BadRequest("A string cannot contain NUL or an unpaired surrogate.")
        case dict():
            for key, inner in value.items():
                _refuse_unstorable(key)
                _refuse_unstorable(inner)
        case list():
            for inner in value:
                _refuse_unstorable(inner)


def _error(error: BadRequest, media_type: str) -> HttpResponse:
    body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
    response = _json(json.dumps(body).encode(), error.status, media_type)
    if error.status == 405:
        response["Allow"] = "GET, POST"
    return response


def _response(answer: GraphQLResponse, media_type: str) -> HttpResponse:
    """The HTTP response. With application/json, its status is 200 even if nothing was executed."""
    response = _json(answer.content, answer.status if media_type == RESPONSE_TYPE else 200, media_type)
    if answer.retry_after:
        response["Retry-After"] = str(answer.retry_after)
    return response


def _json(content: bytes, status: int, media_type: str) -> HttpResponse:
    response = HttpResponse(content, status=status, content_type=f"{media_type}; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    return response


def _cacheable(request: HttpRequest, response: HttpResponse, answer: GraphQLResponse) -> HttpResponse:
    """Lets browsers, proxies and CDNs cache the response. 304 without a body if the client has the same one."""
    response["Cache-Control"] = settings.CATALOG_CACHE_CONTROL
    response["ETag"] = answer.etag
    patch_vary_headers(response, ["Accept"])
    del request.session  # Otherwise its middleware would delete a session cookie that is invalid.
    return get_conditional_response(request, etag=answer.etag, response=response) or response


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
