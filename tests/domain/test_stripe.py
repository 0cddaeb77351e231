"""Stripe, by its own library over a real socket: whatever is lost, late, doubled or wrong, its books and ours agree."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.test import Client

from domain import gateways, locks, orders, outbox, payments, refunds
from domain.deliveries import HANDLERS
from domain.gateways import stripe as gateway
from domain.gateways.protocol import Charge
from storefront.models import (
    GatewayEvent,
    Order,
    OrderEventKind,
    OrderState,
    OutboxMessage,
    Payment,
    PaymentProvider,
    PaymentState,
    Refund,
)
from tests.factories import NOW, ShippingMethodFactory, VariantFactory
from tests.fake_stripe import SECRET, FakeStripe, event

pytestmark = pytest.mark.django_db
LOST = int(os.environ.get("LOST_ANSWERS", "12"))


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
def order(stripe, placed_order):
    return placed_order({VariantFactory(price=Decimal(20)): 1}, shipping=ShippingMethodFactory(price=0))


def pay(order, method="", now=NOW):
    return payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order),
        provider=PaymentProvider.STRIPE,
        method=method,
        return_url="https://shop.example/done",
        now=now,
    )


def tell(body, signature):
    return Client().post(
        "/webhooks/stripe/", body, content_type="application/json", headers={"stripe-signature": signature}
    )


def look_into_events(now=NOW):
    handlers = {kind: lambda *_: None for kind in HANDLERS} | {payments.EVENT: payments.look_into}
    outbox.relay(handlers, clock=lambda: now.replace(year=2099))


def books_agree(stripe):
    ours = Payment.objects.filter(state=PaymentState.SUCCEEDED).values_list("pk", "amount", "refunded")
    assert sorted((str(pk), int(amount * 100), int(refunded * 100)) for pk, amount, refunded in ours) == stripe.books()


def paid_events(order):
    return order.events.filter(kind=OrderEventKind.PAID).count()


# ── ways to pay ──────────────────────────────────────────────────────────────────────────────────────


def test_the_buyer_confirms_in_the_browser_and_stripe_tells_us(order, stripe):
    payment = pay(order)
    assert (payment.state, payment.client_secret) == (PaymentState.REQUIRES_ACTION, "pi_1_secret")
    assert pay(order).pk == payment.pk
    assert len(stripe.intents) == 1
    stripe.confirm("pi_1", "pm_card_visa")
    assert tell(*event(stripe.intents["pi_1"])).status_code == 200
    look_into_events()
    order.refresh_from_db()
    assert order.state == OrderState.PAID
    assert Payment.objects.get().client_secret == ""
    books_agree(stripe)


def test_a_payment_method_is_confirmed_at_once(order, stripe):
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    assert stripe.books() == [(str(Payment.objects.get().pk), 2000, 0)]
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    assert stripe.confirmed == 1


def test_a_declined_card_ends_its_intent_and_another_card_pays(order, stripe):
    with pytest.raises(payments.PaymentDeclined) as declined:
        pay(order, "pm_declined")
    assert declined.value.message == "Your card was declined."
    assert stripe.intents["pi_1"]["status"] == "canceled"
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    books_agree(stripe)


def test_the_bank_asks_the_buyer_first(order, stripe):
    payment = pay(order, "pm_3ds")
    assert (payment.state, payment.redirect_url) == (PaymentState.REQUIRES_ACTION, "https://hooks.stripe.example/3ds")
    stripe.confirm(payment.reference, "pm_card_visa")
    assert pay(order).state == PaymentState.SUCCEEDED
    books_agree(stripe)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("20.00", "EUR", 2000),
        ("300", "JPY", 300),
        ("5.120", "KWD", 5120),
        ("300", "ISK", 30000),
        ("300.00", "MGA", 300),
    ],
)
def test_amounts_are_in_stripes_own_minor_units(stripe, amount, currency, minor):
    key = Payment().pk
    charge = Charge(key=key, amount=Decimal(amount), currency=currency, method="pm_card_visa")
    outcome = gateways.by_provider(PaymentProvider.STRIPE).charge(charge)
    assert stripe.intents["pi_1"]["amount"] == minor
    assert (outcome.amount, outcome.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize(("amount", "currency"), [("5.125", "KWD"), ("300.50", "MGA")])
def test_an_amount_that_stripe_cannot_take_is_refused_before_it_is_asked(stripe, amount, currency):
    charge = Charge(key=Payment().pk, amount=Decimal(amount), currency=currency)
    assert gateways.by_provider(PaymentProvider.STRIPE).charge(charge).state == PaymentState.FAILED
    assert stripe.intents == {}


# ── answers that are lost or late ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("found_by", ["the buyer", "the reconciler", "the webhook"])
def test_money_that_was_taken_without_an_answer_has_its_order(stripe, placed_order, found_by):
    """Making the intent is answered, confirming it is not: charged, and the connection dropped."""
    variant, shipping = VariantFactory(stock__on_hand=1_000, price=Decimal(20)), ShippingMethodFactory(price=0)
    for number in range(LOST):
        order = placed_order({variant: 1}, shipping=shipping)
        stripe.lose.extend([False, True])
        with pytest.raises(payments.PaymentUnavailable):
            pay(order, "pm_card_visa")
        if found_by == "the buyer":
            pay(order, "pm_card_visa")
        elif found_by == "the reconciler":
            payments.reconcile(now=NOW + timedelta(minutes=3))
        else:
            intent = list(stripe.intents.values())[-1]
            tell(*event(intent, id=f"evt_{number}"))
            look_into_events()
        assert paid_events(order) == 1
    assert stripe.confirmed == LOST == Order.objects.filter(state=OrderState.PAID).count()
    books_agree(stripe)


def test_an_intent_whose_making_was_not_answered_is_found_by_its_key(order, stripe):
    stripe.lose.append(True)
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "pm_card_visa")
    pay(order, "pm_card_visa")
    assert (len(stripe.intents), stripe.confirmed) == (1, 1)
    books_agree(stripe)


@pytest.mark.django_db(transaction=True)
def test_a_gateway_that_hangs_holds_no_lock_and_the_buyer_has_an_answer_in_ten_seconds(order, stripe):
    stripe.hang.append(60)
    began = time.monotonic()

    def wait_for_it():
        try:
            pay(order, "pm_card_visa")
        except payments.PaymentUnavailable:
            return time.monotonic() - began
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait_for_it)
        while not stripe.intents:
            time.sleep(0.01)
        asked = time.monotonic()
        with transaction.atomic():
            assert locks.order(Order.objects.filter(pk=order.pk)) == order
        assert time.monotonic() - asked < 1
        assert not waiting.done()
        assert waiting.result() < 10
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED
    books_agree(stripe)


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_stripe_has_just_signed_is_noted(order, stripe):
    pay(order)
    intent = stripe.intents["pi_1"]
    body, good = event(intent)
    for changed, signature in (
        (body, "t=1,v1=00"),
        (body, ""),
        (body.replace("pi_1", "pi_2"), good),
        event(intent, secret="whsec_another"),
        event(intent, at=time.time() - 301),
        ("junk", good),
    ):
        assert tell(changed, signature).status_code == 400
    assert not GatewayEvent.objects.exists()
    assert Client().get("/webhooks/stripe/").status_code == 405
    for unknown in ("test", "paypal"):
        assert Client().post(f"/webhooks/{unknown}/").status_code == 404


def test_an_event_about_nothing_of_ours_is_acknowledged_and_shown(stripe):
    assert tell(*event({"id": "pi_9", "object": "payment_intent", "metadata": {}})).status_code == 200
    look_into_events()
    noted = GatewayEvent.objects.get()
    assert (noted.payment, noted.reference, noted.processed_at is None) == (None, "pi_9", False)


def test_an_event_whose_gateway_is_away_is_looked_into_later(order, stripe):
    pay(order)
    stripe.confirm("pi_1", "pm_card_visa")
    tell(*event(stripe.intents["pi_1"]))
    stripe.lose.append(True)
    look_into_events()
    message = OutboxMessage.objects.get(kind=payments.EVENT)
    assert (message.delivered_at, message.attempts) == (None, 1)
    OutboxMessage.objects.update(due_at=NOW)
    look_into_events()
    assert paid_events(order) == 1


def test_money_for_a_payment_that_was_over_is_still_found(order, stripe):
    pay(order)
    later = NOW + timedelta(minutes=20)
    orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order), now=later)
    assert Payment.objects.get().state == PaymentState.CANCELLED
    stripe.confirm("pi_1", "pm_card_visa")
    tell(*event(stripe.intents["pi_1"]))
    look_into_events()
    order.refresh_from_db()
    assert order.state == OrderState.PAID  # Its goods were still there.
    books_agree(stripe)


@pytest.mark.django_db(transaction=True)
def test_one_event_ten_times_at_once_among_its_siblings_is_one_transition(order, stripe):
    pay(order)
    stripe.confirm("pi_1", "pm_card_visa")
    intent = stripe.intents["pi_1"]
    charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "metadata": {}}
    sent = [event(intent)] * 10
    sent += [event(intent, "payment_intent.created", "evt_0"), event(charge, "charge.succeeded", "evt_2")]

    def arrive(what):
        try:
            return tell(*what).status_code
        finally:
            connections.close_all()

    def work(_):
        try:
            look_into_events()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(arrive, sent)) == {200}
        list(threads.map(work, range(4)))
    assert GatewayEvent.objects.count() == 3
    assert set(GatewayEvent.objects.values_list("payment", flat=True)) == {Payment.objects.get().pk}
    assert paid_events(order) == 1
    books_agree(stripe)


@pytest.mark.django_db(transaction=True)
def test_a_webhook_that_races_the_buyers_own_confirmation_pays_once(stripe, placed_order):
    variant, shipping = VariantFactory(stock__on_hand=1_000, price=Decimal(20)), ShippingMethodFactory(price=0)

    def run(act):
        try:
            act()
        finally:
            connections.close_all()

    for number in range(LOST):
        order = placed_order({variant: 1}, shipping=shipping)
        payment = pay(order)
        stripe.confirm(payment.reference, "pm_card_visa")
        tell(*event(stripe.intents[payment.reference], id=f"evt_{number}"))
        with ThreadPoolExecutor(3) as threads:
            acts = [look_into_events, lambda order=order: pay(order), lambda order=order: pay(order, "pm_card_visa")]
            list(threads.map(run, acts))
        assert paid_events(order) == 1
    assert stripe.confirmed == LOST
    books_agree(stripe)


def test_a_bank_that_takes_its_time_pays_an_order_that_was_given_up_meanwhile(order, stripe):
    payment = pay(order)
    stripe.intents["pi_1"]["status"] = "processing"
    assert pay(order).state == PaymentState.PENDING
    later = NOW + timedelta(minutes=16)
    orders.expire(order_id=order.pk, now=later)
    assert payments.reconcile(now=later) == 0
    stripe.intents["pi_1"]["status"] = "requires_payment_method"
    stripe.confirm("pi_1", "pm_card_visa")
    assert payments.reconcile(now=later + timedelta(hours=1)) == 1
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.state, payment.state) == (OrderState.PAID, PaymentState.SUCCEEDED)
    books_agree(stripe)


def test_a_gateway_that_no_longer_knows_what_it_knew_tells_nothing(order, stripe):
    """As with the key of another account: whether money was taken is not known by that."""
    pay(order)
    intent = stripe.intents.pop("pi_1")
    assert payments.reconcile(now=NOW + timedelta(hours=1)) == 0
    assert Payment.objects.get().state == PaymentState.REQUIRES_ACTION
    stripe.intents["pi_1"] = intent
    stripe.confirm("pi_1", "pm_card_visa")
    assert payments.reconcile(now=NOW + timedelta(hours=3)) == 1
    books_agree(stripe)


# ── what was not agreed ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tampered", [{"amount_received": 100}, {"currency": "huf"}, {"amount_received": 999_900}])
def test_another_amount_or_currency_pays_nothing_and_goes_back(order, stripe, tampered):
    pay(order)
    stripe.confirm("pi_1", "pm_card_visa")
    stripe.intents["pi_1"] |= tampered
    tell(*event(stripe.intents["pi_1"]))
    look_into_events()
    order.refresh_from_db()
    assert order.state == OrderState.AWAITING_PAYMENT
    kinds = list(order.events.values_list("kind", flat=True))
    assert kinds[-2:] == [OrderEventKind.REFUND_DUE, OrderEventKind.REFUNDED]
    assert Refund.objects.get().state == PaymentState.SUCCEEDED
    assert [given for _, _, given in stripe.books()] == [stripe.intents["pi_1"]["amount_received"]]
    assert pay(order, "pm_card_visa").state == PaymentState.SUCCEEDED


# ── giving back ──────────────────────────────────────────────────────────────────────────────────────


def give(order, amount=None, request_id="1"):
    payment = order.payments.get()
    return refunds.refund(payment_id=payment.pk, request_id=request_id, amount=amount, actor=None, now=NOW)


def test_parts_and_the_rest_go_back(order, stripe):
    pay(order, "pm_card_visa")
    give(order, Decimal("7.50"))
    give(order, request_id="2")
    assert stripe.books()[0][1:] == (2000, 2000)
    order.refresh_from_db()
    assert order.state == OrderState.REFUNDED
    books_agree(stripe)


@pytest.mark.parametrize("forgotten", [False, True], ids=["soon", "after a day"])
def test_a_refund_whose_answer_was_lost_is_given_once(order, stripe, forgotten):
    pay(order, "pm_card_visa")
    stripe.lose.extend([False, True])  # What is there is answered, that it was given is not.
    assert give(order, Decimal(5)).state == PaymentState.PENDING
    if forgotten:
        stripe.forget_keys()
    assert refunds.reconcile(now=NOW + timedelta(minutes=3)) == 1
    assert len(stripe.refunds) == 1
    books_agree(stripe)


def test_a_refund_that_takes_its_time_is_asked_about_until_it_ends(order, stripe):
    pay(order, "pm_card_visa")
    stripe.refunds_wait = True
    assert give(order, Decimal(5)).state == PaymentState.PENDING
    assert refunds.reconcile(now=NOW + timedelta(minutes=3)) == 0
    next(iter(stripe.refunds.values()))["status"] = "succeeded"
    assert refunds.reconcile(now=NOW + timedelta(minutes=6)) == 1
    books_agree(stripe)


def test_a_refund_that_stripe_refuses_is_told(order, stripe):
    pay(order, "pm_card_visa")
    stripe._new_refund({"payment_intent": "pi_1", "amount": "1500"})  # By hand, in Stripe's dashboard.
    refund = give(order, Decimal(10))
    assert (refund.state, refund.failure) == (PaymentState.FAILED, "Refused: more than was taken")
    assert Payment.objects.get().refunded == 0
