"""Middleware for all requests: request ids, the access log, and health checks."""

import re
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

from commercia import metrics

logger = structlog.get_logger("commercia.requests")

_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")
Handler = Callable[[HttpRequest], HttpResponse]


class RequestLog:
    """Logs one line for each request: operation, viewer, duration, SQL time; never its body.

    `schema.serving` sets `request.operation` for GraphQL. The request id comes from the proxy's X-Request-ID, or is
    generated. It is in the response, in all log lines of the request, and in the outbox messages that it stores.
    """

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        proxy_id = request.headers.get("X-Request-ID", "")
        request_id = proxy_id if settings.BEHIND_PROXY and _ID.fullmatch(proxy_id) else uuid.uuid4().hex
        statements = _Statements()
        began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with ExitStack() as stack:
            for database in connections.all():
                stack.enter_context(database.execute_wrapper(statements))
            response = self._get_response(request)
        seconds, log_fields = time.perf_counter() - began, getattr(request, "operation", {})
        structlog.contextvars.unbind_contextvars("operation")
        logger.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 1),
            statements=statements.number,
            sql_milliseconds=round(statements.seconds * 1000, 1),
            **log_fields,
        )
        structlog.contextvars.clear_contextvars()
        name = log_fields.get("operation") or f"/{request.path.strip('/').partition('/')[0]}"
        metrics.observe(operation=name, status=response.status_code, seconds=seconds, cache=log_fields.get("cache"))
        response["X-Request-ID"] = request_id
        return response


class _Statements:
    """Counts SQL statements and their time."""

    def __init__(self) -> None:
        self.number, self.seconds = 0, 0.0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            self.number += 1
            self.seconds += time.perf_counter() - began


class Health:
    """`/livez`: the process answers. `/readyz`: the shop can sell, because the database is reachable and migrated.

    It is the first middleware, so that it also answers probes by IP address and without TLS. A cache or
    broker that is down is reported but does not fail the check, because the shop works without it.
    """

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response
        self._is_migrated = False

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/livez":
            return JsonResponse({"alive": True})
        if request.path == "/readyz":
            return self._readiness()
        return self._get_response(request)

    def _readiness(self) -> HttpResponse:
        required = {"database": self._database}
        optional = {"cache": _cache} if settings.REDIS_URL else {}
        if settings.BROKER_URL:
            optional["broker"] = _broker
        results = {name: check() for name, check in {**required, **optional}.items()}
        return JsonResponse(results, status=200 if all(results[name] == "ok" for name in required) else 503)

    def _database(self) -> str:
        try:
            connection.ensure_connection()
            if not self._is_migrated:
                executor = MigrationExecutor(connection)
                self._is_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
            else:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
        except DatabaseError:
            return "away"
        return "ok" if self._is_migrated else "not migrated"


def _cache() -> str:
    try:
        cache.get("ready")
    except RedisError:
        return "away"
    return "ok"


def _broker() -> str:
    from kombu.connection import Connection  # noqa: PLC0415 (only with a broker)

    try:
        with Connection(settings.BROKER_URL, connect_timeout=2) as broker:  # type: ignore[no-untyped-call]
            broker.connect()
    except OSError:
        return "away"
    return "ok"
