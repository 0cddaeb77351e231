"""Many buyers, one code: real threads with connections of their own, on both databases."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from django.db import connections, transaction

from domain.base import locks
from domain.payments import gateways, payments
from domain.sales import cart as carts
from domain.sales import checkout, orders, promotions
from domain.sales.promotions import DiscountRefused
from storefront.models import (
    Discount,
    DiscountUse,
    GatewayEvent,
    Order,
    OrderEventKind,
    OrderState,
    PaymentProvider,
    ProductVariant,
)
from tests.factories import NOW, DiscountFactory, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOW + timedelta(minutes=20)


def together(*calls):
    """What each call returned or raised; all begin at once, each in a thread of its own."""
    start = Barrier(len(calls))

    def outcome(call):
        try:
            return call()
        except (DiscountRefused, carts.CartLocked) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(start.parties, initializer=start.wait) as threads:
        return list(threads.map(outcome, calls))


def kinds(outcomes):
    return Counter(type(outcome) for outcome in outcomes)


def with_code(cart):
    checkout.apply_code(key=carts.CartKey(code=cart.code, user=cart.user), code="TEN", now=NOW)
    return cart


def placing(cart):
    key = carts.CartKey(code=cart.code, user=cart.user)
    return partial(orders.place, key=key, expected_total=totals(cart).total, now=NOW)


def cancelling(order):
    return partial(orders.cancel, order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)


def test_50_buyers_of_a_code_with_5_uses_make_5_discounted_orders(ready_cart):
    DiscountFactory(code="TEN", max_uses=5)
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    buyers = [with_code(ready_cart({variant: 1}, shipping=shipping)) for _ in range(50)]
    outcomes = together(*[placing(cart) for cart in buyers])
    assert kinds(outcomes) == {orders.Placed: 5, DiscountRefused: 45}
    assert (Order.objects.filter(discount__gt=0).count(), DiscountUse.objects.count()) == (5, 5)
    variant.stock.refresh_from_db()
    assert variant.stock.reserved == 5


def test_20_orders_of_one_customer_at_once_use_a_code_once(ready_cart):
    DiscountFactory(code="TEN", max_uses_per_customer=1)
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    guests = [with_code(ready_cart({variant: 1}, shipping=shipping)) for _ in range(19)]
    own = with_code(ready_cart({variant: 1}, UserFactory(email="ada@example.com"), shipping))
    outcomes = together(*[placing(cart) for cart in (*guests, own)])
    assert kinds(outcomes) == {orders.Placed: 1, DiscountRefused: 19}
    assert Order.objects.filter(discount__gt=0).count() == DiscountUse.objects.count() == 1


def paid_too_late(cart):
    """An order with a code that expired while its gateway, which has taken the money, gave no answer."""
    order = placing(cart)().order
    with pytest.raises(payments.PaymentUnavailable):
        payments.start(
            order_id=order.pk,
            viewer=None,
            receipt=orders.receipt(order=order),
            provider=PaymentProvider.TEST,
            method="late",
            now=NOW,
        )
    assert orders.expire(order_id=order.pk, now=LATER)
    return order


def looking_into(order):
    """The gateway tells of the money, and the worker asks about it."""
    event = gateways.Event(id=str(order.pk), kind="charge", reference="", payment=order.payments.get().pk)
    payments.receive(provider=PaymentProvider.TEST, event=event, now=LATER)
    noted = GatewayEvent.objects.get(event_id=event.id)
    return partial(payments.process_event, {"event": noted.pk}, "", LATER)


def test_of_two_late_payments_that_race_for_the_last_use_one_gets_it(ready_cart):
    discount = DiscountFactory(code="TEN", max_uses=1)
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    for _ in range(5):
        late = [paid_too_late(with_code(ready_cart({variant: 1}, shipping=shipping))) for _ in range(4)]
        together(*[looking_into(order) for order in late])
        states = Counter(Order.objects.filter(pk__in=[order.pk for order in late]).values_list("state", flat=True))
        assert states == {OrderState.PAID: 1, OrderState.EXPIRED: 3}
        assert discount.uses.filter(given_back_at=None).count() == 1
        discount.uses.filter(given_back_at=None).update(given_back_at=LATER)


def test_a_late_payment_waits_for_whoever_is_taking_the_last_use(ready_cart):
    discount = DiscountFactory(code="TEN", max_uses=1)
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    late = paid_too_late(with_code(ready_cart({variant: 1}, shipping=shipping)))
    other = placing(ready_cart({variant: 1}, shipping=shipping))().order
    settle = looking_into(late)

    def look():
        try:
            settle()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            locks.discounts(candidates=Discount.objects.all())
            looking = thread.submit(look)
            assert not wait([looking], timeout=0.5).done
            promotions.record_uses(order=other, discounts=[discount], now=LATER)
        looking.result(30)
    late.refresh_from_db()
    assert late.state == OrderState.EXPIRED
    assert late.events.filter(kind=OrderEventKind.REFUND_DUE).exists()
    assert discount.uses.get(given_back_at=None).order == other


def test_cancelling_gives_exactly_one_use_back_however_often_and_at_once(ready_cart):
    DiscountFactory(code="TEN", max_uses=2)
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    first, second, *others = (with_code(ready_cart({variant: 1}, shipping=shipping)) for _ in range(12))
    order = placing(first)().order
    placing(second)()
    waiting = [partial(orders.place, key=carts.CartKey(code=cart.code), expected_total=order.total, now=NOW)
               for cart in others]  # fmt: skip
    assert kinds(together(*[cancelling(order)] * 10)) == {Order: 10}
    assert kinds(together(*waiting)) == {orders.Placed: 1, DiscountRefused: 9}
    assert DiscountUse.objects.filter(given_back_at=None).count() == 2
    assert DiscountUse.objects.exclude(given_back_at=None).get().order == order


def test_placing_and_cancelling_with_two_codes_never_wait_for_each_other_in_a_circle(ready_cart, settings):
    settings.MAX_DISCOUNT_CODES = 2
    codes = [DiscountFactory(code=code, max_uses=100).code for code in ("ONE", "TWO")]
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    placed = []
    for number in range(12):
        cart = ready_cart({variant: 1}, shipping=shipping)
        given = codes if number % 2 else codes[::-1]
        checkout.update(key=carts.CartKey(code=cart.code), discount_codes=given, now=NOW)
        placed.append(cart)
    first = [placing(cart)().order for cart in placed[:6]]
    outcomes = together(*[placing(cart) for cart in placed[6:]], *[cancelling(order) for order in first])
    assert kinds(outcomes) == {orders.Placed: 6, Order: 6}
    assert DiscountUse.objects.filter(given_back_at=None).count() == 12


def test_code_that_is_taken_out_while_the_cart_is_placed_is_used_or_not_but_never_half(ready_cart):
    DiscountFactory(code="TEN", max_uses=1000)
    variant, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    for _ in range(10):
        cart = with_code(ready_cart({variant: 1}, shipping=shipping))
        seen = totals(cart).total
        remove = partial(checkout.remove_code, key=carts.CartKey(code=cart.code), code="TEN", now=NOW)
        try:
            placed, _removed = together(placing(cart), remove)
        except orders.TotalChanged:
            assert not Order.objects.filter(cart=cart).exists()
        else:
            assert placed.order.total == seen
            assert placed.order.discount_uses.count() == 1


def test_what_changed_while_a_buyer_waited_for_the_code_is_what_it_costs(ready_cart):
    DiscountFactory(code="TEN")
    variant = VariantFactory(price=10)
    place = placing(with_code(ready_cart({variant: 1}, shipping=ShippingMethodFactory())))

    def buy():
        try:
            return place()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            locks.discounts(candidates=Discount.objects.all())
            bought = thread.submit(buy)
            assert not wait([bought], timeout=0.5).done
            ProductVariant.objects.update(price=99)
        with pytest.raises(orders.TotalChanged):
            bought.result()
    assert not Order.objects.exists()
