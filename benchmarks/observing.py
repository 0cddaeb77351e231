"""What watching costs: the same requests with the log line and the metrics, and without, in turns.

    .venv/bin/python benchmarks/observing.py [rounds]

Over Django's whole way but the socket, log lines as JSON into nowhere. Prints requests per second and their ratio, of
the smallest request there is and of a product's page. Uses a database of its own with the demo's products.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WORK = tempfile.TemporaryDirectory()
os.environ |= {"DJANGO_SETTINGS_MODULE": "commercia.settings", "DEBUG": "true", "LOG_FORMAT": "json"}
os.environ |= {"DATABASE_URL": f"sqlite:///{WORK.name}/observing.sqlite3", "MEDIA_ROOT": WORK.name}
sys.path.insert(0, str(Path(__file__).parent.parent))
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
    watched = settings.MIDDLEWARE
    settings.MIDDLEWARE = [name for name in watched if name != "commercia.requests.RequestLog"]
    without = Client(SERVER_NAME="localhost")
    without.get("/livez")  # It loads its middleware with its first request.
    settings.MIDDLEWARE = watched
    observed = Client(SERVER_NAME="localhost")
    for name, query in REQUESTS.items():
        operation = "ProductPage" if "ProductPage" in query else None
        body = json.dumps(
            {
                "query": query,
                "operationName": operation,
                "variables": {"slug": "harbour-linen-shirt"} if operation else {},
            }
        )
        per_second(without, body)
        pairs = [(per_second(observed, body), per_second(without, body)) for _ in range(rounds)]
        with_it, without_it = (median(each) for each in zip(*pairs, strict=True))
        print(
            f"{name}: {with_it:.0f} requests/s, without {without_it:.0f}: ratio {median(a / b for a, b in pairs):.3f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
