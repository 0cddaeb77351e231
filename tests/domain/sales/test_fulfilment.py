"""Parcels: each is told once, and the goods leave the stock with the first."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from domain.base.errors import InvalidInput, NotFound
from domain.sales import fulfilment, orders
from storefront.models import (
    MovementReason,
    OrderEventKind,
    OrderState,
    Shipment,
    Stock,
    StockMovement,
    StockPolicy,
)
from tests.factories import NOW, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


def ship(order, number="1Z99", **given):
    given = {"carrier": "UPS", "tracking_url": "", "actor": None, **given}
    return fulfilment.ship(order_id=order.pk, tracking_number=number, now=NOW, **given)


def deliver(order):
    return fulfilment.mark_delivered(order_id=order.pk, actor=None, now=NOW)


def stock_of(variant):
    row = Stock.objects.get(variant=variant)
    return row.on_hand, row.reserved


def test_a_paid_order_is_shipped_and_its_goods_leave_the_stock(paid_order):
    variant, clerk = VariantFactory(stock__on_hand=10), UserFactory(is_staff=True)
    order = paid_order({variant: 3})
    assert stock_of(variant) == (10, 3)
    ship(order, actor=clerk, tracking_url="https://ups.example/1Z99")
    order.refresh_from_db()
    assert order.state == OrderState.SHIPPED
    assert stock_of(variant) == (7, 0)
    move = StockMovement.objects.get(reason=MovementReason.SHIPPED)
    assert (move.on_hand_change, move.reserved_change, move.order) == (-3, -3, order)
    event = order.events.last()
    assert (event.kind, event.message, event.actor) == (OrderEventKind.SHIPPED, "UPS 1Z99", clerk)


def test_the_buyer_is_told_of_the_parcel(paid_order, delivered):
    order = paid_order({VariantFactory(): 1})
    delivered()
    ship(order, tracking_url="https://ups.example/?a=1&b=2")
    (mail,) = delivered()
    assert mail.subject == f"Your order {order.number} has been shipped"
    assert "UPS: 1Z99\nhttps://ups.example/?a=1&b=2" in mail.body
    assert 'href="https://ups.example/?a=1&amp;b=2"' in mail.alternatives[0].content


def test_the_same_parcel_again_changes_nothing(paid_order, delivered):
    variant = VariantFactory()
    order = paid_order({variant: 1})
    ship(order)
    delivered()
    before = (stock_of(variant), order.events.count())
    ship(order, number=" 1Z99 ")
    deliver(order)
    ship(order)  # A retry that was late.
    assert (stock_of(variant), order.events.count()) == (before[0], before[1] + 1)
    assert (Shipment.objects.count(), delivered()) == (1, [])


def test_a_second_parcel_is_told_but_moves_no_stock(paid_order, delivered):
    variant = VariantFactory()
    order = paid_order({variant: 1})
    ship(order)
    before = stock_of(variant)
    delivered()
    ship(order, number="other")
    assert (stock_of(variant), order.shipments.count(), len(delivered())) == (before, 2, 1)


@pytest.mark.parametrize("policy", [StockPolicy.BACKORDER, StockPolicy.UNTRACKED])
def test_goods_that_were_never_counted_in_can_leave(paid_order, policy):
    variant = VariantFactory(stock__on_hand=1, stock__policy=policy)
    ship(paid_order({variant: 3}))
    assert stock_of(variant) == (0, 0)


def test_an_order_that_is_not_paid_does_not_leave(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(orders.OrderStateConflict):
        ship(order)
    with pytest.raises(orders.OrderStateConflict):
        deliver(order)
    assert not Shipment.objects.exists()


def test_an_order_that_nobody_has_is_not_found(paid_order):
    order = paid_order({VariantFactory(): 1})
    order.pk = "00000000-0000-4000-8000-000000000000"
    for act in (ship, deliver):
        with pytest.raises(NotFound):
            act(order)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("carrier", " "),
        ("carrier", "x" * 101),
        ("number", ""),
        ("number", "x" * 101),
        ("tracking_url", "javascript:alert(1)"),
        ("tracking_url", "ups.example/1"),
    ],
)
def test_a_parcel_that_nobody_could_follow_is_refused(paid_order, field, value):
    order = paid_order({VariantFactory(): 1})
    with pytest.raises(InvalidInput) as refused:
        ship(order, **{field: value})
    assert refused.value.field == ("tracking_number" if field == "number" else field,)
    order.refresh_from_db()
    assert order.state == OrderState.PAID


def test_it_arrives_once(paid_order):
    order = paid_order({VariantFactory(): 1})
    ship(order)
    for _ in range(2):
        assert deliver(order).state == OrderState.DELIVERED
    kinds = order.events.values_list("kind", flat=True)
    assert list(kinds)[-2:] == [OrderEventKind.SHIPPED, OrderEventKind.DELIVERED]


@pytest.mark.django_db(transaction=True)
def test_the_same_parcel_told_by_ten_at_once_leaves_once(paid_order):
    variant = VariantFactory(stock__on_hand=10)
    order = paid_order({variant: 3})

    def tell(_):
        try:
            ship(order)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(tell, range(10)))
    assert stock_of(variant) == (7, 0)
    assert (Shipment.objects.count(), order.events.filter(kind=OrderEventKind.SHIPPED).count()) == (1, 1)
