"""Orders: placed exactly once, changed only along TRANSITIONS, with an event for each step."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from django.core import signing
from django.db import transaction
from django.db.models import CharField, QuerySet, UUIDField

from domain.base import locks, outbox, webhooks
from domain.base.errors import DomainError, InvalidInput, NotFound, raise_all
from domain.base.money import MAX_AMOUNT, quantize
from domain.base.prepared_queries import insert, update
from domain.catalog import stock
from domain.sales import cart as carts
from domain.sales import checkout, pricing, promotions
from domain.sales.priced_cart import PricedCart, load_priced_cart
from storefront.models import (
    Cart,
    CartState,
    Order,
    OrderEvent,
    OrderEventKind,
    OrderLine,
    OrderState,
    Payment,
    PaymentState,
    User,
)


class TotalChanged(DomainError):
    """The cart no longer costs what the buyer saw: `actual` in `currency`, not `expected` in `expected_currency`."""

    code: ClassVar[str] = "TOTAL_CHANGED"

    def __init__(self, *, expected: Decimal, expected_currency: str, actual: Decimal, currency: str) -> None:
        super().__init__(f"The total is now {actual} {currency}.", field=["expected_total"])
        self.expected = quantize(amount=expected, currency=expected_currency)
        self.expected_currency = expected_currency
        self.actual = actual
        self.currency = currency


class OrderStateConflict(DomainError):
    """The order's state does not allow this."""

    code: ClassVar[str] = "ORDER_STATE"


# For each state, the states that may follow.
TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.AWAITING_PAYMENT: frozenset({OrderState.PAID, OrderState.CANCELLED, OrderState.EXPIRED}),
    OrderState.PAID: frozenset({OrderState.SHIPPED, OrderState.REFUNDED}),
    OrderState.SHIPPED: frozenset({OrderState.DELIVERED, OrderState.REFUNDED}),
    OrderState.DELIVERED: frozenset({OrderState.REFUNDED}),
    # A late payment revives the order if its stock and discounts are still available.
    OrderState.CANCELLED: frozenset({OrderState.PAID}),
    OrderState.EXPIRED: frozenset({OrderState.PAID}),
    OrderState.REFUNDED: frozenset(),
}
# Mails to the buyer about state changes. `place` queues "order_placed".
_MAIL_OF_EVENT = {
    OrderEventKind.PAID: "order_paid",
    OrderEventKind.CANCELLED: "order_cancelled",
    OrderEventKind.EXPIRED: "order_expired",
}
_RELEASES_GOODS = {OrderState.CANCELLED, OrderState.EXPIRED}

_MAX_NOTE = 2000
_RETRIES_WITHIN = timedelta(days=1)
# How long a pending payment blocks cancelling and expiring. `settle` handles money that arrives later.
_ANSWERED_WITHIN = timedelta(minutes=15)
# Without letters that are easily misread (I, L, O, U). Numbers are random, so that they do not reveal how many orders
# the shop has.
_NUMBER_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BY_NUMBER = locks.Lock(
    lambda number, order: Order.objects.filter(number=number, pk=order), number=CharField(), order=UUIDField()
)
_receipts = signing.Signer(salt="commercia.order-receipt")


def _new_number() -> str:
    return "".join(secrets.choice(_NUMBER_ALPHABET) for _ in range(10))


def receipt(*, order: Order) -> str:
    """A signed token that gives a guest access to the order.

    It allows paying and cancelling, so staff who may only view orders must not see it (`may_hold_receipt`).
    """
    return _receipts.sign(order.number)


def may_hold_receipt(*, viewer: User | None, order: Order) -> bool:
    """Whether a viewer who can see the order may also pay or cancel it."""
    return viewer is None or not viewer.is_staff or Order.objects.changeable_by(viewer).filter(pk=order.pk).exists()


def trace(*, order: Order) -> list[pricing.Step]:
    """The steps of the order's total."""
    return [pricing.Step.from_json(step) for step in order.price_trace]


def discount_codes(*, order: Order) -> list[str]:
    """The discount codes that reduced the order's total."""
    return [step.code for step in trace(order=order) if step.kind == pricing.StepKind.DISCOUNT]


def _number_of(receipt: str) -> str | None:
    try:
        return _receipts.unsign(receipt)
    except signing.BadSignature:
        return None


def visible(*, order_id: UUID | None, viewer: User | None, receipt: str | None) -> QuerySet[Order]:
    """The orders that the viewer may see, or the one of the receipt; with `order_id`, only that order."""
    if receipt is None:
        orders = Order.objects.visible_to(viewer)
    else:
        number = _number_of(receipt)
        orders = Order.objects.filter(number=number) if number else Order.objects.none()
    return orders if order_id is None else orders.filter(pk=order_id)


def lock(*, order_id: UUID, viewer: User | None, receipt: str | None) -> Order:
    """Locks an order that the viewer, or the receipt's holder, may change. Raises NotFound."""
    if receipt is None:
        order = locks.order(candidates=Order.objects.changeable_by(viewer).filter(pk=order_id))
    else:
        number = _number_of(receipt)
        order = _BY_NUMBER.first(number=number, order=order_id) if number else None
    if order is None:
        raise NotFound("This order does not exist.", field=["order_id"])
    return order


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Filters of the staff's list of orders; all must match. `number` and `email` match exactly, in any case."""

    states: tuple[OrderState, ...] = ()
    placed_gte: datetime | None = None
    placed_lte: datetime | None = None
    email: str | None = None
    number: str | None = None
    customer_id: UUID | None = None


def staff_orders(*, filter: OrderFilter) -> QuerySet[Order]:
    """All orders that match the filter."""
    conditions = {
        "state__in": filter.states or None,
        "placed_at__gte": filter.placed_gte,
        "placed_at__lte": filter.placed_lte,
        "email": filter.email and filter.email.strip().lower(),
        "number": filter.number and filter.number.strip().upper(),
        "user": filter.customer_id,
    }
    return Order.objects.filter(**{name: value for name, value in conditions.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Placed:
    """`replayed`: the cart was placed by an earlier call, which created this order."""

    order: Order
    replayed: bool


@transaction.atomic(durable=True)
def place(
    *,
    key: carts.CartKey,
    expected_total: Decimal,
    expected_currency: str | None = None,
    note: str = "",
    now: datetime,
) -> Placed:
    """Turns the cart into an order that reserves its stock and awaits payment. A second call returns the same order.

    `expected_total` is the total that the buyer saw, in `expected_currency` (default: the cart's). Raises
    TotalChanged; what `checkout.problems` finds, except changed prices, which the expected total covers; InvalidInput
    for the note; NotFound, CartLocked for the cart.
    """
    if len(note) > _MAX_NOTE:
        raise InvalidInput(f"A note has at most {_MAX_NOTE} characters.", field=["note"])
    cart = _cart_to_place(key, now=now)
    if cart.state != CartState.ACTIVE:
        order = Order.objects.filter(cart=cart).first()
        if order is None:
            raise carts.CartLocked(order=None)
        return Placed(order=order, replayed=True)

    priced = load_priced_cart(cart=cart, now=now)
    if priced.discounts:
        promotions.lock_codes(cart=cart)
        priced = load_priced_cart(cart=cart, now=now)  # Again, because the lock may have waited.
    cart, quote = priced.cart, priced.quote
    problems = checkout.problems(priced=priced)
    raise_all(errors=[problem for problem in problems if not isinstance(problem, checkout.PriceChanged)])
    total, currency = quote.totals.total, quote.exchange.currency
    if quote.totals.subtotal + quote.totals.shipping + quote.totals.tax >= MAX_AMOUNT:
        raise InvalidInput("The total is higher than the shop can charge at once.", field=["lines"])
    if (expected_total, expected_currency or currency) != (total, currency):
        raise TotalChanged(
            expected=expected_total, expected_currency=expected_currency or currency, actual=total, currency=currency
        )

    order = _create(priced, note=note, now=now)
    promotions.record_uses(order=order, discounts=quote.discounts, now=now)
    stock.reserve(order=order, variants={line.variant: line.quantity for line in priced.lines}, now=now)
    cart.state, cart.updated_at = CartState.CONVERTED, now
    update(row=cart, fields=["state", "updated_at"])
    if not order.total:
        change_state(
            order=order, to=OrderState.PAID, kind=OrderEventKind.PAID, message="Nothing to pay.", actor=None, now=now
        )
    return Placed(order=order, replayed=False)


def _cart_to_place(key: carts.CartKey, *, now: datetime) -> Cart:
    cart = carts.lock(key=key)
    if cart is None and key.code is None and key.user is not None:
        # A retry without a cart code: the first call has turned the account's active cart into its last order.
        recent = Cart.objects.filter(user=key.user, state=CartState.CONVERTED, updated_at__gte=now - _RETRIES_WITHIN)
        cart = recent.order_by("-updated_at").first()
    if cart is None:
        raise carts.not_found(key=key)
    return cart


def _create(priced: PricedCart, *, note: str, now: datetime) -> Order:
    cart, quote, totals = priced.cart, priced.quote, priced.quote.totals
    details = cart.checkout
    order = Order(
        number=_new_number(),
        cart=cart,
        user_id=cart.user_id,
        email=details.email,
        currency=quote.exchange.currency,
        exchange_rate=quote.exchange.rate,
        prices_include_tax=totals.prices_include_tax,
        subtotal=totals.subtotal,
        discount=totals.discount,
        shipping=totals.shipping,
        net=totals.net,
        tax=totals.tax,
        total=totals.total,
        price_trace=[step.to_json() for step in totals.trace],
        shipping_address=details.shipping_address,
        billing_address=details.billing_address or details.shipping_address,
        shipping_method=quote.offer.method.name if quote.offer else "",
        note=note,
        placed_at=now,
    )
    lines = [
        OrderLine(
            order=order,
            variant=line.variant,
            sku=line.variant.sku,
            title=line.variant.product.title,
            variant_title=line.variant.title,
            quantity=line.quantity,
            unit_price=quote.unit_prices[line.variant_id],
            total=totals.lines[line.variant.sku].listed,
            discount=totals.lines[line.variant.sku].discount,
            net=totals.lines[line.variant.sku].net,
            tax=totals.lines[line.variant.sku].tax,
            position=position,
        )
        for position, line in enumerate(priced.lines, start=1)
    ]
    insert(order)
    insert(*lines)
    add_event(order=order, kind=OrderEventKind.PLACED, now=now, actor=cart.user)
    outbox.put(kind="order_placed", payload={"order": str(order.pk)}, now=now)
    webhooks.queue_order_state(order=order, now=now)
    return order


@transaction.atomic(durable=True)
def cancel(
    *, order_id: UUID, viewer: User | None, receipt: str | None = None, reason: str = "", now: datetime
) -> Order:
    """Cancels an unpaid order and releases its stock. Cancelling it again changes nothing.

    Raises NotFound, InvalidInput; OrderStateConflict once the order is paid, and while a payment is pending (for up to
    15 minutes).
    """
    if len(reason) > _MAX_NOTE:
        raise InvalidInput(f"A reason has at most {_MAX_NOTE} characters.", field=["reason"])
    order = lock(order_id=order_id, viewer=viewer, receipt=receipt)
    if order.state == OrderState.CANCELLED:
        return order
    if _is_being_paid(order, now=now):
        raise OrderStateConflict("A payment is in progress. Try again when it has ended.", field=["order_id"])
    change_state(
        order=order, to=OrderState.CANCELLED, kind=OrderEventKind.CANCELLED, message=reason, actor=viewer, now=now
    )
    return order


def expire_unpaid(*, placed_before: datetime, now: datetime) -> int:
    """Expires unpaid orders, each in its own transaction. Returns how many."""
    waiting = Order.objects.filter(state=OrderState.AWAITING_PAYMENT, placed_at__lt=placed_before)
    return sum(expire(order_id=pk, now=now) for pk in waiting.order_by("placed_at").values_list("pk", flat=True))


@transaction.atomic(durable=True)
def expire(*, order_id: UUID, now: datetime) -> bool:
    """Expires an order that awaits payment, unless a payment is pending. Returns whether it did."""
    order = locks.order(candidates=Order.objects.filter(pk=order_id, state=OrderState.AWAITING_PAYMENT))
    if order is None or _is_being_paid(order, now=now):
        return False
    change_state(order=order, to=OrderState.EXPIRED, kind=OrderEventKind.EXPIRED, message="", actor=None, now=now)
    return True


def _is_being_paid(order: Order, *, now: datetime) -> bool:
    return order.payments.filter(state=PaymentState.PENDING, asked_at__gt=now - _ANSWERED_WITHIN).exists()


def settle(*, order: Order, payment: Payment, now: datetime) -> bool:
    """Applies a succeeded payment to its locked order. Returns whether the order is now PAID.

    A cancelled or expired order is revived if its stock and discounts are still available. Money that the order
    cannot use is recorded as REFUND_DUE.
    """
    amount = quantize(amount=payment.amount, currency=payment.currency)
    message = f"{amount} {payment.currency} by {payment.get_provider_display()}"
    wants_money = OrderState.PAID in TRANSITIONS[OrderState(order.state)]
    if order.state in _RELEASES_GOODS:
        wants_money = _reserve_again(order, now=now)
    if wants_money:
        change_state(order=order, to=OrderState.PAID, kind=OrderEventKind.PAID, message=message, actor=None, now=now)
    else:
        add_event(order=order, kind=OrderEventKind.REFUND_DUE, message=message, now=now)
    return wants_money


def _reserve_again(order: Order, *, now: datetime) -> bool:
    lines = order.lines.select_related("variant__stock", "variant__product")
    try:
        with transaction.atomic():
            promotions.restore_uses(order=order)
            stock.reserve(order=order, variants={line.variant: line.quantity for line in lines}, now=now)
    except* (stock.InsufficientStock, promotions.DiscountRefused):
        reserved = False
    else:
        reserved = True
    return reserved


def change_state(
    *, order: Order, to: OrderState, kind: OrderEventKind, message: str, actor: User | None, now: datetime
) -> None:
    """Changes a locked order's state, with all side effects. Nothing else changes it. Raises OrderStateConflict."""
    if to not in TRANSITIONS[OrderState(order.state)]:
        raise OrderStateConflict(
            f"An order that is {order.get_state_display()} cannot become {to.label}.", field=["order_id"]
        )
    order.state = to
    update(row=order, fields=["state"])
    if to in _RELEASES_GOODS:
        # Cancel a payment that waits for the buyer. One without an answer stays PENDING, since it may have succeeded.
        order.payments.filter(state=PaymentState.REQUIRES_ACTION).update(state=PaymentState.CANCELLED)
        promotions.release_uses(order=order, now=now)
        stock.release(order=order, now=now)
    add_event(order=order, kind=kind, message=message, actor=actor, now=now)
    if kind in _MAIL_OF_EVENT and order.total:
        outbox.put(kind=_MAIL_OF_EVENT[kind], payload={"order": str(order.pk)}, now=now)
    webhooks.queue_order_state(order=order, now=now)


def add_event(
    *, order: Order, kind: OrderEventKind, now: datetime, message: str = "", actor: User | None = None
) -> None:
    """Adds an event to the order's history."""
    insert(OrderEvent(order=order, kind=kind, message=message, actor=actor, at=now))
