"""A process that is killed with -9 at any point of a sale: the client tries again, reconciling runs, the books agree.

KILLS says how often each point is tried; 10 were, on PostgreSQL.
"""

import os
import signal
import warnings
from datetime import timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from django.db import connections, transaction
from django.utils import timezone

from domain.base import outbox
from domain.catalog import stock
from domain.jobs.handlers import HANDLERS
from domain.payments import check_books, payments, refunds
from domain.payments.gateways import Event
from domain.sales import cart as carts
from domain.sales import orders
from storefront.models import Order, OrderEventKind, PaymentProvider, StockPolicy
from tests.factories import ShippingMethodFactory, VariantFactory, totals
from tests.fake_gateways import FAKES

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = int(os.environ.get("KILLS", "1"))
CLASSES = {
    "STRIPE": "domain.payments.gateways.stripe.StripeGateway",
    "PAYPAL": "domain.payments.gateways.paypal.PayPalGateway",
    "FLUTTERWAVE": "domain.payments.gateways.flutterwave.FlutterwaveGateway",
}
# Where the process dies: right after this has returned. {gateway} is each gateway's class in turn.
POINTS = {
    "place, before its commit": ("place", "domain.catalog.stock.reserve"),
    "place, after its commit": ("place", "domain.sales.orders.place"),
    "pay, the intent is committed": ("pay", "domain.payments.gateways.gateway_for"),
    "pay, the gateway has begun": ("begin", "{gateway}.charge"),
    "pay, the money was taken": ("pay", "{gateway}.charge"),
    "pay, before the answer is committed": ("pay", "domain.sales.orders.settle"),
    "pay, after the answer is committed": ("pay", "domain.payments.payments.start"),
    "webhook, it is noted": ("tell", "domain.payments.payments.receive"),
    "webhook, the gateway was asked": ("tell", "{gateway}.look_up"),
    "webhook, before what it said is committed": ("tell", "domain.sales.orders.settle"),
    "refund, it is committed": ("give", "domain.payments.gateways.next_check"),
    "refund, what stands was looked up": ("give", "{gateway}.look_up_refund"),
    "refund, the money was given": ("give", "{gateway}.refund"),
    "refund, before the answer is committed": ("give", "domain.base.outbox.put"),
}


def place(given):
    key = carts.CartKey(code=given["cart"])
    return orders.place(key=key, expected_total=Decimal(given["total"]), now=timezone.now()).order


def begin(given, method=""):
    order = Order.objects.get(cart__code=given["cart"])
    return payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider(given["provider"]),
        method=method,
        now=timezone.now(),
    )


def pay(given):
    return begin(given, given["method"])


def tell(given):
    payment = Order.objects.get(cart__code=given["cart"]).payments.get()
    event = Event(id="evt_1", kind="paid", reference="", payment=payment.pk)
    payments.receive(provider=PaymentProvider(given["provider"]), event=event, now=timezone.now())
    work()


def give(given):
    payment = Order.objects.get(cart__code=given["cart"]).payments.get()
    return refunds.refund(payment_id=payment.pk, request_id="1", amount=Decimal(5), actor=None, now=timezone.now())


def work(now=None):
    ours = {payments.EVENT: payments.process_event, payments.UNVERIFIED_EVENT: payments.verify_event}
    outbox.relay(handlers={kind: lambda *_: None for kind in HANDLERS} | ours, clock=lambda: now or timezone.now())


@pytest.fixture(params=FAKES, ids=lambda fake: fake.provider.lower())
def gateway(request, settings):
    fake = request.param()
    fake.use(settings)
    yield fake
    fake.stop()


def dying_at(point):
    """Has the process kill itself right after the function has returned."""
    owner, _, name = point.rpartition(".")
    try:
        owner = import_module(owner)
    except ModuleNotFoundError:
        module, _, cls = owner.rpartition(".")
        owner = getattr(import_module(module), cls)
    original = getattr(owner, name)

    def dies(*given, **named):
        original(*given, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dies)


def killed(point, act, given):
    """A process that dies there: a copy of this one, with connections of its own."""
    connections.close_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # The gateway's threads are in this process alone.
        child = os.fork()
    if child == 0:
        try:
            dying_at(point)
            act(given)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"It did not die: {os.waitstatus_to_exitcode(status)}"
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("where", POINTS)
@pytest.mark.parametrize("number", list(range(KILLS)))
def test_whoever_is_killed_in_a_sale_loses_and_doubles_nothing(gateway, ready_cart, where, number):
    variant = VariantFactory(stock__on_hand=0, price=Decimal(20))
    with transaction.atomic():
        stock.record_count(variants={variant: (StockPolicy.DENY, 10)}, actor=None, now=timezone.now())
    cart = ready_cart({variant: 1}, shipping=ShippingMethodFactory(price=0))
    given = {"cart": cart.code, "total": str(totals(cart).total)}
    given |= {"provider": gateway.provider, "method": gateway.method}
    act, point = POINTS[where]
    agree = [begin, lambda given: gateway.agree(begin(given))]
    ways = {"place": [], "begin": [place], "pay": [place, *agree], "give": [place, *agree, pay]}
    for before in ways.get(act, [place, begin]):
        before(given)
    if act == "tell":
        gateway.pay(Order.objects.get().payments.get())

    killed(point.format(gateway=CLASSES[gateway.provider]), globals()[act], given)

    order = place(given)  # The client's retry: whatever it was doing, it gets the same order.
    globals()[act](given)
    later = timezone.now() + timedelta(minutes=30)
    work(later)
    payments.reconcile(now=later)
    refunds.reconcile(now=later)
    assert Order.objects.get() == order
    assert check_books.breaches() == []
    assert check_books.gateway_breaches(since=later - timedelta(days=1)) == []
    was_paid = act in {"pay", "tell", "give"}
    assert gateway.taken == was_paid
    assert order.events.filter(kind=OrderEventKind.PAID).count() == was_paid
    assert [taken for _, taken, _ in gateway.books()] == [20] * was_paid
    assert [given for _, _, given in gateway.books() if given] == ([5] if act == "give" else [])
