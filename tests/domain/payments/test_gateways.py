"""Stripe, PayPal and Flutterwave over a real socket: whatever is lost, late, doubled or wrong, the books agree."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.db.models import Sum
from django.test import Client

from domain.base import locks, outbox
from domain.catalog import stock
from domain.jobs.handlers import HANDLERS
from domain.payments import check_books, gateways, payments, refunds
from domain.sales import orders
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
    StockPolicy,
    UnverifiedEvent,
)
from tests.factories import NOW, ShippingMethodFactory, VariantFactory
from tests.fake_gateways import FAKES, FakeFlutterwave, FakeFlutterwaveUnsigned, FakeStripe

pytestmark = pytest.mark.django_db
# How often each story is told in which an answer is lost, or two arrive at once.
LOST = int(os.environ.get("LOST_ANSWERS", "8"))
LATER = NOW + timedelta(minutes=3)


@pytest.fixture(params=FAKES, ids=lambda fake: fake.provider.lower())
def gateway(request, settings):
    fake = request.param()
    fake.use(settings)
    yield fake
    fake.stop()


@pytest.fixture
def new_order(placed_order):
    """Orders of 20.00, of a variant whose stock came by a count."""
    variant, shipping = VariantFactory(stock__on_hand=0, price=Decimal(20)), ShippingMethodFactory(price=0)
    with transaction.atomic():
        stock.record_count(variants={variant: (StockPolicy.DENY, 1_000)}, actor=None, now=NOW)
    return lambda: placed_order({variant: 1}, shipping=shipping)


@pytest.fixture
def order(new_order):
    return new_order()


def start(order, method="", now=NOW):
    payment = payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider(gateway_of(order)),
        method=method,
        return_url="https://shop.example/done",
        now=now,
    )
    payment.refresh_from_db()
    return payment


def gateway_of(order):
    from django.conf import settings  # noqa: PLC0415 (what the fixture has set)

    return settings.PAYMENT_PROVIDERS[0]


def paid(order, gateway):
    payment = start(order)
    gateway.agree(payment)
    payment = start(order, gateway.method)
    assert payment.state == PaymentState.SUCCEEDED
    return payment


def tell(gateway, event):
    body, headers = event
    address = f"/webhooks/{gateway.provider.lower()}/"
    return Client().post(address, body, content_type="application/json", headers=headers).status_code


def look_into_events(now=NOW):
    ours = {payments.EVENT: payments.process_event, payments.UNVERIFIED_EVENT: payments.verify_event}
    outbox.relay(handlers={kind: lambda *_: None for kind in HANDLERS} | ours, clock=lambda: now)


def give(payment, amount=None, request_id="1", now=NOW):
    return refunds.refund(payment_id=payment.pk, request_id=request_id, amount=amount, actor=None, now=now)


def books_agree(gateway):
    ours = Payment.objects.filter(state=PaymentState.SUCCEEDED).values_list("pk", "amount", "refunded")
    assert sorted((str(pk), amount, refunded) for pk, amount, refunded in ours) == gateway.books()
    assert check_books.breaches() == []
    assert check_books.gateway_breaches(since=NOW - timedelta(days=1)) == []


def paid_events(order):
    return order.events.filter(kind=OrderEventKind.PAID).count()


def at_once(acts):
    def run(act):
        try:
            return act()
        except (payments.PaymentUnavailable, orders.OrderStateConflict) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


# ── ways to pay ──────────────────────────────────────────────────────────────────────────────────────


def test_the_buyer_comes_back_and_has_paid(order, gateway):
    payment = start(order)
    assert payment.state == PaymentState.REQUIRES_ACTION
    assert payment.client_secret or payment.redirect_url
    again = start(order)
    assert (again.pk, again.redirect_url) == (payment.pk, payment.redirect_url)
    gateway.agree(payment)
    assert start(order, gateway.method).state == PaymentState.SUCCEEDED
    assert start(order, gateway.method).state == PaymentState.SUCCEEDED
    assert (gateway.taken, paid_events(order)) == (1, 1)
    books_agree(gateway)


@pytest.mark.parametrize("found_by", ["the webhook", "the reconciler"])
def test_the_buyer_pays_and_never_comes_back(order, gateway, found_by):
    payment = start(order)
    gateway.pay(payment)
    if found_by == "the webhook":
        assert tell(gateway, gateway.event_of(payment)) == 200
        look_into_events()
    else:
        payments.reconcile(now=LATER)
    order.refresh_from_db()
    assert (order.state, gateway.taken) == (OrderState.PAID, 1)
    books_agree(gateway)


# ── answers that are lost or late ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("found_by", ["the buyer", "the reconciler", "the webhook"])
def test_money_that_was_taken_without_an_answer_has_its_order(gateway, new_order, found_by):
    """The gateway takes it and drops the connection."""
    for _ in range(LOST):
        order = new_order()
        payment = start(order)
        gateway.agree(payment)
        gateway.lose.extend([*[False] * gateway.answers_before_taking, True])
        with pytest.raises(payments.PaymentUnavailable):
            start(order, gateway.method)
        if found_by == "the buyer":
            start(order, gateway.method)
        elif found_by == "the reconciler":
            payments.reconcile(now=LATER)
        else:
            tell(gateway, gateway.event_of(payment))
            look_into_events()
        assert paid_events(order) == 1
    assert gateway.taken == LOST == Order.objects.filter(state=OrderState.PAID).count()
    books_agree(gateway)


def test_a_payment_whose_beginning_was_not_answered_is_begun_once(order, gateway):
    gateway.lose.extend([False, True] if gateway.provider == "PAYPAL" else [True])  # PayPal first gives a token.
    with pytest.raises(payments.PaymentUnavailable):
        start(order)
    paid(order, gateway)
    assert (gateway.taken, Payment.objects.count()) == (1, 1)
    books_agree(gateway)


def test_a_payment_that_never_reached_the_gateway_fails_after_a_while(order, gateway):
    gateway.lose.extend([True])
    with pytest.raises(payments.PaymentUnavailable):
        start(order)
    payments.reconcile(now=NOW + timedelta(minutes=20))
    assert gateway.taken == 0
    order.refresh_from_db()
    assert order.state == OrderState.AWAITING_PAYMENT
    paid(order, gateway)
    books_agree(gateway)


@pytest.mark.django_db(transaction=True)
def test_a_gateway_that_hangs_holds_no_lock_and_the_buyer_has_an_answer_in_ten_seconds(order, gateway):
    gateway.hang.append(60)
    began = time.monotonic()

    def wait_for_it():
        try:
            start(order)
        except payments.PaymentUnavailable:
            return time.monotonic() - began
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait_for_it)
        while not gateway.asked:
            time.sleep(0.01)
        asked = time.monotonic()
        with transaction.atomic():
            assert locks.order(candidates=Order.objects.filter(pk=order.pk)) == order
        assert time.monotonic() - asked < 1
        assert not waiting.done()
        assert waiting.result() < 10
    paid(order, gateway)
    books_agree(gateway)


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_the_gateway_has_signed_is_noted(order, gateway):
    payment = start(order)
    body, good = gateway.event_of(payment)
    bad = [(body, {}), (body, dict.fromkeys(good, "t=1,v1=00")), (body, dict.fromkeys(good, "ü")), ("junk", good)]
    forged = [
        (body.replace(str(payment.pk), str(order.pk)), good),
        gateway.event({"id": "1", "object": "payment_intent"}, secret="another"),
    ]
    if gateway.provider != "FLUTTERWAVE":  # Its events have no time.
        bad.append(gateway.event({"id": "1", "object": "payment_intent"}, at=time.time() - 301))
    for event in bad:
        assert tell(gateway, event) == 400
    for event in forged:  # Only PayPal itself can say that of its own: after the answer.
        assert tell(gateway, event) == (200 if gateway.provider == "PAYPAL" else 400)
    look_into_events()
    assert not GatewayEvent.objects.exists()
    assert not UnverifiedEvent.objects.exists()
    assert Client().get(f"/webhooks/{gateway.provider.lower()}/").status_code == 405
    for unknown in ("test", "nobody"):
        assert Client().post(f"/webhooks/{unknown}/").status_code == 404


def test_signed_junk_is_refused(gateway):
    for junk in ("[]", '"text"', "7", "null", "{}", '{"data": 1}', '{"data": {}}', "[" * 20_000):
        _, headers = gateway.event({"id": "x"})
        assert tell(gateway, (junk, headers)) == 400
    assert not GatewayEvent.objects.exists()
    assert not UnverifiedEvent.objects.exists()


def test_no_gateway_is_asked_before_its_event_is_answered(order, gateway):
    payment = start(order)
    gateway.pay(payment)
    before = gateway.asked
    assert tell(gateway, gateway.event_of(payment)) == 200
    assert gateway.asked == before


@pytest.mark.parametrize("fake", [FakeFlutterwave, FakeFlutterwaveUnsigned])
def test_flutterwave_shows_its_secret_or_signs_with_it_and_one_is_not_taken_for_the_other(fake, settings):
    gateway, other = fake(), (FakeFlutterwaveUnsigned if fake.signs else FakeFlutterwave)()
    gateway.use(settings)
    assert tell(gateway, gateway.event_of_nothing()) == 200
    assert tell(gateway, other.event_of_nothing()) == 400
    for each in (gateway, other):
        each.stop()


def test_an_event_about_nothing_of_ours_is_acknowledged_and_shown(gateway):
    assert tell(gateway, gateway.event_of_nothing()) == 200
    look_into_events()
    noted = GatewayEvent.objects.get()
    assert (noted.payment, noted.processed_at is None) == (None, False)
    assert noted.reference.endswith("9")


def test_an_event_whose_gateway_is_away_is_looked_into_later(order, gateway):
    payment = start(order)
    gateway.pay(payment)
    tell(gateway, gateway.event_of(payment))
    gateway.lose.append(True)
    look_into_events()
    kind = payments.UNVERIFIED_EVENT if gateway.provider == "PAYPAL" else payments.EVENT
    message = OutboxMessage.objects.get(kind=kind)
    assert (message.delivered_at, message.attempts) == (None, 1)
    look_into_events(now=LATER)
    assert paid_events(order) == 1
    books_agree(gateway)


@pytest.mark.django_db(transaction=True)
def test_one_event_ten_times_at_once_among_its_siblings_is_one_transition(order, gateway):
    payment = start(order)
    opened = gateway.event_of(payment, "opened")
    gateway.pay(payment)
    sent = [gateway.event_of(payment, "refunded"), *[gateway.event_of(payment)] * 10, opened]
    assert set(at_once([lambda event=event: tell(gateway, event) for event in sent])) == {200}
    at_once([look_into_events] * 4)
    assert GatewayEvent.objects.count() == 3
    about = GatewayEvent.objects.exclude(kind="refund.completed")  # Flutterwave's names an id that we do not know yet.
    assert set(about.values_list("payment", flat=True)) == {payment.pk}
    assert paid_events(order) == 1
    books_agree(gateway)


@pytest.mark.django_db(transaction=True)
def test_a_webhook_that_races_the_buyers_own_confirmation_pays_once(gateway, new_order):
    for _ in range(LOST):
        order = new_order()
        payment = start(order)
        gateway.pay(payment)
        tell(gateway, gateway.event_of(payment))
        confirm = [lambda order=order: start(order), lambda order=order: start(order, gateway.method)]
        at_once([look_into_events, *confirm, lambda: payments.reconcile(now=LATER)])
        start(order)
        assert paid_events(order) == 1
    assert gateway.taken == LOST
    books_agree(gateway)


# ── what was given up ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("found_by", ["the webhook", "the reconciler"])
def test_money_for_a_payment_that_was_given_up_is_found(order, gateway, found_by):
    """Stripe and Flutterwave take it all the same; at PayPal it is for us to take, and we do not."""
    payment = start(order)
    later = NOW + timedelta(minutes=20)
    orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=later)
    assert Payment.objects.get().state == PaymentState.CANCELLED
    gateway.pay(payment)
    if found_by == "the webhook":
        tell(gateway, gateway.event_of(payment))
        look_into_events()
    else:
        payments.reconcile(now=later)
    order.refresh_from_db()
    assert gateway.taken == (gateway.provider != "PAYPAL")
    assert order.state == (OrderState.PAID if gateway.taken else OrderState.CANCELLED)  # Its goods were still there.
    books_agree(gateway)


def test_what_was_given_up_is_looked_for_a_week_and_no_longer(order, gateway):
    start(order)
    orders.expire(order_id=order.pk, now=NOW + timedelta(days=1))
    asked = []
    for day in range(1, 30):
        before = gateway.asked
        payments.reconcile(now=NOW + timedelta(days=day))
        asked += [day] * (gateway.asked > before)
    assert 3 <= len(asked) <= 5
    assert 7 <= asked[-1] <= 16
    assert Payment.objects.get().check_at is None


@pytest.mark.parametrize("fake", [FakeStripe, FakeFlutterwave])
@pytest.mark.django_db(transaction=True)
def test_two_payments_of_7_and_11_whose_events_race_are_18_taken_and_18_given_back(fake, settings, order):
    gateway = fake()
    gateway.use(settings)
    first = start(order)
    Payment.objects.update(state=PaymentState.FAILED)
    second = start(order)
    for payment, amount in ((first, 7), (second, 11)):
        gateway.pay(payment)
        gateway.tamper(payment, amount=Decimal(amount))
        tell(gateway, gateway.event_of(payment))
    at_once([look_into_events] * 2)
    refunds.reconcile(now=LATER)
    sums = order.payments.aggregate(taken=Sum("amount"), given=Sum("refunded"))
    assert sums == {"taken": 18, "given": 18}
    order.refresh_from_db()
    assert order.state == OrderState.AWAITING_PAYMENT
    books_agree(gateway)
    gateway.stop()


# ── what was not agreed ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tampered", [{"amount": Decimal(1)}, {"currency": "USD"}, {"amount": Decimal(9_999)}])
def test_another_amount_or_currency_pays_nothing_and_goes_back(order, gateway, tampered):
    payment = start(order)
    if gateway.provider == "PAYPAL":
        gateway.tamper(payment, **tampered)
    gateway.pay(payment)
    if gateway.provider != "PAYPAL":
        gateway.tamper(payment, **tampered)
    tell(gateway, gateway.event_of(payment))
    look_into_events()
    refunds.reconcile(now=LATER)
    order.refresh_from_db()
    assert order.state == OrderState.AWAITING_PAYMENT
    kinds = list(order.events.values_list("kind", flat=True))
    assert kinds[-2:] == [OrderEventKind.REFUND_DUE, OrderEventKind.REFUNDED]
    ((_, taken, given),) = gateway.books()
    assert taken == given == tampered.get("amount", 20)
    books_agree(gateway)
    paid(order, gateway)


# ── giving back ──────────────────────────────────────────────────────────────────────────────────────


def test_parts_and_the_rest_go_back(order, gateway):
    payment = paid(order, gateway)
    for number, amount in enumerate(["7.50", "1.25", "2.25", "0.75"]):
        assert give(payment, Decimal(amount), request_id=f"part {number}").state == PaymentState.SUCCEEDED
    give(payment, request_id="the rest")
    assert gateway.books() == [(str(payment.pk), 20, 20)]
    order.refresh_from_db()
    assert order.state == OrderState.REFUNDED
    books_agree(gateway)


@pytest.mark.parametrize("forgotten", [False, True], ids=["soon", "after a day"])
def test_a_refund_whose_answer_was_lost_is_given_once(order, gateway, forgotten):
    payment = paid(order, gateway)
    # What stands is looked up first: one answer, but two at Flutterwave; PayPal's order is looked at once more.
    before = 1 if gateway.provider == "STRIPE" else 2
    gateway.lose.extend([*[False] * before, True])
    assert give(payment, Decimal(5)).state == PaymentState.PENDING
    if forgotten:
        gateway.forget_keys()
    assert give(payment, Decimal(5)).state == PaymentState.PENDING  # Whoever asked may still be at it.
    at = NOW + timedelta(minutes=3)
    assert refunds.reconcile(now=at) == 1
    assert [given for _, _, given in gateway.books()] == [5]
    books_agree(gateway)


@pytest.mark.django_db(transaction=True)
def test_a_refund_that_many_ask_for_at_once_is_given_once(order, gateway):
    payment = paid(order, gateway)
    gateway.forget_keys()
    at_once([lambda: give(payment, Decimal(5))] * 8)
    refunds.reconcile(now=LATER)
    gateway.refunds_wait = True
    give(payment, Decimal(2), request_id="2")
    at_once([lambda: refunds.reconcile(now=LATER)] * 4)
    gateway.end_refunds()
    refunds.reconcile(now=LATER + timedelta(minutes=30))
    assert [given for _, _, given in gateway.books()] == [7]
    books_agree(gateway)


@pytest.mark.django_db(transaction=True)
def test_more_than_was_taken_is_never_given_however_many_ask(order, gateway):
    payment = paid(order, gateway)
    answers = at_once([lambda n=n: give(payment, Decimal(5), request_id=str(n)) for n in range(8)])
    assert sum(isinstance(answer, Refund) for answer in answers) == 4
    assert [given for _, _, given in gateway.books()] == [20]
    order.refresh_from_db()
    assert order.state == OrderState.REFUNDED
    books_agree(gateway)


def test_a_refund_that_takes_its_time_is_asked_about_until_it_ends(order, gateway):
    payment = paid(order, gateway)
    gateway.refunds_wait = True
    assert give(payment, Decimal(5)).state == PaymentState.PENDING
    assert refunds.reconcile(now=NOW + timedelta(minutes=3)) == 0
    tell(gateway, gateway.event_of(payment, "refunded"))
    look_into_events()
    assert Refund.objects.get().state == PaymentState.PENDING
    gateway.end_refunds()
    assert refunds.reconcile(now=NOW + timedelta(minutes=6)) == 1
    books_agree(gateway)


def test_a_refund_that_takes_its_time_counts_as_given_back_and_one_that_failed_does_not(order, settings):
    gateway = FakeStripe()
    gateway.use(settings)
    payment = paid(order, gateway)
    charge = gateways.charge_of(payment=payment)
    stripe = gateways.gateway_for(provider=PaymentProvider.STRIPE)
    assert stripe.refunded_total(charge) == 0
    give(payment, Decimal("1.50"))
    gateway.refunds_wait = True
    give(payment, Decimal(5), request_id="2")
    assert stripe.refunded_total(charge) == Decimal("6.50")
    assert check_books.gateway_breaches(since=NOW - timedelta(days=1)) == []
    *_, waiting = gateway.refunds.values()
    for status in ("failed", "canceled"):
        waiting["status"] = status
        assert stripe.refunded_total(charge) == Decimal("1.50")
    for status in ("requires_action", "", None):
        waiting["status"] = status
        assert stripe.refunded_total(charge) == Decimal("6.50")
    gateway.stop()


def test_a_webhook_tells_that_a_refund_has_ended(order, gateway):
    payment = paid(order, gateway)
    gateway.refunds_wait = True
    give(payment, Decimal(5))
    gateway.end_refunds()
    tell(gateway, gateway.event_of(payment, "refunded"))
    look_into_events()
    assert Refund.objects.get().state == PaymentState.SUCCEEDED
    books_agree(gateway)


def test_a_refund_that_the_gateway_refuses_is_told_and_what_was_given_by_hand_is_named(order, gateway):
    payment = paid(order, gateway)
    gateway.refund_by_hand(payment, Decimal(15))  # In the gateway's dashboard.
    refund = give(payment, Decimal(10))
    assert refund.state == PaymentState.FAILED
    assert "more than was taken" in refund.failure
    assert Payment.objects.get().refunded == 0
    (breach,) = check_books.gateway_breaches(since=NOW - timedelta(days=1))
    assert (breach.row, "15" in breach.found) == (f"payment {payment.pk}", True)


def test_a_gateway_that_is_away_keeps_nobody_from_the_others(new_order, settings):
    fakes = [FakeStripe(), FakeFlutterwave()]
    for gateway in fakes:
        gateway.use(settings)
        for _ in range(4):
            gateway.pay(start(new_order()))
    fakes[0].lose.extend([True] * 10)
    before = fakes[0].asked
    assert payments.reconcile(now=LATER) == 4
    assert Order.objects.filter(state=OrderState.PAID).count() == 4
    assert fakes[0].asked == before + 3
    for gateway in fakes:
        gateway.stop()
