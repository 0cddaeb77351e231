"""Nothing stale: two processes of a real gunicorn answer buyers from what they keep while prices change."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread

import pytest
from django.conf import settings as configured
from django.db import connection

from domain.catalog import products
from storefront.models import ProductVariant
from tests.commercia.test_workers import free_port, wait_until
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parent.parent.parent
PROMISED = 1.0
CHANGES = int(os.environ.get("PRICE_CHANGES", "8"))
QUERY = "query Fresh { products(first: 1) { nodes { priceRange { min { amount } } variants { price { amount } } } } }"
REDIS = [pytest.param(True, id="redis")] if configured.REDIS_URL else []


@pytest.fixture(params=[pytest.param(False, id="each for itself"), *REDIS])
def shop(request, tmp_path):
    """The port of a shop on the test's database, and its log."""
    database, port, log = connection.settings_dict, free_port(), tmp_path / "log"
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    environment = os.environ | {
        "DEBUG": "true",
        "DATABASE_URL": url,
        "REDIS_URL": configured.REDIS_URL if request.param else "",
        "BROKER_URL": "",
        "IN_PROCESS_WORKER": "false",
        "LOG_FORMAT": "json",
        "WEB_CONCURRENCY": "2",
        "CATALOG_STALE_SECONDS": str(PROMISED),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", f"127.0.0.1:{port}"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "commercia.wsgi"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    wait_until(lambda: answers(port))
    yield port, log
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(port):
    try:
        return ask(port, "{ shop { name } }")
    except OSError:
        return None


def ask(port, query):
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        server.request("POST", "/graphql/", json.dumps({"query": query}), {"content-type": "application/json"})
        body = json.loads(server.getresponse().read())
    finally:
        server.close()
    assert "errors" not in body, body
    return body["data"]


def test_after_a_price_has_changed_no_answer_is_older_than_the_promised_seconds(shop):
    port, log = shop
    variant = VariantFactory(price=Decimal(0))
    committed, seen, end = [(time.monotonic(), 0)], [], Event()

    def buy():
        while not end.is_set():
            asked = time.monotonic()
            (product,) = ask(port, QUERY)["products"]["nodes"]
            seen.append((asked, Decimal(product["variants"][0]["price"]["amount"])))

    buyers = [Thread(target=buy) for _ in range(6)]
    for buyer in buyers:
        buyer.start()
    for price in range(1, CHANGES + 1):
        time.sleep(0.3 + 0.11 * price % 0.7)
        ProductVariant.objects.filter(pk=variant.pk).update(price=price)
        products.refresh_derived(product=variant.product)
        committed.append((time.monotonic(), price))
    time.sleep(PROMISED + 0.5)
    end.set()
    for buyer in buyers:
        buyer.join(30)

    assert len(seen) > 100
    for asked, price in seen:
        known = max(was for at, was in committed if at <= asked - PROMISED or was == 0)
        assert price >= known, f"{price} was given {asked - dict(map(reversed, committed))[known]:.2f} s after {known}."
    assert seen[-1][1] == CHANGES
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"Fresh"' in line]
    states = Counter(line["cache"] for line in lines)
    assert states["hit"] + states["stale"] > 0.8 * len(lines), states
