"""Traces, as a collector gets them over a real socket: what was asked, which SQL that took, nothing that was sent."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROOT = Path(__file__).parent.parent.parent
# A process of its own: settings are read once.
SCRIPT = """
import json, sys
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
client = Client(SERVER_NAME="localhost", headers={"x-api-key": "CANARY-header", "cookie": "cart=CANARY-cookie"},
                raise_request_exception=False)
body = {
    "query": "query Basket($code: ID, $note: String) { cart(code: $code) { id } products(search: $note) { totalCount } "
    + 'other: cart(code: "CANARY-text") { id } }',
    "operationName": "Basket",
    "variables": {"code": "CANARY-variable", "note": "CANARY-note"},
}
parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
client.post("/graphql/?next=CANARY-address", json.dumps(body), content_type="application/json",
            headers={"traceparent": parent})
from domain.sales import cart
def broken(key):
    raise RuntimeError(f"no {key.code}")
cart.candidates = broken
client.post("/graphql/", json.dumps(body), content_type="application/json")
client.get("/admin/login/?next=CANARY-address")
middleware = client.handler._middleware_chain
while not hasattr(middleware, "provider"):
    middleware = getattr(middleware, "__wrapped__", None) or middleware._get_response
middleware.provider.force_flush()
"""


class Collector(HTTPServer):
    def __init__(self):
        self.got = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                collector.got.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *given):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, daemon=True).start()


def traced(tmp_path, **env):
    collector = Collector()
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        cwd=ROOT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "commercia.settings",
            "DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{tmp_path}/shop.sqlite3",
            "REDIS_URL": "",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_SERVICE_NAME": "our-shop",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    collector.shutdown()
    collector.server_close()
    return collector.got


def spans(got):
    for body in got:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = {it.key: it.value.string_value for it in resource.resource.attributes}["service.name"]
            for scope in resource.scope_spans:
                yield from ((service, span) for span in scope.spans)


@pytest.mark.parametrize("behind", ["true", "false"], ids=["behind a proxy", "open to all"])
def test_a_request_is_a_span_by_its_operation_with_its_statements_below(tmp_path, behind):
    got = traced(tmp_path, BEHIND_PROXY=behind)
    found = list(spans(got))
    assert {service for service, _ in found} == {"our-shop"}
    requests = [span for _, span in found if span.kind == span.SPAN_KIND_SERVER]
    assert [span.name for span in requests] == ["Basket", "Basket", "GET /admin/login/"]
    statements = [span for _, span in found if span.parent_span_id == requests[0].span_id]
    assert len(statements) >= 2
    texts = [it.value.string_value for span in statements for it in span.attributes if it.key == "db.query.text"]
    assert any('FROM "storefront_cart"' in text for text in texts)
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert (requests[0].trace_id.hex() == trace) is (behind == "true")
    assert not [body for body in got if b"CANARY" in body]
