"""What watching costs: the same requests with the log line and the metrics, with tracing too, and without, in turns.

    .venv/bin/python benchmarks/observing.py [rounds]

Over Django's whole way but the socket, log lines as JSON into nowhere. Prints requests per second and their
ratio, of the smallest request there is and of a product's page. Traces go to a collector in a process of its
own. Uses a database of its own with the demo's products.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WORK = tempfile.TemporaryDirectory()
os.environ |= {"DJANGO_SETTINGS_MODULE": "commercia.settings", "DEBUG": "true", "LOG_FORMAT": "json"}
os.environ |= {"DATABASE_URL": f"sqlite:///{WORK.name}/observing.sqlite3", "MEDIA_ROOT": WORK.name}
sys.path.insert(0, str(Path(__file__).parent.parent))
COLLECTOR = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *given): pass
server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
collector = subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True)  # noqa: S603
assert collector.stdout
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.stdout.readline().strip()}"
sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (until the end)

import django  # noqa: E402 (the settings come first)

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

REQUESTS = {
    "{ shop { name } }": "{ shop { name } }",
    "a product's page": (Path(__file__).parent.parent / "schema/operations/03-product.graphql").read_text(),
}
BATCH = 50


def per_second(client: Client, body: str) -> float:
    began = time.perf_counter()
    for _ in range(BATCH):
        assert client.post("/graphql/", body, content_type="application/json").status_code == 200
    return BATCH / (time.perf_counter() - began)


def main(rounds: int) -> None:
    call_command("migrate", verbosity=0)
    call_command("demo", verbosity=0, stdout=sys.stderr)
    settings.DEBUG = False  # Django would remember every statement.
    tracing, log = "commercia.tracing.Tracing", "commercia.requests.RequestLog"
    clients = {}
    every = settings.MIDDLEWARE
    for variant, left_out in (("traced", set()), ("logged", {tracing}), ("without", {tracing, log})):
        settings.MIDDLEWARE = [name for name in every if name not in left_out]
        clients[variant] = Client(SERVER_NAME="localhost")
        clients[variant].get("/livez")  # It loads its middleware with its first request.
    for name, query in REQUESTS.items():
        operation = "ProductPage" if "ProductPage" in query else None
        body = json.dumps(
            {
                "query": query,
                "operationName": operation,
                "variables": {"slug": "harbour-linen-shirt"} if operation else {},
            }
        )
        per_second(clients["without"], body)
        runs = [{variant: per_second(client, body) for variant, client in clients.items()} for _ in range(rounds)]
        print(f"{name}: {median(run['without'] for run in runs):.0f} requests/s unwatched")
        for variant in ("logged", "traced"):
            ratio = median(run[variant] / run["without"] for run in runs)
            print(f"    {variant}: {median(run[variant] for run in runs):.0f}, ratio {ratio:.3f}")
    collector.kill()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
