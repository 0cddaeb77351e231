"""The audit is clean after anything the shop does, and names the row of whatever was broken by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db.models import F

from domain.payments import check_books, payments, refunds
from domain.sales import fulfilment, orders
from storefront.models import (
    DiscountUse,
    Order,
    OrderLine,
    OrderState,
    Payment,
    PaymentProvider,
    PaymentState,
    Refund,
    Stock,
    StockMovement,
    StockPolicy,
    TestCharge,
)
from tests.factories import NOW, DiscountFactory, ShippingMethodFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db


def receipt(order):
    return {"order_id": order.pk, "viewer": None, "receipt": orders.receipt(order=order), "now": NOW}


def refund(order, amount=None, **given):
    payment = order.payments.get(state=PaymentState.SUCCEEDED)
    amount = None if amount is None else Decimal(amount)
    refunds.refund(payment_id=payment.pk, request_id=str(amount), amount=amount, actor=None, now=NOW, **given)


def ship(order):
    fulfilment.ship(order_id=order.pk, carrier="DHL", tracking_number="1", actor=None, now=NOW)


@pytest.fixture
def counted():
    """A variant whose stock came by a count, as any comes that was not written by a factory."""

    def make(on_hand=50):
        variant = VariantFactory(stock__on_hand=0, price=Decimal(20))
        from domain.catalog import stock  # noqa: PLC0415 (the fixture's name would hide it)

        stock.record_count(variants={variant: (StockPolicy.DENY, on_hand)}, actor=None, now=NOW)
        return variant

    return make


@pytest.fixture
def busy_shop(counted, placed_order, paid_order, ready_cart):
    """An order in every state, some of them by a detour."""
    variant = counted()
    waiting = placed_order({variant: 1})
    orders.cancel(**receipt(placed_order({variant: 2})))
    orders.expire(order_id=placed_order({variant: 2}).pk, now=NOW)
    paid = paid_order({variant: 3})
    refund(paid, 5)
    ship(paid_order({variant: 1}))
    delivered = paid_order({variant: 1})
    ship(delivered)
    fulfilment.mark_delivered(order_id=delivered.pk, actor=None, now=NOW)
    for restock in (True, False):
        refund(paid_order({variant: 1}), restock=restock)
        sent = paid_order({variant: 1})
        ship(sent)
        refund(sent, restock=restock)
    late = placed_order({variant: 1})
    with pytest.raises(payments.PaymentUnavailable):
        payments.start(**receipt(late), provider=PaymentProvider.TEST, method="late")
    orders.expire(order_id=late.pk, now=NOW + timedelta(minutes=16))
    payments.reconcile(now=NOW + timedelta(minutes=16))
    DiscountFactory(code="TEN")
    cart = ready_cart({variant: 2})
    from domain.sales import cart as carts  # noqa: PLC0415
    from domain.sales import checkout  # noqa: PLC0415

    key = carts.CartKey(code=cart.code)
    checkout.apply_code(key=key, code="TEN", now=NOW)
    orders.place(key=key, expected_total=totals(cart).total, now=NOW)
    states = set(Order.objects.values_list("state", flat=True))
    assert states == set(OrderState)
    return waiting


def test_amounts_that_binary_fractions_cannot_add_up_break_no_rule(paid_order):
    """0.1 + 0.2 is more than 0.3 where amounts are binary fractions, and 16.3 + 3.1 is more than 19.4."""
    lines = {VariantFactory(price=Decimal(price)): 1 for price in ("0.1", "0.2", "16.1")}
    order = paid_order(lines, shipping=ShippingMethodFactory(price=3))
    Order.objects.filter(pk=order.pk).update(net="16.3", tax="3.1")
    for part in ("0.1", "0.2", "0.6"):
        refund(order, part)
    Stock.objects.all().delete()  # It came without movements.
    assert check_books.breaches() == []
    refund(order)
    assert check_books.breaches() == []


def rules():
    return {breach.rule for breach in check_books.breaches()}


def test_whatever_the_shop_does_its_books_balance(busy_shop, capsys):
    assert check_books.breaches() == []
    assert check_books.gateway_breaches(since=NOW - timedelta(days=1)) == []
    call_command("audit", "--gateway-days", "100000")
    assert capsys.readouterr().out == "The books balance.\n"


BROKEN = {
    "stock_is_the_sum_of_its_movements": lambda: StockMovement.objects.order_by("pk").first().delete(),
    "what_is_reserved_is_what_orders_wait_for": lambda: (
        Stock.objects.update(reserved=F("reserved") + 1),
        StockMovement.objects.filter(reason="RESERVED", pk=StockMovement.objects.filter(reason="RESERVED").first().pk)
        .update(reserved_change=F("reserved_change") + 1),
    ),
    "an_order_adds_up": lambda: OrderLine.objects.filter(pk=OrderLine.objects.first().pk).update(total=1),
    "an_order_has_its_money": lambda: Payment.objects.filter(order__state=OrderState.SHIPPED).update(
        state=PaymentState.FAILED
    ),
    "no_order_is_paid_twice": lambda: Payment.objects.filter(order__state=OrderState.SHIPPED).update(
        amount=F("amount") + 1
    ),
    "a_payment_gives_back_what_its_refunds_say": lambda: Refund.objects.filter(amount=5).update(amount=6),
    "a_code_is_used_by_orders_that_stand": lambda: DiscountUse.objects.update(given_back_at=NOW),
}  # fmt: skip


@pytest.mark.parametrize("rule", BROKEN)
def test_a_row_that_was_broken_by_hand_is_named(busy_shop, rule, capsys):
    BROKEN[rule]()
    assert rules() == {rule}
    with pytest.raises(SystemExit):
        call_command("audit")
    assert capsys.readouterr().out.startswith(f"{rule}: ")


def test_a_gateway_that_has_other_books_is_named(busy_shop):
    TestCharge.objects.filter(pk=Payment.objects.filter(order__state=OrderState.SHIPPED).get().pk).update(amount=1)
    (breach,) = check_books.gateway_breaches(since=NOW - timedelta(days=1))
    assert (breach.rule, breach.found.endswith("gateway: 1.000 taken, 0.000 refunded")) == ("gateway_agrees", True)


def test_it_costs_a_statement_a_rule(busy_shop, statements):
    with statements() as counted_ones:
        check_books.breaches()
    assert len(counted_ones) == 7
