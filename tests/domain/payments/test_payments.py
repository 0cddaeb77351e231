from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.base import outbox
from domain.base.errors import InvalidInput, NotFound
from domain.jobs.handlers import HANDLERS
from domain.payments import gateways, payments
from domain.payments.gateways.test import TestGateway
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
    Stock,
    TestCharge,
)
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(placed_order):
    return placed_order({VariantFactory(price=Decimal("20.00")): 1})


def pay(order, method="ok", **given):
    given = {"viewer": None, "receipt": orders.receipt(order=order), "provider": PaymentProvider.TEST, **given}
    return payments.start(order_id=order.pk, method=method, now=NOW, **given)


def state():
    return Order.objects.get().state


def events():
    return [event.kind for event in Order.objects.get().events.all()]


class GatewayWhere(TestGateway):
    """The test gateway, where something else happens between the charge and its answer."""

    def __init__(self, meanwhile):
        self.meanwhile = [meanwhile]

    def charge(self, charge):
        outcome = super().charge(charge)
        if self.meanwhile:
            self.meanwhile.pop()()
        return outcome


@pytest.fixture
def meanwhile(monkeypatch):
    """`meanwhile(call)`: the next charge is under way while the call happens."""

    def happens(call):
        gateway = GatewayWhere(call)
        monkeypatch.setattr(gateways, "gateway_for", lambda *, provider: gateway)

    return happens


def test_payment_that_succeeds_pays_the_order(order):
    payment = pay(order)
    assert (payment.state, payment.amount, payment.currency) == (PaymentState.SUCCEEDED, order.total, "EUR")
    assert state() == OrderState.PAID
    assert events() == [OrderEventKind.PLACED, OrderEventKind.PAYMENT_STARTED, OrderEventKind.PAID]
    assert Order.objects.get().events.last().message == "24.90 EUR by test gateway (no money moves)"


def test_declined_order_can_be_paid_by_a_new_payment(order):
    with pytest.raises(payments.PaymentDeclined) as refused:
        pay(order, "decline")
    assert (refused.value.message, refused.value.field) == ("The card was declined.", ("payment_method",))
    declined = refused.value.payment
    assert (declined, declined.state) == (Payment.objects.get(), PaymentState.FAILED)
    assert declined.failure == "The card was declined."
    assert state() == OrderState.AWAITING_PAYMENT
    pay(order)
    assert [payment.state for payment in Payment.objects.order_by("state")] == [
        PaymentState.FAILED,
        PaymentState.SUCCEEDED,
    ]
    assert events()[2:] == [OrderEventKind.PAYMENT_FAILED, OrderEventKind.PAYMENT_STARTED, OrderEventKind.PAID]


def test_unknown_method_is_declined(order):
    with pytest.raises(payments.PaymentDeclined):
        pay(order, "shells")


def test_buyer_confirms_the_same_payment(order):
    asked = pay(order, "action", return_url="https://shop.example/thanks")
    assert (asked.state, asked.redirect_url) == (PaymentState.REQUIRES_ACTION, "https://shop.example/thanks")
    assert asked.client_secret
    assert state() == OrderState.AWAITING_PAYMENT
    confirmed = pay(order, "confirm")
    assert (confirmed, confirmed.reference) == (asked, asked.reference)
    assert state() == OrderState.PAID
    assert events().count(OrderEventKind.PAYMENT_STARTED) == 1


def test_order_has_one_open_payment_however_often_it_is_started(order):
    assert len({pay(order, "action") for _ in range(3)}) == 1


def test_confirmation_that_fails_leaves_the_order_to_be_paid_anew(order):
    asked = pay(order, "action")
    with pytest.raises(payments.PaymentDeclined):
        pay(order, "decline")
    assert pay(order) != asked
    assert state() == OrderState.PAID


def test_gateway_without_an_answer_leaves_the_payment_pending(order):
    with pytest.raises(payments.PaymentUnavailable) as refused:
        pay(order, "timeout")
    asked = refused.value.payment
    assert (asked, asked.state, asked.asked_at) == (Payment.objects.get(), PaymentState.PENDING, NOW)
    assert refused.value.field == ("provider",)
    assert (Payment.objects.get().state, state()) == (PaymentState.PENDING, OrderState.AWAITING_PAYMENT)


@pytest.mark.parametrize(("method", "ends"), [("ok", PaymentState.SUCCEEDED), ("decline", PaymentState.FAILED)])
def test_retry_after_no_answer_ends_the_same_payment(order, method, ends):
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "timeout")
    asked = Payment.objects.get()
    with suppress(payments.PaymentDeclined):
        pay(order, method)
    payment = Payment.objects.get()
    assert (payment, payment.state) == (asked, ends)


@pytest.mark.parametrize("method", ["webhook", "webhook_twice", "webhook_disordered"])
def test_the_test_gateway_can_tell_by_events_alone(order, method):
    assert pay(order, method).state == PaymentState.PENDING
    assert not TestCharge.objects.filter(state=PaymentState.FAILED).exists()
    for _ in range(2):  # What it tells, and then the look into that.
        outbox.relay(handlers=HANDLERS, clock=lambda: NOW.replace(year=2099))
    assert order.events.filter(kind=OrderEventKind.PAID).count() == 1
    assert GatewayEvent.objects.filter(payment=order.payments.get()).count() == (2 if method.endswith("red") else 1)


def test_paid_order_is_not_charged_again(order):
    paid = pay(order)
    for method in ("ok", "decline", "timeout"):
        assert pay(order, method) == paid
    assert Payment.objects.count() == 1
    assert events().count(OrderEventKind.PAID) == 1


@pytest.mark.parametrize("since", [OrderState.SHIPPED, OrderState.DELIVERED])
def test_order_on_its_way_returns_the_payment_that_paid_it(order, since):
    paid = pay(order)
    Order.objects.update(state=since)
    assert pay(order) == paid


@pytest.mark.parametrize("ended", [OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REFUNDED])
def test_order_that_ended_is_not_charged(order, ended):
    Order.objects.update(state=ended)
    with pytest.raises(orders.OrderStateConflict):
        pay(order)
    assert not Payment.objects.exists()


def test_free_order_has_nothing_to_pay(placed_order):
    free = placed_order({VariantFactory(price=Decimal(0)): 1}, shipping=ShippingMethodFactory(price=Decimal(0)))
    with pytest.raises(orders.OrderStateConflict):
        pay(free)
    assert not Payment.objects.exists()


def test_provider_that_is_not_enabled_is_refused(order, settings):
    settings.PAYMENT_PROVIDERS = []
    with pytest.raises(payments.PaymentUnavailable) as refused:
        pay(order)
    assert (refused.value.field, refused.value.payment) == (("provider",), None)
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"method": "x" * 501}, "payment_method"),
        ({"return_url": f"https://shop.example/{'x' * 2000}"}, "return_url"),
        ({"return_url": "/thanks"}, "return_url"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
    ],
)
def test_input_that_no_gateway_takes_is_refused(order, given, field):
    with pytest.raises(InvalidInput) as refused:
        pay(order, **given)
    assert refused.value.field == (field,)
    assert not Payment.objects.exists()


def test_nobody_pays_an_order_that_they_may_not_see(placed_order):
    order = placed_order({VariantFactory(): 1}, UserFactory())
    for stranger in (None, UserFactory()):
        with pytest.raises(NotFound):
            pay(order, viewer=stranger, receipt=None)
    assert not Payment.objects.exists()


@pytest.mark.parametrize(("price", "ends"), [("15.12", "FAILED"), ("15.13", "REQUIRES_ACTION"), ("15.14", "SUCCEEDED")])
def test_without_a_token_the_amount_says_how_the_test_gateway_answers(placed_order, price, ends):
    order = placed_order(
        {VariantFactory(price=Decimal(price)): 1}, shipping=ShippingMethodFactory(price=Decimal("4.90"))
    )
    with suppress(payments.PaymentDeclined):
        pay(order, "")
    assert Payment.objects.get().state == ends


# ── what gateways tell ───────────────────────────────────────────────────────────────────────────────


def event(**given):
    values = {"id": "evt_1", "kind": "charge.succeeded", "reference": "ch_1", "payment": None, **given}
    return gateways.Event(**values)


def receive(event, provider=PaymentProvider.TEST):
    payments.receive(provider=provider, event=event, now=NOW)


def test_an_event_and_the_look_into_it_are_written_together_or_not_at_all(monkeypatch):
    def broken(**given):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "put", broken)
        with pytest.raises(RuntimeError):
            receive(event())
    assert not GatewayEvent.objects.exists()
    receive(event())  # As the gateway sends it again.
    assert OutboxMessage.objects.get(kind=payments.EVENT).payload == {"event": GatewayEvent.objects.get().pk}


def test_an_event_is_noted_once_for_each_provider_however_often_it_comes():
    for _ in range(2):
        receive(event())
        receive(event(), provider=PaymentProvider.STRIPE)
    assert GatewayEvent.objects.count() == OutboxMessage.objects.filter(kind=payments.EVENT).count() == 2


def test_an_event_is_about_the_payment_that_it_names_or_whose_reference_it_has(order):
    payment = pay(order)
    other = PaymentProvider.STRIPE
    told = {
        "by id": (event(id="1", payment=payment.pk, reference=""), PaymentProvider.TEST, payment),
        "by reference": (event(id="2", reference=payment.reference), PaymentProvider.TEST, payment),
        "an unknown id": (event(id="3", payment=order.pk, reference=payment.reference), PaymentProvider.TEST, None),
        "an unknown reference": (event(id="4", reference="?"), PaymentProvider.TEST, None),
        "another gateway's": (event(id="5", payment=payment.pk, reference=payment.reference), other, None),
    }
    for given, provider, about in told.values():
        receive(given, provider)
        noted = GatewayEvent.objects.get(event_id=given.id)
        assert (noted.payment, noted.kind, noted.reference, noted.received_at) == (
            about,
            given.kind,
            given.reference,
            NOW,
        )


def test_an_event_without_a_reference_is_about_no_payment_that_has_none_yet(order):
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "timeout")
    assert Payment.objects.get().reference == ""
    receive(event(reference=""))
    assert GatewayEvent.objects.get().payment is None


def test_an_event_with_long_words_is_noted_by_their_beginnings():
    receive(event(id="i" * 300, kind="k" * 300, reference="r" * 300))
    noted = GatewayEvent.objects.get()
    assert (noted.event_id, noted.kind, noted.reference) == ("i" * 200, "k" * 100, "r" * 200)


# ── what happens while a gateway is asked ────────────────────────────────────────────────────────────


def test_nothing_moves_the_order_while_a_gateway_is_asked(order, meanwhile):
    def cancel():
        with pytest.raises(orders.OrderStateConflict):
            orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)

    meanwhile(cancel)
    pay(order)
    assert state() == OrderState.PAID


def test_twin_request_that_is_first_decides(order, meanwhile):
    meanwhile(lambda: pay(order, "ok"))
    assert pay(order, "ok").state == PaymentState.SUCCEEDED
    assert Payment.objects.count() == 1
    assert events().count(OrderEventKind.PAID) == 1


def test_money_taken_counts_though_a_twin_request_was_declined_first(order, meanwhile):
    def decline():
        TestCharge.objects.all().delete()  # A gateway that answers twins differently.
        with pytest.raises(payments.PaymentDeclined):
            pay(order, "decline")

    meanwhile(decline)
    pay(order, "ok")
    assert state() == OrderState.PAID
    assert Payment.objects.filter(state=PaymentState.SUCCEEDED).count() == 1


def test_money_taken_counts_though_a_twin_request_asked_for_action_and_the_order_was_cancelled(order, meanwhile):
    def ask_and_cancel():
        pay(order, "action")
        with suppress(orders.OrderStateConflict):
            orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)

    meanwhile(ask_and_cancel)
    pay(order, "ok")
    assert Payment.objects.get().state == PaymentState.SUCCEEDED
    assert state() == OrderState.PAID


@pytest.mark.parametrize(
    ("on_hand", "ends", "event", "reserved"),
    [(10, OrderState.PAID, OrderEventKind.PAID, 1), (0, OrderState.CANCELLED, OrderEventKind.REFUND_DUE, 0)],
    ids=["stock is left", "sold since"],
)
def test_money_of_a_gateway_that_was_no_longer_waited_for_still_counts(
    order, meanwhile, on_hand, ends, event, reserved
):
    def cancel_when_it_takes_too_long():
        late = NOW + timedelta(minutes=15, seconds=1)
        orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=late)
        assert (state(), Payment.objects.get().state) == (OrderState.CANCELLED, PaymentState.PENDING)
        Stock.objects.update(on_hand=on_hand)

    meanwhile(cancel_when_it_takes_too_long)
    assert pay(order, "ok").state == PaymentState.SUCCEEDED
    assert Payment.objects.get().state == PaymentState.SUCCEEDED
    assert (state(), events()[-1]) == (ends, event)
    assert Stock.objects.get().reserved == reserved


@pytest.mark.parametrize("method", ["decline", "action"])
def test_late_answer_without_money_leaves_the_cancelled_order_as_it_is(order, meanwhile, method):
    def cancel_when_it_takes_too_long():
        late = NOW + timedelta(minutes=15, seconds=1)
        orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=late)

    meanwhile(cancel_when_it_takes_too_long)
    assert pay(order, method).state == PaymentState.CANCELLED
    assert Payment.objects.get().state == PaymentState.CANCELLED
    assert (state(), events()[-1]) == (OrderState.CANCELLED, OrderEventKind.CANCELLED)
    assert Stock.objects.get().reserved == 0
