"""What the buyer is told of an order: once a step, as text and as HTML, with the amounts of the order."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.base import outbox
from domain.jobs import clocks
from domain.payments import payments
from domain.sales import cart as carts
from domain.sales import checkout, orders
from storefront.models import Cart, CartState, Order, OrderState, OutboxMessage, PaymentProvider, TaxRate
from tests.factories import (
    NOW,
    CurrencyFactory,
    DiscountFactory,
    ProductFactory,
    ShippingMethodFactory,
    TaxRateFactory,
    VariantFactory,
    totals,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(placed_order):
    TaxRateFactory(percent=19)
    lamp = VariantFactory(
        product=ProductFactory(title="Lamp <b>&", option1_name="Size"), option1="L", price=Decimal("59.50")
    )
    return placed_order({lamp: 2}, shipping=ShippingMethodFactory(name="Post", price=Decimal("4.90")))


def pay(order, token, now=NOW):
    payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider.TEST,
        method=token,
        now=now,
    )


def html(mail):
    return mail.alternatives[0].content


def test_confirmation_has_the_lines_the_totals_and_the_receipt(order, delivered, settings):
    (mail,) = delivered()
    assert (mail.subject, mail.to) == (f"Your order {order.number}", ["ada@example.com"])
    for text in (mail.body, html(mail)):
        for part in ("2 × Lamp", "119.00 EUR", "4.90 EUR", "123.90 EUR", "19.78 EUR", "Am Hafen 1"):
            assert part in text
        assert f"{settings.STOREFRONT_URL}/order?receipt=" in text
        assert "{{" not in text
        assert "{%" not in text
    assert "Lamp <b>& · L" in mail.body
    assert "Lamp &lt;b&gt;&amp; · L" in html(mail)
    assert "<b>" not in html(mail)
    receipt = mail.body.partition("receipt=")[2].split()[0]
    assert orders.visible(order_id=None, viewer=None, receipt=receipt.replace("%3A", ":")).get() == order


def test_discount_and_tax_on_top_are_told_in_the_orders_currency(ready_cart, delivered, settings):
    settings.PRICES_INCLUDE_TAX = False
    TaxRateFactory(percent=10)
    CurrencyFactory(code="JPY", rate=100)
    DiscountFactory(code="TEN")
    cart = ready_cart({VariantFactory(price=Decimal(10)): 1}, shipping=ShippingMethodFactory(name="Post", price=0))
    key = carts.CartKey(code=cart.code)
    checkout.update(key=key, currency_code="JPY", discount_codes=["TEN"], now=NOW)
    orders.place(key=key, expected_total=totals(cart).total, now=NOW)
    (mail,) = delivered()
    for text in ("Discount: -100 JPY", "Post: 0 JPY", "Tax: 90 JPY", "Total: 990 JPY"):
        assert text in mail.body


def test_a_payment_is_confirmed_and_a_failure_told_with_its_reason(order, delivered):
    delivered()
    with pytest.raises(payments.PaymentDeclined):
        pay(order, "decline")
    (failed,) = delivered()
    assert failed.subject == f"Payment failed for your order {order.number}"
    assert "The card was declined." in failed.body
    pay(order, "ok")
    pay(order, "ok")
    (paid,) = delivered()
    assert paid.subject == f"Payment received for your order {order.number}"


def test_a_cancelled_order_is_told_once(order, delivered):
    delivered()
    for _ in range(2):
        orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)
    assert [mail.subject for mail in delivered()] == [f"Your order {order.number} has been cancelled"]


def test_placing_again_sends_no_second_confirmation(order, delivered):
    orders.place(key=carts.CartKey(code=order.cart.code), expected_total=order.total, now=NOW)
    assert len(delivered()) == 1


def test_mail_has_the_same_message_id_each_time_it_is_sent(order, delivered):
    (mail,) = delivered()
    OutboxMessage.objects.update(delivered_at=None, due_at=NOW)
    (again,) = delivered()
    assert mail.extra_headers["Message-ID"] == again.extra_headers["Message-ID"]
    assert mail.extra_headers["Message-ID"].startswith("<outbox-")


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────


def run(name, now):
    return clocks.CLOCKS[name].run(now)


def test_an_order_that_nobody_pays_expires_and_gives_its_stock_back(order, delivered):
    delivered()
    variant = order.lines.get().variant
    assert run("expire_orders", NOW + timedelta(hours=24)) == 0
    assert run("expire_orders", NOW + timedelta(hours=24, seconds=1)) == 1
    order.refresh_from_db()
    variant.stock.refresh_from_db()
    assert (order.state, variant.stock.reserved) == (OrderState.EXPIRED, 0)
    assert [mail.subject for mail in delivered()] == [f"Your order {order.number} has expired"]
    assert run("expire_orders", NOW + timedelta(days=2)) == 0


def test_an_order_whose_payment_is_under_way_does_not_expire(order):
    later = NOW + timedelta(hours=25)
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "timeout", now=later)
    assert run("expire_orders", later) == 0
    assert run("expire_orders", later + timedelta(hours=1)) == 1


def test_a_paid_order_does_not_expire(order):
    pay(order, "ok")
    assert run("expire_orders", NOW + timedelta(days=9)) == 0


def test_a_cart_that_nobody_touches_is_abandoned(ready_cart, order, settings):
    cart = ready_cart({VariantFactory(): 1})
    assert run("abandon_carts", NOW + timedelta(days=settings.ABANDONED_CART_DAYS)) == 0
    assert run("abandon_carts", NOW + timedelta(days=settings.ABANDONED_CART_DAYS, seconds=1)) == 1
    assert Cart.objects.get(pk=cart.pk).state == CartState.ABANDONED
    assert Order.objects.get().cart.state == CartState.CONVERTED


def test_what_is_over_is_pruned(order, delivered):
    delivered()
    assert run("prune", NOW) == 0
    OutboxMessage.objects.update(delivered_at=NOW)
    assert run("prune", NOW + timedelta(days=15)) == 1
    assert TaxRate.objects.exists()
    assert outbox.prune(now=NOW) == 0
