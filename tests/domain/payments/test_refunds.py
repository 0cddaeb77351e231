"""Money goes back once, never more than was taken, and whatever nobody answered is asked for again."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connections
from django.db.models import F

from domain.base.errors import DomainError, InvalidInput, NotFound, RequestIdReused
from domain.payments import gateways, payments, refunds
from domain.payments.gateways.test import TestGateway
from domain.sales import fulfilment, orders
from storefront.models import (
    Order,
    OrderEventKind,
    OrderState,
    Payment,
    PaymentProvider,
    PaymentState,
    Refund,
    Stock,
    TestCharge,
    TestRefund,
)
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


def pay(order, method="ok", now=NOW):
    return payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider.TEST,
        method=method,
        now=now,
    )


def give(payment, amount=None, request_id="1", now=NOW, **given):
    amount = None if amount is None else Decimal(amount)
    given = {"actor": None, **given}
    return refunds.refund(payment_id=payment.pk, amount=amount, request_id=request_id, now=now, **given)


@pytest.fixture
def variant():
    return VariantFactory(price=Decimal(50), stock__on_hand=10)


@pytest.fixture
def payment(paid_order, variant):
    """Of an order over 100.00 EUR, for two units."""
    return paid_order({variant: 2}, shipping=ShippingMethodFactory(price=0)).payments.get()


def stock_of(variant):
    row = Stock.objects.get(variant=variant)
    return row.on_hand, row.reserved


def books_agree():
    """What we know and what the gateway knows of what it took and gave back."""
    taken = TestCharge.objects.filter(state=PaymentState.SUCCEEDED)
    ours = Payment.objects.filter(state=PaymentState.SUCCEEDED)
    assert Counter(ours.values_list("pk", "amount", "refunded")) == Counter(
        taken.values_list("key", "amount", "refunded")
    )
    given = Refund.objects.filter(state=PaymentState.SUCCEEDED)
    assert set(given.values_list("pk", "amount")) == set(TestRefund.objects.values_list("key", "amount"))


def test_all_of_it_goes_back_and_the_goods_are_for_sale_again(payment, variant):
    clerk = UserFactory(is_staff=True)
    refund = give(payment, reason="Changed their mind", actor=clerk)
    order = Order.objects.get()
    assert (refund.state, refund.amount, order.state) == (PaymentState.SUCCEEDED, 100, OrderState.REFUNDED)
    assert stock_of(variant) == (10, 0)
    event = order.events.last()
    assert (event.kind, event.actor) == (OrderEventKind.REFUNDED, clerk)
    assert event.message == "100.00 EUR Changed their mind"
    books_agree()


def test_parts_go_back_until_nothing_is_left(payment, variant):
    for number, (amount, state) in enumerate([(30, "PAID"), ("20.50", "PAID"), (None, "REFUNDED")]):
        give(payment, amount, request_id=str(number), now=NOW + timedelta(minutes=number))
        assert Order.objects.get().state == state
    assert [refund.amount for refund in payment.refunds.all()] == [30, Decimal("20.5"), Decimal("49.5")]
    with pytest.raises(orders.OrderStateConflict):
        give(payment, request_id="more")
    books_agree()


def test_parts_that_binary_fractions_cannot_add_up_come_to_the_whole(paid_order):
    cents = paid_order({VariantFactory(price=Decimal("0.3")): 1}, shipping=ShippingMethodFactory(price=0))
    payment = cents.payments.get()
    for number, part in enumerate(["0.1", "0.2"]):
        give(payment, part, str(number))
    payment.refresh_from_db()
    cents.refresh_from_db()
    assert (payment.refunded, cents.state) == (payment.amount, OrderState.REFUNDED)
    assert Payment.objects.filter(refunded=F("amount")).exists()


@pytest.mark.parametrize("restock", [True, False])
@pytest.mark.parametrize("shipped", [True, False])
def test_goods_are_on_the_shelf_again_or_written_off(payment, variant, restock, shipped):
    if shipped:
        fulfilment.ship(order_id=payment.order_id, carrier="DHL", tracking_number="1", actor=None, now=NOW)
    give(payment, 40, request_id="part")
    assert stock_of(variant) == ((8, 0) if shipped else (10, 2))
    give(payment, restock=restock)
    assert stock_of(variant) == (10 if restock else 8, 0)


def test_the_buyer_is_told_of_each_part(payment, delivered):
    delivered()
    give(payment, 30)
    give(payment, 30)
    (mail,) = delivered()
    assert mail.subject == f"Refund of 30.00 EUR for your order {payment.order.number}"
    assert "We have refunded 30.00 EUR." in mail.body


def test_the_same_request_gives_once(payment):
    first = give(payment, 10)
    assert give(payment, 10) == first
    assert give(payment) == first
    with pytest.raises(RequestIdReused):
        give(payment, 11)
    assert Refund.objects.count() == 1
    books_agree()


@pytest.mark.parametrize("amount", ["100.01", "0", "-1", "0.001", "NaN", "Infinity", "1E+9"])
def test_an_amount_that_cannot_be_given_back_is_refused(payment, amount):
    with pytest.raises(InvalidInput) as refused:
        give(payment, amount)
    assert refused.value.field == ("amount",)
    assert not Refund.objects.exists()


def test_a_refund_that_has_no_answer_yet_counts_as_given(payment, monkeypatch):
    def away(self, wanted):
        raise gateways.GatewayUnavailable

    monkeypatch.setattr(TestGateway, "refund", away)
    give(payment, 60)
    with pytest.raises(InvalidInput) as refused:
        give(payment, "40.01", request_id="2")
    assert "at most 40.00 EUR" in refused.value.message
    assert give(payment, request_id="2").amount == 40
    with pytest.raises(orders.OrderStateConflict):
        give(payment, "0.01", request_id="3")
    assert Order.objects.get().state == OrderState.PAID  # None of it has left the shop for certain.


def test_what_took_nothing_gives_nothing(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(payments.PaymentDeclined):
        pay(order, "decline")
    with pytest.raises(orders.OrderStateConflict):
        give(order.payments.get())
    with pytest.raises(NotFound):
        give(Payment(pk="00000000-0000-4000-8000-000000000000"))
    for request_id in ("", "x" * 101):
        with pytest.raises(InvalidInput):
            give(order.payments.get(), request_id=request_id)


def test_a_gateway_that_gives_no_answer_is_asked_again_with_the_same_key(payment, monkeypatch):
    answer = TestGateway.refund

    def lost(self, wanted):
        answer(self, wanted)
        raise gateways.GatewayUnavailable

    with monkeypatch.context() as away:
        away.setattr(TestGateway, "refund", lost)
        refund = give(payment, 40)
        assert refund.state == PaymentState.PENDING
        assert Payment.objects.get().refunded == 40
        assert refunds.reconcile(now=NOW + timedelta(minutes=1)) == 0
    assert refunds.reconcile(now=NOW + timedelta(minutes=3)) == 1
    refund.refresh_from_db()
    assert refund.state == PaymentState.SUCCEEDED
    assert refunds.reconcile(now=NOW + timedelta(hours=1)) == 0
    books_agree()


def test_what_a_gateway_refuses_is_noted_and_can_be_given_otherwise(payment, monkeypatch):
    def refused(self, wanted):
        return gateways.Outcome(state=PaymentState.FAILED, reference="r", failure="The account is closed.")

    with monkeypatch.context() as closed:
        closed.setattr(TestGateway, "refund", refused)
        assert give(payment, 40).state == PaymentState.FAILED
    event = Order.objects.get().events.last()
    assert (event.kind, event.message) == (
        OrderEventKind.REFUND_DUE,
        "The refund of 40.00 EUR failed: The account is closed.",
    )
    assert Payment.objects.get().refunded == 0
    assert give(payment, request_id="2").amount == 100
    books_agree()


# ── money that no order can take ─────────────────────────────────────────────────────────────────────


def test_late_money_for_an_order_whose_goods_are_gone_goes_back_by_itself(placed_order, variant, delivered):
    order = placed_order({variant: 10}, shipping=ShippingMethodFactory(price=0))
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "late")
    later = NOW + timedelta(minutes=16)
    orders.expire(order_id=order.pk, now=later)
    placed_order({variant: 1})
    delivered()
    assert payments.reconcile(now=later) == 1
    assert refunds.reconcile(now=later) == 1
    order.refresh_from_db()
    assert order.state == OrderState.EXPIRED
    kinds = list(order.events.values_list("kind", flat=True))
    assert kinds[-2:] == [OrderEventKind.REFUND_DUE, OrderEventKind.REFUNDED]
    assert [mail.subject for mail in delivered()] == [f"Refund of 500.00 EUR for your order {order.number}"]
    assert stock_of(variant) == (10, 1)
    books_agree()


def test_late_money_for_an_order_whose_goods_are_there_revives_it(placed_order, variant):
    order = placed_order({variant: 10})
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "late")
    later = NOW + timedelta(minutes=16)
    orders.expire(order_id=order.pk, now=later)
    assert payments.reconcile(now=later) == 1
    order.refresh_from_db()
    assert (order.state, stock_of(variant)) == (OrderState.PAID, (10, 10))
    assert not Refund.objects.exists()
    books_agree()


# ── payments that hang ───────────────────────────────────────────────────────────────────────────────


def test_a_payment_that_was_taken_without_an_answer_is_found(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "late")
    assert payments.reconcile(now=NOW + timedelta(minutes=1)) == 0
    assert payments.reconcile(now=NOW + timedelta(minutes=3)) == 1
    order.refresh_from_db()
    assert order.state == OrderState.PAID
    assert payments.reconcile(now=NOW + timedelta(minutes=30)) == 0
    books_agree()


def test_a_payment_that_a_gateway_never_heard_of_fails_after_a_while(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "timeout")
    assert payments.reconcile(now=NOW + timedelta(minutes=10)) == 0
    assert payments.reconcile(now=NOW + timedelta(minutes=16)) == 0  # It was asked six minutes ago.
    assert payments.reconcile(now=NOW + timedelta(minutes=20)) == 1
    assert Payment.objects.get().state == PaymentState.FAILED
    assert pay(order).state == PaymentState.SUCCEEDED
    books_agree()


def test_a_buyer_who_confirms_elsewhere_and_never_comes_back_has_paid(placed_order):
    order = placed_order({VariantFactory(): 1})
    pay(order, "action")
    later = NOW + timedelta(minutes=3)
    assert payments.reconcile(now=later) == 0
    TestCharge.objects.update(state=PaymentState.SUCCEEDED)
    assert payments.reconcile(now=later + timedelta(seconds=30)) == 0  # It was asked a moment ago.
    assert payments.reconcile(now=later + timedelta(minutes=3)) == 1
    order.refresh_from_db()
    assert order.state == OrderState.PAID


def test_a_gateway_that_is_away_changes_nothing(placed_order, monkeypatch):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "late")

    def away(self, charge):
        raise gateways.GatewayUnavailable

    with monkeypatch.context() as context:
        context.setattr(TestGateway, "look_up", away)
        assert payments.reconcile(now=NOW + timedelta(hours=1)) == 0
    assert Payment.objects.get().state == PaymentState.PENDING
    assert payments.reconcile(now=NOW + timedelta(hours=2)) == 1


def test_a_gateway_that_is_away_is_not_asked_about_everything(placed_order, monkeypatch):
    for _ in range(5):
        with pytest.raises(payments.PaymentUnavailable):
            pay(placed_order({VariantFactory(): 1}), "late")
    asked = []

    def away(self, charge):
        asked.append(charge)
        raise gateways.GatewayUnavailable

    with monkeypatch.context() as context:
        context.setattr(TestGateway, "look_up", away)
        payments.reconcile(now=NOW + timedelta(minutes=3))
        assert len(asked) == 3
    assert payments.reconcile(now=NOW + timedelta(minutes=10)) == 5


# ── at once ──────────────────────────────────────────────────────────────────────────────────────────


def at_once(acts):
    def run(act):
        try:
            return act()
        except DomainError as error:
            return type(error)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


@pytest.mark.django_db(transaction=True)
def test_50_refunds_of_10_against_100_are_10(payment):
    def one(number):
        return lambda: give(payment, 10, request_id=str(number))

    answers = at_once([one(number) for number in range(50)])
    given = [answer for answer in answers if isinstance(answer, Refund)]
    assert len(given) == 10
    assert {refund.state for refund in given} == {PaymentState.SUCCEEDED}
    assert set(answers) - set(given) == {orders.OrderStateConflict}
    assert Order.objects.get().state == OrderState.REFUNDED
    assert payment.order.events.filter(kind=OrderEventKind.REFUNDED).count() == 10
    books_agree()


@pytest.mark.django_db(transaction=True)
def test_one_request_50_times_is_one_refund(payment):
    answers = at_once([lambda: give(payment, 10)] * 50)
    assert len({answer.pk for answer in answers}) == 1
    assert payment.order.events.filter(kind=OrderEventKind.REFUNDED).count() == 1
    books_agree()


@pytest.mark.django_db(transaction=True)
def test_two_reconcilers_and_the_buyer_end_a_payment_once(placed_order):
    for _ in range(5):
        order = placed_order({VariantFactory(): 1})
        with pytest.raises(payments.PaymentUnavailable):
            pay(order, "late")
        later = NOW + timedelta(minutes=3)
        reconcile = [lambda later=later: payments.reconcile(now=later)] * 3
        at_once([*reconcile, lambda order=order, later=later: pay(order, now=later)])
        assert order.events.filter(kind=OrderEventKind.PAID).count() == 1
    books_agree()
