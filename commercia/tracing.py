"""OpenTelemetry traces. Needs `requirements/tracing.lock` and the address of a collector.

The exporter and the SDK read their own variables: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


class Tracing:
    """Creates a span for each request, named by its GraphQL operation, and a child span for each SQL statement (without
    its values). Exceptions are not recorded, because their messages may hold data of the request; the log has them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self.provider = TracerProvider()
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = self.provider.get_tracer("commercia")
        self._span = partial(tracer.start_as_current_span, record_exception=False, set_status_on_exception=False)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Only our own proxy may set the parent trace. Otherwise anyone could flood the collector.
        parent = TraceContextTextMapPropagator().extract(request.headers) if settings.BEHIND_PROXY else None
        with (
            self._span("request", context=parent, kind=SpanKind.SERVER) as span,
            ExitStack() as stack,
        ):
            for database in connections.all():
                stack.enter_context(database.execute_wrapper(self._statement))
            response = self._get_response(request)
            log_fields = getattr(request, "operation", {})
            span.update_name(log_fields.get("operation") or f"{request.method} {request.path}")
            span.set_attributes(
                {
                    "http.request.method": request.method or "",
                    "url.path": request.path,
                    "http.response.status_code": response.status_code,
                    "graphql.operation.name": log_fields.get("operation", ""),
                    "graphql.document.hash": log_fields.get("hash", ""),
                }
            )
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
        return response

    def _statement(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        attributes = {"db.system.name": connection.vendor, "db.query.text": sql}
        with self._span(sql.partition(" ")[0], kind=SpanKind.CLIENT, attributes=attributes):
            return execute(sql, *arguments)
