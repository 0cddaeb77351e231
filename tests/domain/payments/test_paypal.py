"""Rules that only PayPal has: its currencies, declined payments, its tokens, and events that it verifies later.
The other rules are in test_gateways."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections
from django.test import Client

from domain.base import outbox
from domain.jobs import clocks
from domain.payments import gateways, payments, refunds
from domain.payments.gateways import GatewayUnavailable
from domain.payments.gateways.protocol import Charge
from domain.sales import orders
from storefront.models import GatewayEvent, OutboxMessage, Payment, PaymentProvider, PaymentState, UnverifiedEvent
from tests.factories import NOW, ShippingMethodFactory, VariantFactory
from tests.fake_gateways import FakePayPal

pytestmark = pytest.mark.django_db


@pytest.fixture
def paypal(settings):
    fake = FakePayPal()
    fake.use(settings)
    yield fake
    fake.stop()


def charge(amount, currency="EUR", **given):
    wanted = Charge(key=Payment().pk, amount=Decimal(amount), currency=currency, number="A1", **given)
    return wanted, gateways.gateway_for(provider=PaymentProvider.PAYPAL).charge(wanted)


@pytest.mark.parametrize(
    ("amount", "currency", "sent"), [("20.00", "EUR", "20.00"), ("300", "JPY", "300"), ("300.00", "HUF", "300")]
)
def test_amounts_have_the_decimals_that_paypal_takes(paypal, amount, currency, sent):
    charge(amount, currency)
    (order,) = paypal.orders.values()
    assert order["purchase_units"][0]["amount"] == {"value": sent, "currency_code": currency}


def test_an_amount_that_paypal_cannot_take_is_refused_before_it_is_asked(paypal):
    _, outcome = charge("300.50", "HUF")
    assert (outcome.state, paypal.asked) == (PaymentState.FAILED, 0)


def test_what_paypal_declines_is_over_and_the_buyer_begins_anew(paypal, placed_order):
    order = placed_order({VariantFactory(price=Decimal("20.02")): 1}, shipping=ShippingMethodFactory(price=0))
    given = {"order_id": order.pk, "viewer": None, "receipt": orders.receipt(order=order), "now": NOW}
    payment = payments.start(**given, provider=PaymentProvider.PAYPAL)
    paypal.agree(payment)
    with pytest.raises(payments.PaymentDeclined) as declined:
        payments.start(**given, provider=PaymentProvider.PAYPAL)
    assert declined.value.message == "The instrument was declined."
    assert payments.start(**given, provider=PaymentProvider.PAYPAL).pk != payment.pk


def test_an_approval_that_has_lapsed_is_over(paypal):
    _, outcome = charge(20, reference="ORDER99")
    assert (outcome.state, outcome.failure) == (PaymentState.FAILED, "The resource does not exist.")


def test_one_token_serves_until_paypal_no_longer_takes_it(paypal):
    charge(20)
    charge(20)
    assert paypal.asked == 3
    paypal.lose.append(True)
    with pytest.raises(GatewayUnavailable):
        charge(20)
    charge(20)
    assert paypal.asked == 6


def test_a_capture_that_waits_for_paypal_is_asked_about(paypal):
    wanted, made = charge(20)
    order = paypal.orders[made.reference]
    unit = order["purchase_units"][0]
    unit["payments"]["captures"].append({"id": "C1", "status": "PENDING", "amount": unit["amount"]})
    order["status"] = "COMPLETED"
    gateway = gateways.gateway_for(provider=PaymentProvider.PAYPAL)
    wanted = Charge(key=wanted.key, amount=wanted.amount, currency="EUR", reference=made.reference)
    for status, state in (
        ("PENDING", PaymentState.PENDING),
        ("DECLINED", PaymentState.FAILED),
        ("COMPLETED", PaymentState.SUCCEEDED),
        ("PARTIALLY_REFUNDED", PaymentState.SUCCEEDED),
    ):
        unit["payments"]["captures"][0]["status"] = status
        assert gateway.look_up(wanted).state == state


# ── events ───────────────────────────────────────────────────────────────────────────────────────────


def tell(event):
    body, headers = event
    return Client().post("/webhooks/paypal/", body, content_type="application/json", headers=headers)


def work(now=NOW):
    handlers = {payments.EVENT: lambda *_: None, payments.UNVERIFIED_EVENT: payments.verify_event}
    return outbox.relay(handlers=handlers, clock=lambda: now)


def about_nothing(paypal, **given):
    return paypal.event({"id": "ORDER9", "purchase_units": [{}]}, **given)


def waiting():
    return OutboxMessage.objects.filter(delivered_at=None, given_up_at=None).values_list("kind", flat=True)


def test_an_event_is_kept_as_it_came_and_noted_once_paypal_has_verified_it(paypal):
    body, headers = about_nothing(paypal)
    assert tell((body, headers)).status_code == 200
    kept = UnverifiedEvent.objects.get()
    assert kept.body == body
    assert {name.lower(): text for name, text in kept.signature_headers.items()} == headers
    assert (list(waiting()), GatewayEvent.objects.exists()) == ([payments.UNVERIFIED_EVENT], False)
    work()
    noted = GatewayEvent.objects.get()
    assert (noted.event_id, noted.received_at) == ("WH-EVENT-1", kept.received_at)
    assert not UnverifiedEvent.objects.exists()


def test_the_same_event_again_is_looked_into_once(paypal):
    for _ in range(3):
        assert tell(about_nothing(paypal)).status_code == 200
        work()
    tell(about_nothing(paypal))
    tell(about_nothing(paypal))
    work()
    assert GatewayEvent.objects.count() == 1
    assert OutboxMessage.objects.filter(kind=payments.EVENT).count() == 1


def test_a_forged_event_with_the_id_of_a_real_one_keeps_nothing_from_it(paypal, caplog):
    assert tell(about_nothing(paypal, kind="FORGED", secret="another")).status_code == 200
    assert tell(about_nothing(paypal)).status_code == 200
    assert tell(about_nothing(paypal, kind="FORGED", secret="another")).status_code == 200
    work()
    assert GatewayEvent.objects.get().kind == "CHECKOUT.ORDER.APPROVED"
    assert not UnverifiedEvent.objects.exists()
    assert caplog.text.count("that PayPal did not send") == 2


def test_an_event_that_paypal_gives_no_answer_about_is_asked_about_again(paypal):
    tell(about_nothing(paypal))
    paypal.lose.extend([True, False, True])
    work()
    work(NOW + timedelta(minutes=1))
    assert (UnverifiedEvent.objects.count(), GatewayEvent.objects.count()) == (1, 0)
    work(NOW + timedelta(minutes=5))
    assert (UnverifiedEvent.objects.count(), GatewayEvent.objects.count()) == (0, 1)


def test_an_event_that_was_good_when_it_came_is_not_too_old_for_having_waited(paypal):
    tell(about_nothing(paypal))
    work(NOW + timedelta(days=6))
    assert GatewayEvent.objects.count() == 1


def fail(*_, **__):
    raise RuntimeError("The process dies here.")


def test_an_event_and_the_promise_to_verify_it_are_kept_together_or_not_at_all(paypal, monkeypatch):
    monkeypatch.setattr(outbox, "put", fail)
    with pytest.raises(RuntimeError):
        tell(about_nothing(paypal))
    assert not UnverifiedEvent.objects.exists()


def test_an_event_is_noted_with_the_promise_to_look_into_it_or_still_waits(paypal, monkeypatch):
    tell(about_nothing(paypal))
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "put", fail)
        work()
    assert (UnverifiedEvent.objects.count(), GatewayEvent.objects.count()) == (1, 0)
    work(NOW + timedelta(minutes=1))
    assert (UnverifiedEvent.objects.count(), GatewayEvent.objects.count()) == (0, 1)
    assert list(waiting()) == []


def test_a_worker_that_died_after_it_had_noted_an_event_notes_it_once(paypal):
    tell(about_nothing(paypal))
    work()
    OutboxMessage.objects.filter(kind=payments.UNVERIFIED_EVENT).update(delivered_at=None, due_at=NOW)
    work()
    assert GatewayEvent.objects.count() == 1
    assert OutboxMessage.objects.filter(kind=payments.EVENT).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_verify_the_same_event_at_once_note_it_once(paypal):
    tell(about_nothing(paypal))
    message = OutboxMessage.objects.get()
    paypal.hang.extend([0.2] * 4)

    def verify(_):
        try:
            payments.verify_event(message.payload, "", NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(verify, range(4)))
    assert GatewayEvent.objects.count() == 1
    assert OutboxMessage.objects.filter(kind=payments.EVENT).count() == 1


def test_forged_events_fill_no_more_than_their_room_and_paypal_is_to_send_again(paypal, monkeypatch):
    monkeypatch.setattr(payments, "MAX_UNVERIFIED_EVENTS", 3)
    forged = about_nothing(paypal, secret="another")
    assert [tell(forged).status_code for _ in range(4)] == [200, 200, 200, 503]
    answer = tell(about_nothing(paypal))
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert UnverifiedEvent.objects.count() == OutboxMessage.objects.count() == 3
    work()
    assert tell(about_nothing(paypal)).status_code == 200


def test_what_waits_to_be_verified_delays_nothing_else_that_is_owed(paypal):
    tell(about_nothing(paypal))
    outbox.put(kind="mail", payload={}, now=NOW + timedelta(seconds=1))
    done = []
    handlers = {payments.UNVERIFIED_EVENT: lambda *_: done.append("event"), "mail": lambda *_: done.append("mail")}
    outbox.relay(handlers=handlers, clock=lambda: NOW + timedelta(seconds=2))
    assert done == ["mail", "event"]


@pytest.mark.parametrize("name", ["id", "time", "sig", "algo", "cert"])
@pytest.mark.parametrize("text", [None, "", "ü", "x" * 1001])
def test_what_cannot_be_an_event_of_paypals_is_refused_and_not_kept(paypal, name, text):
    body, headers = about_nothing(paypal)
    (header,) = (each for each in headers if name in each.split("-"))
    changed = headers | {header: text} if text is not None else {k: v for k, v in headers.items() if k != header}
    assert tell((body, changed)).status_code == 400
    assert not UnverifiedEvent.objects.exists()


@pytest.mark.parametrize("body", [b"", b"junk", b"\xff", b"\xef\xbb\xbf{}", json.dumps({"id": 1}).encode("utf-16")])
def test_what_is_no_json_is_refused_and_not_kept(paypal, body):
    _, headers = about_nothing(paypal)
    assert tell((body, headers)).status_code == 400
    assert not UnverifiedEvent.objects.exists()


def test_an_event_that_is_too_long_is_refused_and_not_kept(paypal, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    assert tell(about_nothing(paypal, id="x" * 1_000)).status_code in {400, 413}
    assert not UnverifiedEvent.objects.exists()


def test_events_that_nobody_could_verify_for_a_fortnight_are_deleted(paypal):
    tell(about_nothing(paypal))
    kept = UnverifiedEvent.objects.get()
    clocks.run(name="prune", now=kept.received_at + timedelta(days=13))
    assert UnverifiedEvent.objects.exists()
    clocks.run(name="prune", now=kept.received_at + timedelta(days=14))
    assert not UnverifiedEvent.objects.exists()
    work(NOW + timedelta(days=30))
    assert (list(waiting()), paypal.asked) == ([], 0)


# ── the limit on waiting requests ────────────────────────────────────────────────────────────────────


def test_whoever_finds_too_many_waiting_for_paypal_begins_nothing_and_may_try_again(paypal, placed_order, settings):
    order = placed_order({VariantFactory(price=Decimal(20)): 1}, shipping=ShippingMethodFactory(price=0))
    given = {"order_id": order.pk, "viewer": None, "receipt": orders.receipt(order=order), "now": NOW}
    settings.GATEWAY_THREADS = 1
    with gateways.waiting_slot(provider=PaymentProvider.PAYPAL), pytest.raises(payments.PaymentUnavailable) as refused:
        payments.start(**given, provider=PaymentProvider.PAYPAL)
    assert refused.value.payment is None
    assert (Payment.objects.count(), paypal.asked) == (0, 0)
    assert payments.start(**given, provider=PaymentProvider.PAYPAL).state == PaymentState.REQUIRES_ACTION


def test_a_refund_that_finds_too_many_waiting_for_paypal_is_asked_for_by_the_clock(paypal, placed_order, settings):
    order = placed_order({VariantFactory(price=Decimal(20)): 1}, shipping=ShippingMethodFactory(price=0))
    given = {"order_id": order.pk, "viewer": None, "receipt": orders.receipt(order=order), "now": NOW}
    payment = payments.start(**given, provider=PaymentProvider.PAYPAL)
    paypal.agree(payment)
    payments.start(**given, provider=PaymentProvider.PAYPAL)
    settings.GATEWAY_THREADS = 1
    with gateways.waiting_slot(provider=PaymentProvider.PAYPAL):
        refund = refunds.refund(payment_id=payment.pk, request_id="1", actor=None, now=NOW)
        assert refund.state == PaymentState.PENDING
        assert refunds.reconcile(now=NOW) == 1
    assert [given for _, _, given in paypal.books()] == [20]
