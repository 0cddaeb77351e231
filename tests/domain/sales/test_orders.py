import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest
from django.contrib.auth.models import Permission

from domain.base.errors import DomainError, InvalidInput, NotFound
from domain.catalog.stock import InsufficientStock
from domain.payments import payments
from domain.sales import cart as carts
from domain.sales import checkout, orders
from storefront.models import (
    Cart,
    CartState,
    Order,
    OrderEventKind,
    OrderState,
    PaymentProvider,
    PaymentState,
    Product,
    ProductVariant,
    Stock,
    StockMovement,
    StockPolicy,
)
from tests.factories import ADDRESS, NOW, ShippingMethodFactory, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db


def place(cart, total=None, **given):
    total = totals(cart).total if total is None else Decimal(total)
    return orders.place(key=carts.CartKey(code=cart.code, user=cart.user), expected_total=total, now=NOW, **given)


def cancel(order, now=NOW, **given):
    return orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=now, **given)


def pay(order, method="ok", now=NOW):
    return payments.start(
        order_id=order.pk,
        viewer=None,
        receipt=orders.receipt(order=order),
        provider=PaymentProvider.TEST,
        method=method,
        now=now,
    )


def reserved():
    return dict(Stock.objects.values_list("variant_id", "reserved"))


def events(order):
    return [event.kind for event in order.events.all()]


def nothing_was_written():
    return not (Order.objects.exists() or StockMovement.objects.exists() or any(reserved().values()))


# ── placing ──────────────────────────────────────────────────────────────────────────────────────────


def test_order_is_a_copy_of_what_was_agreed(ready_cart):
    tee = VariantFactory(
        sku="TEE-M-SAND", price=Decimal("19.90"), option1="M", option2="Sand", product__title="Linen Tee"
    )
    mug = VariantFactory(price=Decimal("7.05"))
    cart = ready_cart({tee: 2, mug: 1}, shipping=ShippingMethodFactory(name="By bike", price=Decimal("4.90")))
    order = place(cart, note="Ring twice").order
    Product.objects.update(title="Another name")
    ProductVariant.objects.update(price=1, option1="XL")

    order = Order.objects.get(pk=order.pk)
    assert (order.state, order.email, order.user, order.currency) == (
        OrderState.AWAITING_PAYMENT, "ada@example.com", None, "EUR",
    )  # fmt: skip
    assert (order.subtotal, order.shipping, order.total) == (Decimal("46.85"), Decimal("4.90"), Decimal("51.75"))
    assert (order.shipping_address, order.billing_address) == (ADDRESS, ADDRESS)
    assert (order.shipping_method, order.note, order.placed_at) == ("By bike", "Ring twice", NOW)
    line, other = order.lines.all()
    assert (line.variant, line.sku, line.title, line.variant_title) == (tee, "TEE-M-SAND", "Linen Tee", "M / Sand")
    assert (line.quantity, line.unit_price, line.total) == (2, Decimal("19.90"), Decimal("39.80"))
    assert (other.variant, other.quantity, other.total) == (mug, 1, Decimal("7.05"))


def test_order_holds_its_stock_and_the_ledger_says_so(ready_cart):
    tee, mug = VariantFactory.create_batch(2)
    order = place(ready_cart({tee: 2, mug: 1})).order
    assert reserved() == {tee.pk: 2, mug.pk: 1}
    moved = {move.variant_id: move.reserved_change for move in order.stock_movements.all()}
    assert moved == {tee.pk: 2, mug.pk: 1}


def test_placed_cart_is_converted_and_the_event_tells_it(ready_cart):
    user = UserFactory()
    cart = ready_cart({VariantFactory(): 1}, user)
    placed = place(cart)
    assert not placed.replayed
    assert (placed.order.user, placed.order.cart) == (user, cart)
    assert Cart.objects.get().state == CartState.CONVERTED
    event = placed.order.events.get()
    assert (event.kind, event.actor, event.at) == (OrderEventKind.PLACED, user, NOW)


def test_billing_address_of_its_own_is_kept(ready_cart):
    cart, office = ready_cart({VariantFactory(): 1}), replace(ADDRESS, city="Bremen")
    checkout.update(key=carts.CartKey(code=cart.code), billing_address=office, now=NOW)
    order = place(Cart.objects.get()).order
    assert (order.shipping_address, order.billing_address) == (ADDRESS, office)


def test_number_of_an_order_can_be_read_aloud_and_tells_nothing(placed_order):
    numbers = {placed_order({VariantFactory(): 1}).number for _ in range(5)}
    assert len(numbers) == 5
    assert all(re.fullmatch("[0-9ABCDEFGHJKMNPQRSTVWXYZ]{10}", number) for number in numbers)


def test_placing_a_cart_twice_is_placing_it_once(ready_cart):
    cart = ready_cart({VariantFactory(): 2})
    first, again = place(cart), place(cart)
    assert (again.order, again.replayed) == (first.order, True)
    assert Order.objects.count() == StockMovement.objects.count() == 1
    assert list(reserved().values()) == [2]


def test_replay_returns_the_order_whatever_happened_since(ready_cart):
    cart = ready_cart({VariantFactory(): 2})
    order = place(cart).order
    cancel(order)
    ProductVariant.objects.update(price=99)
    assert place(cart, total="1.00") == orders.Placed(order=order, replayed=True)


def test_guest_s_retry_by_the_remembered_cart_is_a_replay(ready_cart):
    cart = ready_cart({VariantFactory(): 1})
    order = place(cart).order
    again = orders.place(key=carts.CartKey(remembered=cart.code), expected_total=order.total, now=NOW)
    assert again == orders.Placed(order=order, replayed=True)


def test_user_s_retry_without_a_code_is_a_replay_of_the_last_order(placed_order):
    user = UserFactory()
    placed_order({VariantFactory(): 1}, user)
    Cart.objects.update(updated_at=NOW.replace(year=2029))
    last = placed_order({VariantFactory(): 1}, user)
    again = orders.place(key=carts.CartKey(user=user), expected_total=last.total, now=NOW)
    assert again == orders.Placed(order=last, replayed=True)


def test_user_s_retry_without_a_code_is_a_replay_for_a_day_and_no_longer(placed_order):
    user = UserFactory()
    order = placed_order({VariantFactory(): 1}, user)

    def again(now):
        return orders.place(key=carts.CartKey(user=user), expected_total=order.total, now=now)

    assert again(NOW + timedelta(days=1)) == orders.Placed(order=order, replayed=True)
    with pytest.raises(NotFound):
        again(NOW + timedelta(days=1, seconds=1))


def test_retry_of_one_user_never_finds_the_order_of_another(placed_order):
    placed_order({VariantFactory(): 1}, UserFactory())
    with pytest.raises(NotFound):
        orders.place(key=carts.CartKey(user=UserFactory()), expected_total=Decimal(1), now=NOW)


@pytest.mark.parametrize("key", [carts.CartKey(), carts.CartKey(code="no-such-code")])
def test_without_a_cart_there_is_no_order(key):
    with pytest.raises(NotFound):
        orders.place(key=key, expected_total=Decimal(0), now=NOW)


def test_merged_cart_cannot_be_placed(ready_cart):
    cart = ready_cart({VariantFactory(): 1})
    Cart.objects.update(state=CartState.MERGED)
    with pytest.raises(carts.CartLocked):
        place(cart)


def test_total_that_the_buyer_did_not_see_is_not_charged(ready_cart):
    cart = ready_cart({VariantFactory(price=Decimal("19.90")): 1})
    seen = totals(cart).total
    ProductVariant.objects.update(price=Decimal("21.90"))
    with pytest.raises(orders.TotalChanged) as refused:
        place(cart, total=seen)
    changed = refused.value
    assert (changed.expected, changed.actual, changed.currency) == (Decimal("24.80"), Decimal("26.80"), "EUR")
    assert nothing_was_written()
    assert Cart.objects.get().state == CartState.ACTIVE


def test_price_that_fell_is_not_a_surprise_either(ready_cart):
    cart = ready_cart({VariantFactory(price=Decimal("19.90")): 1})
    with pytest.raises(orders.TotalChanged):
        place(cart, total="24.81")
    assert nothing_was_written()


@pytest.mark.parametrize("total", ["24.8", "24.800", "2.48E+1"])
def test_total_is_compared_as_a_number(ready_cart, total):
    assert place(ready_cart({VariantFactory(price=Decimal("19.90")): 1}), total=total).order.total == Decimal("24.80")


@pytest.mark.parametrize("total", ["-1", "0", "1E-10", "99999999999.999"])
def test_absurd_expected_total_is_just_a_changed_one(ready_cart, total):
    with pytest.raises(orders.TotalChanged):
        place(ready_cart({VariantFactory(): 1}), total=total)


def test_stock_that_fell_refuses_the_order_and_nothing_is_half_written(ready_cart):
    plenty, few = VariantFactory.create_batch(2)
    cart = ready_cart({plenty: 1, few: 5})
    Stock.objects.filter(variant=few).update(on_hand=4)
    with pytest.raises(InsufficientStock) as refused:
        place(cart)
    assert (refused.value.variant, refused.value.requested, refused.value.available) == (few, 5, 4)
    assert refused.value.field == ("lines", "1", "quantity")
    assert nothing_was_written()
    assert Cart.objects.get().state == CartState.ACTIVE


def test_refused_order_can_be_placed_once_the_stock_is_back(ready_cart):
    cart = ready_cart({VariantFactory(): 5})
    Stock.objects.update(on_hand=4)
    with pytest.raises(InsufficientStock):
        place(cart)
    Stock.objects.update(on_hand=5)
    assert not place(cart).replayed


def test_all_refusals_are_told_at_once():
    sold_out = VariantFactory()
    cart = carts.add_lines(key=carts.CartKey(), lines=[carts.NewLine(sold_out.pk, 1)], now=NOW).cart
    Stock.objects.update(on_hand=0)
    with pytest.raises(ExceptionGroup) as refused:
        place(cart)
    assert [(type(error), error.field) for error in refused.value.exceptions] == [
        (InsufficientStock, ("lines", "0", "quantity")),
        (checkout.EmailMissing, ("checkout", "email")),
        (checkout.AddressIncomplete, ("checkout", "shipping_address")),
    ]
    assert nothing_was_written()


def test_empty_cart_is_no_order(ready_cart):
    cart = ready_cart({VariantFactory(): 1})
    carts.clear(key=carts.CartKey(code=cart.code), now=NOW)
    with pytest.raises(checkout.CartEmpty):
        place(cart)


def test_withdrawn_product_is_no_longer_sold(ready_cart):
    cart = ready_cart({VariantFactory(): 1})
    Product.objects.update(published_at=None)
    with pytest.raises(carts.NotForSale):
        place(cart)
    assert nothing_was_written()


def test_order_without_a_price_is_paid_at_once(placed_order):
    free, pick_up = VariantFactory(price=Decimal(0)), ShippingMethodFactory(price=Decimal(0))
    order = Order.objects.get(pk=placed_order({free: 1}, shipping=pick_up).pk)
    assert (order.total, order.state) == (0, OrderState.PAID)
    assert events(order) == [OrderEventKind.PLACED, OrderEventKind.PAID]


def test_total_too_large_for_any_row_is_refused(ready_cart):
    gold = VariantFactory(price=Decimal(99_999_999), stock__policy=StockPolicy.BACKORDER)
    cart = ready_cart({gold: 9_999})
    with pytest.raises(DomainError):
        place(cart)


def test_note_that_is_too_long_is_refused(ready_cart):
    with pytest.raises(InvalidInput) as refused:
        place(ready_cart({VariantFactory(): 1}), note="x" * 2001)
    assert refused.value.field == ("note",)


@pytest.mark.parametrize(("currency", "price", "total"), [("JPY", "1990", "1995"), ("KWD", "1.235", "6.135")])
def test_order_in_another_currency_has_its_decimals(ready_cart, settings, currency, price, total):
    settings.SHOP_CURRENCY = currency
    order = place(ready_cart({VariantFactory(price=Decimal(price)): 1})).order
    assert (order.currency, str(order.total)) == (currency, total)


# ── who may see it ───────────────────────────────────────────────────────────────────────────────────


def seen_by(viewer, receipt=None):
    return set(orders.visible(order_id=None, viewer=viewer, receipt=receipt))


def test_customer_sees_their_own_orders_and_a_guest_none(placed_order):
    owner, other = UserFactory(), UserFactory()
    order = placed_order({VariantFactory(): 1}, owner)
    placed_order({VariantFactory(): 1})
    assert seen_by(owner) == {order}
    assert seen_by(other) == seen_by(None) == set()


def clerk_with(*permissions):
    clerk = UserFactory(is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return clerk


def test_staff_see_all_orders_only_with_the_permission(placed_order):
    order = placed_order({VariantFactory(): 1}, UserFactory())
    assert seen_by(clerk_with()) == set()
    assert seen_by(clerk_with("view_order")) == {order}


def test_staff_change_orders_only_with_the_permission(placed_order):
    order = placed_order({VariantFactory(): 1}, UserFactory())
    with pytest.raises(NotFound):
        orders.cancel(order_id=order.pk, viewer=clerk_with("view_order"), now=NOW)
    assert (Order.objects.get().state, events(order)) == (OrderState.AWAITING_PAYMENT, [OrderEventKind.PLACED])
    clerk = clerk_with("view_order", "change_order")
    assert orders.cancel(order_id=order.pk, viewer=clerk, now=NOW).state == OrderState.CANCELLED
    assert order.events.last().actor == clerk


def test_receipt_is_for_those_who_may_act_on_the_order(placed_order):
    owner = UserFactory()
    order = placed_order({VariantFactory(): 1}, owner)
    assert orders.may_hold_receipt(viewer=owner, order=order)
    assert orders.may_hold_receipt(viewer=None, order=order)
    assert orders.may_hold_receipt(viewer=clerk_with("view_order", "change_order"), order=order)
    assert not orders.may_hold_receipt(viewer=clerk_with("view_order"), order=order)


def test_staff_who_may_only_look_hold_the_receipt_of_what_they_bought_themselves(placed_order):
    clerk = clerk_with("view_order")
    own, other = placed_order({VariantFactory(): 1}, clerk), placed_order({VariantFactory(): 1}, UserFactory())
    assert (orders.may_hold_receipt(viewer=clerk, order=own), orders.may_hold_receipt(viewer=clerk, order=other)) == (
        True,
        False,
    )


def test_receipt_shows_its_order_to_whoever_holds_it(placed_order):
    order, _other = placed_order({VariantFactory(): 1}), placed_order({VariantFactory(): 1})
    assert seen_by(None, orders.receipt(order=order)) == seen_by(UserFactory(), orders.receipt(order=order)) == {order}


TAMPERED = {
    "unsigned": lambda order, receipt: order.number,
    "cut off": lambda order, receipt: receipt[:-1],
    "another number": lambda order, receipt: receipt.replace(order.number, "0000000000"),
    "another case": lambda order, receipt: receipt.lower(),
    "no signature": lambda order, receipt: f"{order.number}:",
    "empty": lambda order, receipt: "",
    "no latin letters": lambda order, receipt: f"{order.number}:ü",
    "endless": lambda order, receipt: "x" * 100_000,
}


@pytest.mark.parametrize("tampered", TAMPERED.values(), ids=TAMPERED)
def test_tampered_receipt_shows_nothing(placed_order, tampered):
    order = placed_order({VariantFactory(): 1})
    receipt = tampered(order, orders.receipt(order=order))
    assert seen_by(None, receipt) == set()
    with pytest.raises(NotFound):
        orders.cancel(order_id=order.pk, viewer=None, receipt=receipt, now=NOW)


def test_receipt_opens_no_other_order(placed_order):
    order, other = placed_order({VariantFactory(): 1}), placed_order({VariantFactory(): 1})
    with pytest.raises(NotFound):
        orders.cancel(order_id=other.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW)


# ── cancelling ───────────────────────────────────────────────────────────────────────────────────────


def test_cancelled_order_gives_back_exactly_what_it_took(placed_order):
    tee, mug = VariantFactory.create_batch(2)
    placed_order({tee: 3})
    order = placed_order({tee: 2, mug: 1})
    assert cancel(order, reason="Too slow").state == OrderState.CANCELLED
    assert reserved() == {tee.pk: 3, mug.pk: 0}
    assert list(Stock.objects.values_list("on_hand", flat=True)) == [10, 10]
    assert order.events.last().message == "Too slow"


def test_cancelling_twice_is_cancelling_once(placed_order):
    variant = VariantFactory()
    placed_order({variant: 3})
    order = placed_order({variant: 2})
    cancel(order)
    cancel(order)
    assert reserved() == {variant.pk: 3}
    assert events(order) == [OrderEventKind.PLACED, OrderEventKind.CANCELLED]


def test_customer_cancels_their_own_order_and_nobody_else_s(placed_order):
    owner = UserFactory()
    order = placed_order({VariantFactory(): 1}, owner)
    for stranger in (None, UserFactory()):
        with pytest.raises(NotFound):
            orders.cancel(order_id=order.pk, viewer=stranger, now=NOW)
    assert orders.cancel(order_id=order.pk, viewer=owner, now=NOW).state == OrderState.CANCELLED
    assert order.events.last().actor == owner


def test_paid_order_cannot_be_cancelled(placed_order):
    variant = VariantFactory()
    order = placed_order({variant: 2})
    pay(order)
    with pytest.raises(orders.OrderStateConflict):
        cancel(order)
    assert Order.objects.get().state == OrderState.PAID
    assert reserved() == {variant.pk: 2}


def test_order_cannot_be_cancelled_while_a_gateway_owes_an_answer(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "timeout")
    with pytest.raises(orders.OrderStateConflict):
        cancel(order)
    assert Order.objects.get().state == OrderState.AWAITING_PAYMENT


LONGEST_WAIT = timedelta(minutes=15)
A_SECOND = timedelta(seconds=1)


def test_order_can_be_cancelled_once_a_gateway_owes_an_answer_for_too_long(placed_order):
    variant = VariantFactory()
    order = placed_order({variant: 2})
    with pytest.raises(payments.PaymentUnavailable):
        pay(order, "timeout")
    with pytest.raises(orders.OrderStateConflict):
        cancel(order, now=NOW + LONGEST_WAIT - A_SECOND)
    assert (order.payments.get().state, reserved()) == (PaymentState.PENDING, {variant.pk: 2})
    assert cancel(order, now=NOW + LONGEST_WAIT + A_SECOND).state == OrderState.CANCELLED
    assert (order.payments.get().state, reserved()) == (PaymentState.PENDING, {variant.pk: 0}), "nobody knows its end"


def test_wait_for_a_gateway_begins_anew_when_it_is_asked_again(placed_order):
    order, later = placed_order({VariantFactory(): 1}), NOW + timedelta(minutes=10)
    for asked_at in (NOW, later):
        with pytest.raises(payments.PaymentUnavailable):
            pay(order, "timeout", now=asked_at)
    payment = order.payments.get()
    assert (payment.created_at, payment.asked_at) == (NOW, later)
    with pytest.raises(orders.OrderStateConflict):
        cancel(order, now=NOW + LONGEST_WAIT + A_SECOND)
    assert cancel(order, now=later + LONGEST_WAIT + A_SECOND).state == OrderState.CANCELLED


def test_payment_that_waits_for_the_buyer_is_cancelled_with_the_order(placed_order):
    order = placed_order({VariantFactory(): 1})
    pay(order, "action")
    cancel(order)
    assert order.payments.get().state == PaymentState.CANCELLED
    with pytest.raises(orders.OrderStateConflict):
        pay(order, "confirm")


def test_order_whose_payment_failed_can_be_cancelled(placed_order):
    order = placed_order({VariantFactory(): 1})
    with pytest.raises(payments.PaymentDeclined):
        pay(order, "decline")
    assert cancel(order).state == OrderState.CANCELLED


def test_reason_that_is_too_long_is_refused(placed_order):
    with pytest.raises(InvalidInput):
        cancel(placed_order({VariantFactory(): 1}), reason="x" * 2001)


# ── states ───────────────────────────────────────────────────────────────────────────────────────────

ALLOWED = {
    (OrderState.AWAITING_PAYMENT, OrderState.PAID),
    (OrderState.AWAITING_PAYMENT, OrderState.CANCELLED),
    (OrderState.AWAITING_PAYMENT, OrderState.EXPIRED),
    (OrderState.PAID, OrderState.SHIPPED),
    (OrderState.PAID, OrderState.REFUNDED),
    (OrderState.SHIPPED, OrderState.DELIVERED),
    (OrderState.SHIPPED, OrderState.REFUNDED),
    (OrderState.DELIVERED, OrderState.REFUNDED),
    (OrderState.CANCELLED, OrderState.PAID),
    (OrderState.EXPIRED, OrderState.PAID),
}


def test_every_state_says_what_may_follow():
    assert set(orders.TRANSITIONS) == set(OrderState)
    assert {(state, to) for state, follow in orders.TRANSITIONS.items() for to in follow} == ALLOWED


@pytest.mark.parametrize(("state", "to"), list(product(OrderState, OrderState)))
def test_order_moves_only_along_the_table(placed_order, state, to):
    order = placed_order({VariantFactory(): 1})
    Order.objects.update(state=state)
    order.refresh_from_db()

    def move():
        orders.change_state(order=order, to=to, kind=OrderEventKind.SHIPPED, message="", actor=None, now=NOW)

    if (state, to) in ALLOWED:
        move()
        assert (Order.objects.get().state, len(events(order))) == (to, 2)
    else:
        with pytest.raises(orders.OrderStateConflict):
            move()
        assert (Order.objects.get().state, len(events(order))) == (state, 1)


@pytest.mark.parametrize(("to", "left"), [(OrderState.CANCELLED, 0), (OrderState.EXPIRED, 0), (OrderState.PAID, 1)])
def test_stock_is_given_back_by_orders_that_end_unpaid(placed_order, to, left):
    order = placed_order({VariantFactory(): 1})
    orders.change_state(order=order, to=to, kind=OrderEventKind.PAID, message="", actor=None, now=NOW)
    assert list(reserved().values()) == [left]
