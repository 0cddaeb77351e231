import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.base.errors import DomainError, RequestIdReused
from domain.catalog import stock
from domain.catalog.stock import Availability, InsufficientStock
from domain.sales import fulfilment, orders
from storefront.models import (
    Change,
    MovementReason,
    Order,
    OrderState,
    ProductVariant,
    Stock,
    StockAdjustment,
    StockMovement,
    StockPolicy,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookTopic,
)
from tests.factories import NOW, ShippingMethodFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


def count(variant, on_hand, policy=StockPolicy.DENY, actor=None):
    with transaction.atomic():
        return stock.record_count(variants={variant: (policy, on_hand)}, actor=actor, now=NOW)


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
    assert stock.availability(stock=Stock(policy=policy, on_hand=on_hand, reserved=reserved)) == told


def test_product_is_as_available_as_its_most_available_variant():
    gone, few, on_order = Stock(), Stock(on_hand=1), Stock(policy=StockPolicy.BACKORDER)
    assert stock.best_availability(stocks=[gone, on_order]) == Availability.BACKORDER
    assert stock.best_availability(stocks=[gone, few, on_order]) == Availability.LOW_STOCK
    assert stock.best_availability(stocks=[]) == Availability.OUT_OF_STOCK


@pytest.mark.parametrize("policy", StockPolicy)
@pytest.mark.parametrize("on_hand", [0, 1])
def test_sellable_is_what_is_not_out_of_stock(policy, on_hand):
    row = VariantFactory(stock__policy=policy, stock__on_hand=on_hand).stock
    told = stock.availability(stock=row)
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
    orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)
    assert held(variant) == (1, 0)


def test_units_are_reserved_for_all_variants_or_none(placed_order):
    order, plenty, few = placed_order({VariantFactory(): 1}), VariantFactory(), VariantFactory(stock__on_hand=1)
    with pytest.raises(stock.InsufficientStock) as refused, transaction.atomic():
        stock.reserve(order=order, variants={plenty: 1, few: 2}, now=NOW)
    assert (refused.value.variant, refused.value.available) == (few, 1)
    assert refused.value.message == f"Only 1 left of {few.product.title}."
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
        stock.record_count(variants={}, actor=None, now=NOW)


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
                stock.record_count(variants={variant: (policy, number)}, actor=None, now=now)
        elif move == "sell":
            try:
                sold.append(placed_order({variant: number}, shipping=shipping))
            except stock.InsufficientStock:
                assert Stock.objects.get(variant=variant).available < number
        elif sold:
            order = sold.pop(number % len(sold))
            if move == "cancel":
                orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=now)
            else:
                Order.objects.filter(pk=order.pk).update(state=OrderState.PAID)
                fulfilment.ship(order_id=order.pk, carrier="Post", tracking_number="1", actor=None, now=now)

        assert held(variant) == ledger(variant)
        row = Stock.objects.get(variant=variant)
        assert row.policy != StockPolicy.DENY or 0 <= row.reserved <= row.on_hand
        waiting = Order.objects.filter(lines__variant=variant, state=OrderState.AWAITING_PAYMENT)
        assert row.reserved == waiting.aggregate(units=Sum("lines__quantity", default=0))["units"]


# ── adjusted by staff ────────────────────────────────────────────────────────────────────────────────


def adjust(*lines, request_id="1", actor=None):
    adjustments = [stock.Adjustment(variant.pk, *rest) for variant, *rest in lines]
    return stock.adjust(request_id=request_id, lines=adjustments, actor=actor, now=NOW)


def test_units_come_and_go_and_the_ledger_tells_why_and_by_whom():
    olive, tee, mug = UserFactory(), VariantFactory(stock__on_hand=5), VariantFactory(stock__on_hand=5)
    adjust((tee, 3, None, "found"), (mug, -5), (tee, -1), actor=olive)
    assert (held(tee), held(mug)) == ((7, 0), (0, 0))
    moves = StockMovement.objects.filter(reason=MovementReason.ADJUSTED).order_by("id")
    assert [(move.variant, move.on_hand_change, move.note, move.actor) for move in moves] == [
        (tee, 3, "found", olive),
        (mug, -5, "", olive),
        (tee, -1, "", olive),
    ]
    told = {change.label: (change.actor, change.fields) for change in Change.objects.all()}
    assert told == {tee.sku: (olive, {"on_hand": [5, 7]}), mug.sku: (olive, {"on_hand": [5, 0]})}


def test_same_request_again_adjusts_once_and_says_so():
    tee = VariantFactory(stock__on_hand=5)
    first = adjust((tee, 3, StockPolicy.BACKORDER, "found"))
    again = adjust((tee, 3, StockPolicy.BACKORDER, "found"))
    assert (first.replayed, again.replayed, again.adjustment) == (False, True, first.adjustment)
    assert (held(tee), Stock.objects.get().policy) == ((8, 0), StockPolicy.BACKORDER)


@pytest.mark.parametrize("line", [(4,), (3, StockPolicy.DENY), (3, None, "other")])
def test_request_id_for_something_else_is_refused(line):
    tee = VariantFactory(stock__on_hand=5)
    adjust((tee, 3))
    with pytest.raises(RequestIdReused):
        adjust((tee, *line))
    assert held(tee) == (8, 0)


def test_request_that_was_refused_can_be_tried_again():
    tee = VariantFactory(stock__on_hand=0)
    with pytest.raises(InsufficientStock):
        adjust((tee, -1))
    count(tee, 1)
    assert not adjust((tee, -1)).replayed
    assert held(tee) == (0, 0)


def test_no_more_is_taken_than_orders_leave_and_nothing_of_the_list_is_done():
    tee = VariantFactory(stock__on_hand=5, stock__reserved=3)
    loose = VariantFactory(stock__on_hand=5, stock__reserved=9, stock__policy=StockPolicy.BACKORDER)
    gone = VariantFactory(stock__on_hand=1)
    with pytest.raises(ExceptionGroup) as refused:
        adjust((tee, -3), (loose, -5), (gone, -2))
    told = [(type(e), e.field, e.requested, e.available) for e in refused.value.exceptions]
    assert told == [
        (InsufficientStock, ("lines", "0", "delta"), 3, 2),
        (InsufficientStock, ("lines", "2", "delta"), 2, 1),
    ]
    assert [held(variant) for variant in (tee, loose, gone)] == [(5, 3), (5, 9), (1, 0)]
    assert not StockAdjustment.objects.exists()
    adjust((tee, -2), (loose, -5), (gone, -1))
    assert [held(variant) for variant in (tee, loose, gone)] == [(3, 3), (0, 9), (0, 0)]


def test_what_is_oversold_is_not_said_to_be_only_what_is_there():
    oversold = VariantFactory(stock__on_hand=5, stock__reserved=9, stock__policy=StockPolicy.BACKORDER)
    with pytest.raises(InsufficientStock) as refused:
        adjust((oversold, 3, StockPolicy.DENY))
    assert (refused.value.requested, refused.value.available) == (9, 8)
    adjust((oversold, 4, StockPolicy.DENY))
    assert (held(oversold), Stock.objects.get().policy) == ((9, 9), StockPolicy.DENY)


def test_an_adjustment_that_is_none_is_refused_with_its_place():
    tee = VariantFactory()
    for lines, field in [
        ([], ("lines",)),
        ([(tee, 1)] * 201, ("lines",)),
        ([(tee, 1), (tee, 0)], ("lines", "1", "delta")),
        ([(tee, stock.MAX_ON_HAND + 1)], ("lines", "0", "delta")),
        ([(tee, stock.MAX_ON_HAND)], ("lines", "0", "delta")),
        ([(tee, 1, None, "x" * 201)], ("lines", "0", "note")),
        ([(ProductVariant(pk=10**9), 1)], ("lines", "0", "variant_id")),
    ]:
        with pytest.raises(DomainError) as refused:
            adjust(*lines)
        assert refused.value.field == field
    for request_id in ("", "x" * 101):
        with pytest.raises(DomainError) as refused:
            adjust((tee, 1), request_id=request_id)
        assert refused.value.field == ("request_id",)
    assert (held(tee), StockAdjustment.objects.count()) == ((10, 0), 0)


def test_adjusting_many_costs_what_adjusting_one_does(statements):
    costs = set()
    for size in (1, 40):
        lines = [(variant, 1) for variant in VariantFactory.create_batch(size)]
        with statements() as counted:
            adjust(*lines, request_id=str(size))
        costs.add(len(counted))
    assert len(costs) == 1


def test_variant_of_which_little_is_left_after_an_adjustment_is_told_once():
    WebhookEndpoint.objects.create(url="https://erp.example/hooks", topics=[WebhookTopic.STOCK_LOW])
    tee = VariantFactory(stock__on_hand=10)
    adjust((tee, -7))
    adjust((tee, -1), request_id="2")
    assert [json.loads(it.body)["data"]["available"] for it in WebhookDelivery.objects.all()] == [3]


def test_what_there_is_little_of_is_listed_but_not_what_is_withdrawn_or_archived_or_not_counted():
    little, none = VariantFactory(stock__on_hand=5, stock__reserved=3), VariantFactory(stock__on_hand=0)
    VariantFactory(stock__on_hand=3)
    VariantFactory(stock__on_hand=0, is_withdrawn=True)
    VariantFactory(stock__on_hand=0, product__archived_at=NOW, product__published_at=None)
    VariantFactory(stock__on_hand=0, stock__policy=StockPolicy.UNTRACKED)
    assert {variant: variant.available for variant in stock.low_variants(at_most=2)} == {little: 2, none: 0}
