"""A gateway that hangs does not stop browsing. Tested with a real gunicorn process in its default configuration."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection

from domain.sales import orders
from schema.base import ids
from storefront.models import GatewayEvent, UnverifiedEvent
from tests.commercia.test_workers import free_port, wait_until
from tests.factories import ShippingMethodFactory, VariantFactory
from tests.fake_gateways import FakePayPal

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parent.parent.parent
START = """mutation($input: StartPaymentInput!) { startPayment(input: $input) {
  payment { state } userErrors { code message } } }"""


class Shop:
    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None, headers=None):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        link.request(method, path, body, {"content-type": "application/json", **(headers or {})})
        answer = link.getresponse()
        text = answer.read()
        link.close()
        return answer.status, text

    def is_up(self):
        try:
            return self.ask("GET", "/livez")[0] == 200
        except OSError:
            return False

    def pay(self, order):
        given = {"orderId": ids.encode("Order", order.pk), "receipt": orders.receipt(order=order), "provider": "PAYPAL"}
        return json.loads(self.ask("POST", "/graphql/", json.dumps({"query": START, "variables": {"input": given}}))[1])


@pytest.fixture
def gateway(settings):
    fake = FakePayPal()
    fake.use(settings)
    yield fake
    fake.hang.clear()
    fake.stop()


@pytest.fixture
def shop(gateway, settings):
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    environment = os.environ | {name: str(value) for name, value in gateway.settings().items()}
    environment |= {
        "DEBUG": "true",
        "DATABASE_URL": url,
        "SECRET_KEY": settings.SECRET_KEY,
        "JWT_KEY": settings.JWT_KEY,
        "IN_PROCESS_WORKER": "false",
        "CATALOG_CACHE_MEGABYTES": "0",
        "REDIS_URL": "",
        "BROKER_URL": "",
        "WEB_CONCURRENCY": "1",
        "PAYMENT_PROVIDERS": "PAYPAL",
    }
    environment.pop("WEB_THREADS", None)
    environment.pop("GATEWAY_THREADS", None)
    running = Shop(free_port())
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", f"127.0.0.1:{running.port}"]
    process = subprocess.Popen(
        [*command, "commercia.wsgi"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(running.is_up)
        yield running
    finally:
        process.terminate()
        process.wait(40)


def browse(shop):
    """How many seconds a visitor of the catalogue waits."""
    began = time.monotonic()
    assert shop.ask("GET", "/graphql/?query=%7Bproducts(first:10)%7Bnodes%7Btitle%7D%7D%7D")[0] == 200
    assert shop.ask("GET", "/readyz")[0] == 200
    return time.monotonic() - began


def test_twelve_buyers_whose_gateway_hangs_keep_nobody_from_browsing(shop, gateway, placed_order):
    variant, shipping = VariantFactory(stock__on_hand=100), ShippingMethodFactory(price=0)
    waiting = [placed_order({variant: 1}, shipping=shipping) for _ in range(12)]
    gateway.hang.extend([6] * 100)
    answers = []
    buyers = [
        threading.Thread(target=lambda order=order: answers.append(shop.pay(order)["data"]["startPayment"]))
        for order in waiting
    ]
    for buyer in buyers:
        buyer.start()
    wait_until(lambda: gateway.asked)
    waits = []
    while len(answers) < len(buyers) and len(waits) < 10:
        waits.append(browse(shop))
    assert len(waits) >= 3, "somebody who browsed had to wait until the gateway gave up"
    assert sorted(waits)[-2] < 1
    for buyer in buyers:
        buyer.join()
    told = [error for answer in answers for error in answer["userErrors"]]
    assert [error["code"] for error in told] == ["PAYMENT_UNAVAILABLE"] * 12
    # Those who got the answer "busy" have started nothing, and may cancel or try again at once.
    assert sum("busy" in error["message"] for error in told) == sum(answer["payment"] is None for answer in answers)
    gateway.hang.clear()
    answer = shop.pay(waiting[0])["data"]["startPayment"]
    assert (answer["userErrors"], answer["payment"]["state"]) == ([], "REQUIRES_ACTION")


def test_webhooks_that_only_a_hanging_gateway_could_verify_are_answered_without_it(shop, gateway):
    gateway.hang.extend([6] * 100)
    for number in range(12):
        body, headers = gateway.event({"id": "ORDER9", "purchase_units": [{}]}, id=f"WH-{number}")
        assert shop.ask("POST", "/webhooks/paypal/", body, headers)[0] == 200
    assert gateway.asked == 0  # No request waited for the gateway.
    assert (UnverifiedEvent.objects.count(), GatewayEvent.objects.count()) == (12, 0)
