from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import fulfilment, orders, stock
from domain.stock import Availability
from storefront.models import MovementReason, Order, OrderState, Stock, StockMovement, StockPolicy
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


def count(variant, on_hand, policy=StockPolicy.DENY, actor=None):
    with transaction.atomic():
        return stock.count(variants={variant: (policy, on_hand)}, actor=actor, now=NOW)


def held(variant):
    row = Stock.objects.get(variant=variant)
    return row.on_hand, row.reserved


def ledger(variant):
    """What the movements add up to."""
    sums = StockMovement.objects.filter(variant=variant).aggregate(
        on_hand=Sum("on_hand_change", default=0), reserved=Sum("reserved_change", default=0)
    )
    return sums["on_hand"], sums["reserved"]


# ── what the public is told ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policy", "on_hand", "reserved", "told"),
    [
        (StockPolicy.DENY, 10, 0, Availability.IN_STOCK),
        (StockPolicy.DENY, 10, 6, Availability.IN_STOCK),
        (StockPolicy.DENY, 10, 7, Availability.LOW_STOCK),
        (StockPolicy.DENY, 10, 9, Availability.LOW_STOCK),
        (StockPolicy.DENY, 10, 10, Availability.OUT_OF_STOCK),
        (StockPolicy.BACKORDER, 1, 0, Availability.LOW_STOCK),
        (StockPolicy.BACKORDER, 0, 0, Availability.BACKORDER),
        (StockPolicy.BACKORDER, 0, 5, Availability.BACKORDER),
        (StockPolicy.UNTRACKED, 0, 5, Availability.IN_STOCK),
    ],
)
def test_public_is_told_roughly_how_much_is_left(policy, on_hand, reserved, told):
    assert stock.availability(Stock(policy=policy, on_hand=on_hand, reserved=reserved)) == told


def test_product_is_as_available_as_its_most_available_variant():
    gone, few, on_order = Stock(), Stock(on_hand=1), Stock(policy=StockPolicy.BACKORDER)
    assert stock.best_availability([gone, on_order]) == Availability.BACKORDER
    assert stock.best_availability([gone, few, on_order]) == Availability.LOW_STOCK
    assert stock.best_availability([]) == Availability.OUT_OF_STOCK


@pytest.mark.parametrize("policy", StockPolicy)
@pytest.mark.parametrize("on_hand", [0, 1])
def test_sellable_is_what_is_not_out_of_stock(policy, on_hand):
    row = VariantFactory(stock__policy=policy, stock__on_hand=on_hand).stock
    told = stock.availability(row)
    assert Stock.objects.filter(stock.SELLABLE).exists() == (told != Availability.OUT_OF_STOCK)


def test_available_is_never_below_zero():
    assert Stock(policy=StockPolicy.BACKORDER, on_hand=2, reserved=5).available == 0


def test_shortage_says_what_can_be_had():
    variant = VariantFactory(stock__on_hand=5, stock__reserved=2)
    assert stock.shortage(variant=variant, quantity=3) is None
    short = stock.shortage(variant=variant, quantity=4, field=["quantity"])
    assert (short.variant, short.requested, short.available, short.field) == (variant, 4, 3, ("quantity",))


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────


def test_first_count_makes_the_stock_and_its_first_movement():
    variant, clerk = VariantFactory(), UserFactory()
    Stock.objects.all().delete()
    assert count(variant, 7, actor=clerk)
    assert held(variant) == ledger(variant) == (7, 0)
    movement = StockMovement.objects.get()
    assert (movement.reason, movement.actor, movement.at) == (MovementReason.COUNTED, clerk, NOW)


def test_variant_counted_at_zero_has_a_stock_row_too():
    variant = VariantFactory()
    Stock.objects.all().delete()
    assert count(variant, 0)
    assert held(variant) == ledger(variant) == (0, 0)


def test_count_moves_the_stock_by_the_difference():
    variant = VariantFactory(stock__on_hand=0)
    for counted in (10, 4, 6):
        count(variant, counted)
    assert [movement.on_hand_change for movement in StockMovement.objects.all()] == [10, -6, 2]
    assert held(variant) == ledger(variant) == (6, 0)


def test_same_count_again_changes_nothing():
    variant = VariantFactory(stock__on_hand=6)
    assert not count(variant, 6)
    assert not StockMovement.objects.exists()


def test_promised_units_are_not_counted_away():
    variant = VariantFactory(stock__on_hand=10, stock__reserved=4)
    count(variant, 1)
    assert held(variant) == (4, 4)


def test_backordered_units_may_be_more_than_there_are():
    variant = VariantFactory(stock__on_hand=10, stock__reserved=4, stock__policy=StockPolicy.BACKORDER)
    count(variant, 1, StockPolicy.BACKORDER)
    assert held(variant) == (1, 4)


def test_stock_that_stops_selling_on_is_raised_to_what_was_promised():
    variant = VariantFactory(stock__on_hand=0, stock__reserved=4, stock__policy=StockPolicy.BACKORDER)
    count(variant, 0, StockPolicy.DENY)
    assert held(variant) == (4, 4)


def test_negative_count_is_zero():
    variant = VariantFactory(stock__on_hand=3)
    count(variant, -5)
    assert held(variant) == (0, 0)


def test_change_of_policy_alone_is_a_change_without_a_movement():
    variant = VariantFactory(stock__on_hand=3)
    assert count(variant, 3, StockPolicy.BACKORDER)
    assert Stock.objects.get().policy == StockPolicy.BACKORDER
    assert not StockMovement.objects.exists()


# ── reserving and giving back ────────────────────────────────────────────────────────────────────────


def test_order_reserves_its_units_and_leaves_them_on_hand(placed_order):
    variant = VariantFactory(stock__on_hand=10)
    order = placed_order({variant: 3})
    assert held(variant) == (10, 3)
    movement = order.stock_movements.get()
    assert (movement.on_hand_change, movement.reserved_change, movement.reason) == (0, 3, MovementReason.RESERVED)


def test_last_unit_can_be_sold(placed_order):
    variant = VariantFactory(stock__on_hand=3)
    placed_order({variant: 3})
    assert held(variant) == (3, 3)


@pytest.mark.parametrize("policy", [StockPolicy.BACKORDER, StockPolicy.UNTRACKED])
def test_more_than_there_is_can_be_reserved_where_the_policy_allows(placed_order, policy):
    variant = VariantFactory(stock__on_hand=1, stock__policy=policy)
    order = placed_order({variant: 3})
    assert held(variant) == (1, 3)
    orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order), now=NOW)
    assert held(variant) == (1, 0)


def test_units_are_reserved_for_all_variants_or_none(placed_order):
    order, plenty, few = placed_order({VariantFactory(): 1}), VariantFactory(), VariantFactory(stock__on_hand=1)
    with pytest.raises(stock.InsufficientStock) as refused, transaction.atomic():
        stock.reserve(order=order, variants={plenty: 1, few: 2}, now=NOW)
    assert (refused.value.variant, refused.value.available) == (few, 1)
    assert (held(plenty), held(few)) == ((10, 0), (1, 0))


def test_each_variant_that_falls_short_is_told(placed_order):
    order = placed_order({VariantFactory(): 1})
    one, other = VariantFactory.create_batch(2, stock__on_hand=1)
    with pytest.raises(ExceptionGroup) as refused, transaction.atomic():
        stock.reserve(order=order, variants={one: 2, VariantFactory(): 1, other: 3}, now=NOW)
    assert [(error.variant, error.requested) for error in refused.value.exceptions] == [(one, 2), (other, 3)]


def test_what_another_buyer_took_meanwhile_is_seen(placed_order):
    variant = VariantFactory(stock__on_hand=5)
    order = placed_order({VariantFactory(): 1})
    Stock.objects.filter(variant=variant).update(reserved=4)  # `variant` in memory still says 5.
    with pytest.raises(stock.InsufficientStock) as refused, transaction.atomic():
        stock.reserve(order=order, variants={variant: 2}, now=NOW)
    assert refused.value.available == 1


def test_locks_are_held_in_a_transaction_only(transactional_db):
    with pytest.raises(RuntimeError, match="transaction"):
        stock.count(variants={}, actor=None, now=NOW)


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────

moves = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 12), st.sampled_from(StockPolicy)),
        st.tuples(st.just("sell"), st.integers(1, 5), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.none()),
        st.tuples(st.just("ship"), st.integers(0, 9), st.none()),
    ),
    max_size=12,
)


# The fixture builds new rows each time that it is called, so the examples can share it.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=moves)
def test_ledger_adds_up_to_the_stock_after_any_moves(moves, placed_order):
    variant, shipping = VariantFactory(stock__on_hand=0), ShippingMethodFactory(price=Decimal(0))
    sold = []
    for at, (move, number, policy) in enumerate(moves):
        now = NOW + timedelta(minutes=at)
        if move == "count":
            with transaction.atomic():
                stock.count(variants={variant: (policy, number)}, actor=None, now=now)
        elif move == "sell":
            try:
                sold.append(placed_order({variant: number}, shipping=shipping))
            except stock.InsufficientStock:
                assert Stock.objects.get(variant=variant).available < number
        elif sold:
            order = sold.pop(number % len(sold))
            if move == "cancel":
                orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order), now=now)
            else:
                Order.objects.filter(pk=order.pk).update(state=OrderState.PAID)
                fulfilment.ship(order_id=order.pk, carrier="Post", tracking_number="1", actor=None, now=now)

        assert held(variant) == ledger(variant)
        row = Stock.objects.get(variant=variant)
        assert row.policy != StockPolicy.DENY or 0 <= row.reserved <= row.on_hand
        waiting = Order.objects.filter(lines__variant=variant, state=OrderState.AWAITING_PAYMENT)
        assert row.reserved == waiting.aggregate(units=Sum("lines__quantity", default=0))["units"]
