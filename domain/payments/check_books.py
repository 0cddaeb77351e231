"""Checks that the books balance: stock, orders, payments, refunds, discounts, and our payments with the gateways'."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import DecimalField, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from domain.base.money import ZERO, ExactAmount
from domain.payments import gateways
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
)

_HOLDS_STOCK = [OrderState.AWAITING_PAYMENT, OrderState.PAID]
_HAS_MONEY = [OrderState.PAID, OrderState.SHIPPED, OrderState.DELIVERED]
_GIVEN_UP = [OrderState.CANCELLED, OrderState.EXPIRED]
_GIVEN_BACK = [PaymentState.PENDING, PaymentState.SUCCEEDED]


@dataclass(frozen=True, slots=True)
class Breach:
    """A row that breaks a rule. `found` says how."""

    rule: str
    row: str
    found: str


def breaches() -> list[Breach]:
    """The rows that break a rule, as of one moment."""
    is_first = not connection.in_atomic_block
    with transaction.atomic():
        if connection.vendor == "postgresql" and is_first:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return [breach for rule in _RULES for breach in rule()]


def gateway_breaches(*, since: datetime) -> list[Breach]:
    """The payments created since then that differ from the gateway's books. Makes a request for each payment."""
    found = []
    for payment in Payment.objects.filter(created_at__gte=since).exclude(state=PaymentState.PENDING).iterator():
        gateway, charge = (
            gateways.gateway_for(provider=PaymentProvider(payment.provider)),
            gateways.charge_of(payment=payment),
        )
        taken = given = theirs_given = theirs_taken = ZERO
        if payment.state == PaymentState.SUCCEEDED:
            taken, given = payment.amount, payment.refunded
        try:
            outcome = gateway.look_up(charge)
            if outcome is not None and outcome.state == PaymentState.SUCCEEDED:
                theirs_taken = outcome.amount or ZERO
                theirs_given = gateway.refunded_total(replace(charge, reference=outcome.reference))
        except gateways.GatewayUnavailable:
            found.append(Breach("gateway_agrees", f"payment {payment.pk}", "The gateway gave no answer."))
            continue
        if (taken, given) != (theirs_taken, theirs_given):
            difference = f"we: {taken} taken, {given} refunded; gateway: {theirs_taken} taken, {theirs_given} refunded"
            found.append(Breach("gateway_agrees", f"payment {payment.pk}", difference))
    return found


def _sum(rows: QuerySet[Any], key: str, column: str, *, of: str = "pk") -> Coalesce | ExactAmount:
    """The sum of a column over the rows that refer to the outer one by `key`."""
    is_amount = rows.model._meta.get_field(column).get_internal_type() == "DecimalField"
    output: Any = DecimalField(max_digits=14, decimal_places=3) if is_amount else IntegerField()
    matching = rows.filter(**{key: OuterRef(of)}).order_by().values(key).annotate(sum=Sum(column)).values("sum")
    sum_ = Coalesce(Subquery(matching), Value(0), output_field=output)
    return ExactAmount(sum_) if is_amount else sum_


def _stock_is_the_sum_of_its_movements() -> Iterator[Breach]:
    moves = StockMovement.objects.all()
    rows: Any = Stock.objects.select_related("variant").annotate(
        hand=_sum(moves, "variant", "on_hand_change"), held=_sum(moves, "variant", "reserved_change")
    )
    for row in rows.exclude(on_hand=F("hand"), reserved=F("held")):
        found = f"{row}, by its movements {row.hand} and {row.held}"
        yield Breach("stock_is_the_sum_of_its_movements", f"stock of {row.variant.sku}", found)


def _what_is_reserved_is_what_orders_wait_for() -> Iterator[Breach]:
    waiting = OrderLine.objects.filter(order__state__in=_HOLDS_STOCK)
    rows: Any = Stock.objects.select_related("variant").annotate(wanted=_sum(waiting, "variant", "quantity"))
    for row in rows.exclude(reserved=F("wanted")):
        found = f"{row.reserved} reserved, {row.wanted} in orders"
        yield Breach("what_is_reserved_is_what_orders_wait_for", f"stock of {row.variant.sku}", found)


def _an_order_adds_up() -> Iterator[Breach]:
    rows: Any = Order.objects.annotate(goods=_sum(OrderLine.objects.all(), "order", "total"))
    for order in rows.exclude(total=ExactAmount(F("net") + F("tax")), subtotal=F("goods")):
        found = (
            f"total {order.total}, net {order.net} + tax {order.tax}; subtotal {order.subtotal}, lines {order.goods}"
        )
        yield Breach("an_order_adds_up", f"order {order.number}", found)


def _an_order_has_its_money() -> Iterator[Breach]:
    """A paid order has at least its total taken. Any other order has no money left."""
    taken = Payment.objects.filter(state=PaymentState.SUCCEEDED)
    rows: Any = Order.objects.annotate(taken=_sum(taken, "order", "amount"), given=_sum(taken, "order", "refunded"))
    is_paid = Q(state__in=_HAS_MONEY)
    for order in rows.filter((is_paid & Q(taken__lt=F("total"))) | (~is_paid & ~Q(taken=F("given")))):
        found = f"{order.get_state_display()}, total {order.total}; {order.taken} taken, {order.given} refunded"
        yield Breach("an_order_has_its_money", f"order {order.number}", found)


def _no_order_is_paid_twice() -> Iterator[Breach]:
    taken = Payment.objects.filter(state=PaymentState.SUCCEEDED)
    rows: Any = Order.objects.annotate(taken=_sum(taken, "order", "amount"), given=_sum(taken, "order", "refunded"))
    for order in rows.filter(taken__gt=ExactAmount(F("given") + F("total"))):
        found = f"total {order.total}; {order.taken} taken, {order.given} refunded"
        yield Breach("no_order_is_paid_twice", f"order {order.number}", found)


def _a_payment_gives_back_what_its_refunds_say() -> Iterator[Breach]:
    given = Refund.objects.filter(state__in=_GIVEN_BACK)
    rows: Any = Payment.objects.annotate(given=_sum(given, "payment", "amount"))
    for payment in rows.exclude(refunded=F("given")):
        found = f"{payment.refunded} refunded, {payment.given} by its refunds"
        yield Breach("a_payment_gives_back_what_its_refunds_say", f"payment {payment.pk}", found)


def _a_code_is_used_by_orders_that_stand() -> Iterator[Breach]:
    stands = Q(given_back_at=None)
    is_given_up = Q(order__state__in=_GIVEN_UP)
    rows: Any = DiscountUse.objects.select_related("order", "discount")
    for use in rows.filter((stands & is_given_up) | (~stands & ~is_given_up)):
        found = f"{'released' if use.given_back_at else 'used'}, but the order is {use.order.get_state_display()}"
        row = f"use of {use.discount.code} by order {use.order.number}"
        yield Breach("a_code_is_used_by_orders_that_stand", row, found)


_RULES: list[Callable[[], Iterator[Breach]]] = [
    _stock_is_the_sum_of_its_movements,
    _what_is_reserved_is_what_orders_wait_for,
    _an_order_adds_up,
    _an_order_has_its_money,
    _no_order_is_paid_twice,
    _a_payment_gives_back_what_its_refunds_say,
    _a_code_is_used_by_orders_that_stand,
]
