"""A process that is killed with -9 at any point of a sale: the client tries again, reconciling runs, the books agree.

KILLS says how often each point is tried; 10 were, on PostgreSQL.
"""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from domain import audit, orders, outbox, payments, refunds, stock
from domain import cart as carts
from domain.deliveries import HANDLERS
from domain.gateways import Event
from domain.gateways import stripe as gateway
from storefront.models import Order, OrderEventKind, PaymentProvider, StockPolicy
from tests.factories import ShippingMethodFactory, VariantFactory, totals
from tests.fake_stripe import SECRET, FakeStripe

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("KILLS", "1"))
# Where the process dies: right after this has returned.
POINTS = {
    "place, before its commit": ("place", "domain.stock.reserve"),
    "place, after its commit": ("place", "domain.orders.place"),
    "pay, the intent is committed": ("pay", "domain.payments._intend"),
    "pay, the gateway has an intent": ("pay", "domain.gateways.stripe.StripeGateway._intent"),
    "pay, the money was taken": ("pay", "domain.gateways.stripe.StripeGateway.charge"),
    "pay, before the answer is committed": ("pay", "domain.orders.settle"),
    "pay, after the answer is committed": ("pay", "domain.payments._record"),
    "webhook, it is noted": ("tell", "domain.payments.receive"),
    "webhook, the gateway was asked": ("tell", "domain.gateways.stripe.StripeGateway.look_up"),
    "refund, it is committed": ("give", "domain.refunds._intend"),
    "refund, the money was given": ("give", "domain.gateways.stripe.StripeGateway.refund"),
    "refund, before the answer is committed": ("give", "domain.refunds._given"),
}
SCRIPT = """
import importlib, json, os, signal, sys
import django
django.setup()
point, act, given = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
owner, _, name = point.rpartition(".")
try:
    owner = importlib.import_module(owner)
except ModuleNotFoundError:
    module, _, cls = owner.rpartition(".")
    owner = getattr(importlib.import_module(module), cls)
original = getattr(owner, name)

def dies(*args, **kwargs):
    original(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, dies)
sys.path.insert(0, ".")
from tests.domain import test_crashes
getattr(test_crashes, act)(given)
"""


def place(given):
    key = carts.CartKey(code=given["cart"])
    return orders.place(key=key, expected_total=Decimal(given["total"]), now=timezone.now()).order


def pay(given, method="pm_card_visa"):
    order = Order.objects.get(cart__code=given["cart"])
    return payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order),
        provider=PaymentProvider.STRIPE,
        method=method,
        now=timezone.now(),
    )


def tell(given):
    event = Event(id="evt_1", kind="payment_intent.succeeded", reference="pi_1", payment=None)
    payments.receive(provider=PaymentProvider.STRIPE, event=event, now=timezone.now())
    work()


def give(given):
    payment = Order.objects.get(cart__code=given["cart"]).payments.get()
    return refunds.refund(payment_id=payment.pk, request_id="1", amount=Decimal(5), actor=None, now=timezone.now())


def work(now=None):
    handlers = {kind: lambda *_: None for kind in HANDLERS} | {payments.EVENT: payments.look_into}
    outbox.relay(handlers, clock=lambda: now or timezone.now())


@pytest.fixture
def stripe(settings):
    fake = FakeStripe()
    settings.PAYMENT_PROVIDERS = ["STRIPE"]
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", SECRET
    settings.STRIPE_API_BASE = fake.url
    gateway._client.cache_clear()
    yield fake
    gateway._client.cache_clear()
    fake.stop()


@pytest.fixture
def killed(stripe):
    """`killed(point, act, given)`: a process that dies there."""
    database = connection.settings_dict
    url = f"sqlite:///{database['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    told = {"PAYMENT_PROVIDERS": "STRIPE", "STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_WEBHOOK_SECRET": SECRET}
    told |= {"STRIPE_API_BASE": stripe.url, "DATABASE_URL": url, "DEBUG": "true", "REDIS_URL": ""}

    def run(point, act, given):
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, point, act, json.dumps(given)],
            cwd=ROOT,
            env=os.environ | told | {"DJANGO_SETTINGS_MODULE": "commercia.settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr

    return run


@pytest.mark.parametrize("where", POINTS)
@pytest.mark.parametrize("number", list(range(KILLS)))
def test_whoever_is_killed_in_a_sale_loses_and_doubles_nothing(stripe, killed, ready_cart, where, number):
    variant = VariantFactory(stock__on_hand=0, price=Decimal(20))
    with transaction.atomic():
        stock.count(variants={variant: (StockPolicy.DENY, 10)}, actor=None, now=timezone.now())
    cart = ready_cart({variant: 1}, shipping=ShippingMethodFactory(price=0))
    given = {"cart": cart.code, "total": str(totals(cart).total)}
    act, point = POINTS[where]
    ways = {"place": [], "pay": [place], "give": [place, pay], "tell": [place, lambda it: pay(it, "")]}
    for before in ways[act]:
        before(given)
    if act == "tell":
        stripe.confirm("pi_1", "pm_card_visa")

    killed(point, act, given)

    order = place(given)  # The client's retry: whatever it was doing, it gets the same order.
    globals()[act](given)
    later = timezone.now() + timedelta(minutes=30)
    work(later)
    payments.reconcile(now=later)
    refunds.reconcile(now=later)
    assert Order.objects.get() == order
    assert audit.breaches() == []
    assert audit.gateway_breaches(since=later - timedelta(days=1)) == []
    if act != "place":
        assert stripe.confirmed == 1
        assert order.events.filter(kind=OrderEventKind.PAID).count() == 1
        assert [taken for _, taken, _ in stripe.books()] == [2000]
    assert [given for _, _, given in stripe.books() if given] == ([500] if act == "give" else [])
