"""What holds when buyers come at the same moment: real threads, each with a connection of its own."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.db.models import Sum

from domain.catalog.stock import InsufficientStock
from domain.payments import payments
from domain.sales import cart as carts
from domain.sales import orders
from domain.sales.priced_cart import PricedCart
from storefront.models import (
    Cart,
    CartLine,
    CartState,
    Order,
    OrderEvent,
    OrderEventKind,
    OrderLine,
    OrderState,
    Payment,
    PaymentProvider,
    PaymentState,
    Stock,
    StockMovement,
)
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db(transaction=True)


def together(*calls: Callable[[], Any], at_once: int = 40) -> list[Any]:
    """Makes the calls in as many threads, released at one moment; what each returned or raised.

    The threads are `at_once` at most, for PostgreSQL has 100 connections; they work through all the calls.
    """
    start = Barrier(min(len(calls), at_once), timeout=30)

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(start.parties, initializer=start.wait) as threads:
        return list(threads.map(outcome, calls))


def placing(cart):
    total = totals(cart).total
    return partial(orders.place, key=carts.CartKey(code=cart.code), expected_total=total, now=NOW)


def adding(variant, quantity, **key):
    lines = [carts.NewLine(variant.pk, quantity)]
    return lambda: carts.add_lines(key=carts.CartKey(**key), lines=lines, now=NOW).cart


def paying(order, method="ok"):
    return partial(
        payments.start,
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider.TEST,
        method=method,
        now=NOW,
    )


def cancelling(order):
    return partial(orders.cancel, order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)


def kinds(outcomes):
    return Counter(type(outcome) for outcome in outcomes)


def reserved(variant):
    return Stock.objects.get(variant=variant).reserved


def test_last_units_are_sold_once_however_many_buyers_come(ready_cart):
    variant, shipping = VariantFactory(stock__on_hand=20), ShippingMethodFactory()
    ready = [ready_cart({variant: 1}, shipping=shipping) for _ in range(100)]
    outcomes = together(*map(placing, ready))
    assert kinds(outcomes) == {orders.Placed: 20, InsufficientStock: 80}
    assert Order.objects.count() == OrderLine.objects.count() == StockMovement.objects.count() == 20
    assert Cart.objects.filter(state=CartState.CONVERTED).count() == 20
    stock = Stock.objects.get()
    assert (stock.on_hand, stock.reserved, stock.available) == (20, 20, 0)


def test_cart_placed_fifty_times_at_once_is_one_order(ready_cart):
    variant = VariantFactory(stock__on_hand=50)
    outcomes = together(*[placing(ready_cart({variant: 2}))] * 50)
    assert kinds(outcomes) == {orders.Placed: 50}
    assert Counter(placed.replayed for placed in outcomes) == {False: 1, True: 49}
    assert {placed.order for placed in outcomes} == {Order.objects.get()}
    assert (reserved(variant), StockMovement.objects.count()) == (2, 1)


def test_account_without_a_code_that_places_twice_at_once_gets_one_order(ready_cart):
    for _ in range(10):
        user, variant = UserFactory(), VariantFactory()
        total = totals(ready_cart({variant: 1}, user)).total
        place = partial(orders.place, key=carts.CartKey(user=user), expected_total=total, now=NOW)
        outcomes = together(*[place] * 4)
        assert kinds(outcomes) == {orders.Placed: 4}
        assert {placed.order for placed in outcomes} == {user.orders.get()}
        assert reserved(variant) == 1


def test_first_lines_of_one_user_added_at_once_are_one_cart():
    variant = VariantFactory(stock__on_hand=1000)
    for _ in range(20):
        user = UserFactory()
        outcomes = together(adding(variant, 1, user=user), adding(variant, 2, user=user))
        assert kinds(outcomes) == {Cart: 2}
        assert CartLine.objects.get(cart=user.carts.get()).quantity == 3


def test_units_added_to_one_cart_at_once_add_up():
    one, other = VariantFactory.create_batch(2, stock__on_hand=1000)
    cart = adding(one, 1)()
    outcomes = together(*[adding(one, 1, code=cart.code), adding(other, 2, code=cart.code)] * 20)
    assert kinds(outcomes) == {Cart: 40}
    assert {line.variant: line.quantity for line in CartLine.objects.filter(cart=cart)} == {one: 21, other: 40}


def test_carts_with_the_same_variants_in_opposite_order_do_not_wait_for_each_other(ready_cart):
    variants, shipping = VariantFactory.create_batch(5, stock__on_hand=1000), ShippingMethodFactory()
    there = [ready_cart(dict.fromkeys(variants, 1), shipping=shipping) for _ in range(20)]
    back = [ready_cart(dict.fromkeys(variants[::-1], 1), shipping=shipping) for _ in range(20)]
    outcomes = together(*(placing(cart) for pair in zip(there, back, strict=True) for cart in pair))
    assert kinds(outcomes) == {orders.Placed: 40}
    assert {reserved(variant) for variant in variants} == {40}


def test_orders_cancelled_while_others_are_placed_do_not_wait_for_each_other(ready_cart, placed_order):
    variants, shipping = VariantFactory.create_batch(5, stock__on_hand=1000), ShippingMethodFactory()
    placed = [placed_order(dict.fromkeys(variants, 1), shipping=shipping) for _ in range(20)]
    ready = [ready_cart(dict.fromkeys(variants[::-1], 1), shipping=shipping) for _ in range(20)]
    outcomes = together(*map(cancelling, placed), *map(placing, ready))
    assert kinds(outcomes) == {Order: 20, orders.Placed: 20}
    assert {reserved(variant) for variant in variants} == {20}


def test_order_cancelled_many_times_at_once_gives_its_stock_back_once(placed_order):
    variant = VariantFactory()
    placed_order({variant: 3})
    outcomes = together(*[cancelling(placed_order({variant: 2}))] * 20)
    assert kinds(outcomes) == {Order: 20}
    assert reserved(variant) == 3


def test_order_cancelled_while_it_is_paid_is_one_or_the_other(placed_order):
    shipping = ShippingMethodFactory()
    for _ in range(20):
        variant = VariantFactory()
        order = placed_order({variant: 1}, shipping=shipping)
        refused, succeeded = orders.OrderStateConflict, order.payments.filter(state=PaymentState.SUCCEEDED)
        cancelled, paid = together(cancelling(order), paying(order))
        order.refresh_from_db()
        if order.state == OrderState.CANCELLED:
            assert (type(cancelled), type(paid)) == (Order, refused)
            assert (succeeded.count(), reserved(variant)) == (0, 0)
        else:
            assert (type(cancelled), type(paid)) == (refused, Payment)
            assert (order.state, succeeded.count(), reserved(variant)) == (OrderState.PAID, 1, 1)


def test_payment_confirmed_while_its_order_is_cancelled_is_one_or_the_other(placed_order):
    shipping = ShippingMethodFactory()
    for _ in range(20):
        order = placed_order({VariantFactory(): 1}, shipping=shipping)
        paying(order, "action")()
        together(cancelling(order), paying(order, "confirm"), paying(order, "confirm"))
        order.refresh_from_db()
        assert (order.state, order.payments.get().state) in {
            (OrderState.CANCELLED, PaymentState.CANCELLED),
            (OrderState.PAID, PaymentState.SUCCEEDED),
        }


def test_payment_started_twice_at_once_takes_the_money_once(placed_order):
    shipping = ShippingMethodFactory()
    for _ in range(20):
        order = placed_order({VariantFactory(): 1}, shipping=shipping)
        outcomes = together(paying(order), paying(order))
        assert set(outcomes) == {Payment.objects.get(order=order, state=PaymentState.SUCCEEDED)}
        assert OrderEvent.objects.filter(order=order, kind=OrderEventKind.PAID).count() == 1


def test_units_added_while_the_cart_is_placed_are_in_the_order_or_refused(ready_cart):
    # A free sample leaves the total as the buyer saw it.
    tee, sample, shipping = (
        VariantFactory(),
        VariantFactory(price=Decimal(0), stock__on_hand=1000),
        ShippingMethodFactory(),
    )
    for _ in range(10):
        cart = ready_cart({tee: 1}, shipping=shipping)
        Stock.objects.filter(variant=tee).update(reserved=0)
        *added, placed = together(*[adding(sample, 1, code=cart.code)] * 6, placing(cart))
        order = placed.order
        assert set(kinds(added)) <= {Cart, carts.CartLocked}
        assert {refused.order for refused in added if isinstance(refused, carts.CartLocked)} <= {order}
        units = order.lines.filter(variant=sample).aggregate(units=Sum("quantity", default=0))["units"]
        assert units == kinds(added)[Cart]
        assert units == cart.lines.filter(variant=sample).aggregate(units=Sum("quantity", default=0))["units"]


def test_total_that_grows_while_the_cart_is_placed_is_never_charged_unseen(ready_cart):
    tee, shipping = VariantFactory(stock__on_hand=1000), ShippingMethodFactory()
    for _ in range(10):
        cart = ready_cart({tee: 1}, shipping=shipping)
        seen = totals(cart).total
        placed, *_added = together(placing(cart), *[adding(tee, 1, code=cart.code)] * 3)
        if isinstance(placed, orders.Placed):
            assert placed.order.total == seen
        else:
            assert isinstance(placed, orders.TotalChanged)
            assert not Order.objects.filter(cart=cart).exists()


def test_cart_that_is_touched_while_it_is_given_up_loses_no_unit():
    tee, later = VariantFactory(stock__on_hand=1000), NOW + timedelta(days=1)
    for _ in range(10):
        cart = adding(tee, 1)()
        abandon = partial(carts.abandon, untouched_since=later, now=later)
        add = partial(
            carts.add_lines,
            key=carts.CartKey(code=cart.code),
            lines=[carts.NewLine(tee.pk, 1)],
            now=later,
        )
        added, _number = together(add, abandon)
        cart.refresh_from_db()
        if isinstance(added, PricedCart):
            assert (cart.state, cart.lines.get().quantity) == ("ACTIVE", 2)
        else:
            assert isinstance(added, carts.CartLocked)
            assert (cart.state, cart.lines.get().quantity) == ("ABANDONED", 1)
