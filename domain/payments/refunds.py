"""Refunds in three steps: commit the intent, call the gateway outside any transaction, record its answer.

`reconcile` retries refunds without an answer, with the same key.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from domain.base import locks, outbox, webhooks
from domain.base.errors import InvalidInput, NotFound, RequestIdReused
from domain.base.money import ZERO, ExactAmount, quantize
from domain.catalog import stock
from domain.payments import gateways
from domain.sales import orders
from storefront.models import (
    Order,
    OrderEventKind,
    OrderState,
    Payment,
    PaymentProvider,
    PaymentState,
    Refund,
    User,
    WebhookTopic,
)

_AUTOMATIC_REQUEST_ID = "no order can take it"


def refund(
    *,
    payment_id: UUID,
    request_id: str,
    amount: Decimal | None = None,
    reason: str = "",
    restock: bool = True,
    actor: User | None,
    now: datetime,
) -> Refund:
    """Refunds `amount` of a payment in its currency, or all that is left. Calls with the same `request_id` refund once.

    A refund that stays PENDING is retried automatically. When all of an order's money is refunded, the order becomes
    REFUNDED and its goods return to the stock if `restock`, else they are written off. Raises NotFound, InvalidInput,
    OrderStateConflict, RequestIdReused.
    """
    wanted = _record_intent(
        payment_id=payment_id,
        request_id=request_id,
        amount=amount,
        reason=reason,
        restock=restock,
        actor=actor,
        now=now,
    )
    try:
        with gateways.waiting_slot(provider=PaymentProvider(wanted.payment.provider)):
            return _request_once(wanted, now=now)
    except gateways.GatewayUnavailable:
        return wanted


@transaction.atomic(durable=True)
def _record_intent(
    *,
    payment_id: UUID,
    request_id: str,
    amount: Decimal | None,
    reason: str,
    restock: bool,
    actor: User | None,
    now: datetime,
) -> Refund:
    if not 0 < len(request_id) <= 100:
        raise InvalidInput("A request id has from 1 to 100 characters.", field=["request_id"])
    if len(reason) > 2000:
        raise InvalidInput("A reason has at most 2000 characters.", field=["reason"])
    locks.order(candidates=Order.objects.filter(payments=payment_id))
    payment = Payment.objects.filter(pk=payment_id).first()
    if payment is None:
        raise NotFound("This payment does not exist.", field=["payment_id"])
    before = payment.refunds.filter(request_id=request_id).first()
    if before is not None:
        if amount is not None and amount != before.amount:
            raise RequestIdReused("This request id was used for another amount.", field=["request_id"])
        return before
    if payment.state != PaymentState.SUCCEEDED:
        raise orders.OrderStateConflict(
            "This payment did not succeed, so there is nothing to refund.", field=["payment_id"]
        )
    left = payment.amount - payment.refunded
    if not left:
        raise orders.OrderStateConflict("This payment has been refunded in full.", field=["payment_id"])
    amount = left if amount is None else amount
    if not (amount.is_finite() and 0 < amount <= left and quantize(amount=amount, currency=payment.currency) == amount):
        most = quantize(amount=left, currency=payment.currency)
        message = f"A refund is above 0 and at most {most} {payment.currency}, with no more decimals than that."
        raise InvalidInput(message, field=["amount"])
    return _create(payment, request_id=request_id, amount=amount, reason=reason, restock=restock, actor=actor, now=now)


def schedule(*, payment: Payment, now: datetime) -> None:
    """Creates a refund of money that the order cannot use; `reconcile` sends it. Call with the order locked."""
    _create(
        payment, request_id=_AUTOMATIC_REQUEST_ID, amount=payment.amount, reason="", restock=False, actor=None, now=now
    )


def _create(payment: Payment, *, amount: Decimal, now: datetime, **columns: object) -> Refund:
    Payment.objects.filter(pk=payment.pk).update(refunded=ExactAmount(F("refunded") + amount))
    payment.refunded += amount
    return Refund.objects.create(payment=payment, amount=amount, created_at=now, ask_at=now, **columns)


def reconcile(*, now: datetime) -> int:
    """Retries pending refunds that are due, one by one. Returns how many ended."""
    hanging = Refund.objects.filter(state=PaymentState.PENDING, ask_at__lte=now).select_related("payment")

    def has_ended(refund: Refund) -> bool:
        return _request_once(refund, now=now).state != PaymentState.PENDING

    rows = hanging.order_by("ask_at")[:200]
    return gateways.check_each(rows=[(refund.payment.provider, refund) for refund in rows], check=has_ended)


def check_pending(*, payment: Payment, now: datetime) -> None:
    """Retries a payment's pending refunds that are due, and looks up the others. Raises GatewayUnavailable."""
    for refund in payment.refunds.filter(state=PaymentState.PENDING):
        if _request_once(refund, now=now).state == PaymentState.PENDING:
            _look_up(refund, now=now)


def _request_once(wanted: Refund, *, now: datetime) -> Refund:
    """Requests the refund at its gateway and records the answer, unless another worker does. Raises GatewayUnavailable.

    Only one worker requests a refund at a time. Not every gateway supports idempotency keys, so this first looks up
    whether the refund was made before.
    """
    mine = Refund.objects.filter(pk=wanted.pk, state=PaymentState.PENDING, ask_at__lte=now)
    if not mine.update(ask_at=gateways.next_check(since=wanted.created_at, now=now)):
        wanted.refresh_from_db()
        return wanted
    refund = _look_up(wanted, now=now)
    if refund is not None:
        return refund
    outcome = _gateway_of(wanted).refund(_gateway_request(wanted))
    return _record_outcome(refund_id=wanted.pk, order_id=wanted.payment.order_id, outcome=outcome, now=now)


def _look_up(wanted: Refund, *, now: datetime) -> Refund | None:
    """Looks the refund up and records its state; None if the gateway does not know it. Raises GatewayUnavailable."""
    outcome = _gateway_of(wanted).look_up_refund(_gateway_request(wanted))
    if outcome is None:
        return None
    return _record_outcome(refund_id=wanted.pk, order_id=wanted.payment.order_id, outcome=outcome, now=now)


def _gateway_of(wanted: Refund) -> gateways.Gateway:
    return gateways.gateway_for(provider=PaymentProvider(wanted.payment.provider))


def _gateway_request(wanted: Refund) -> gateways.RefundRequest:
    return gateways.RefundRequest(
        key=wanted.pk,
        charge=gateways.charge_of(payment=wanted.payment),
        amount=quantize(amount=wanted.amount, currency=wanted.payment.currency),
    )


@transaction.atomic(durable=True)
def _record_outcome(*, refund_id: UUID, order_id: UUID, outcome: gateways.Outcome, now: datetime) -> Refund:
    locks.order_by_id(order_id=order_id)
    refund = Refund.objects.select_related("payment__order", "actor").get(pk=refund_id)
    if refund.state != PaymentState.PENDING:
        return refund  # A concurrent request has recorded it.
    refund.state, refund.reference, refund.failure = outcome.state, outcome.reference, outcome.failure
    refund.save(update_fields=["state", "reference", "failure"])
    if refund.state == PaymentState.SUCCEEDED:
        _record_success(refund, now=now)
    elif refund.state == PaymentState.FAILED:
        Payment.objects.filter(pk=refund.payment_id).update(refunded=ExactAmount(F("refunded") - refund.amount))
        refund.payment.refunded -= refund.amount
        message = f"The refund of {_amount_text(refund)} failed: {refund.failure}"
        orders.add_event(
            order=refund.payment.order, kind=OrderEventKind.REFUND_DUE, message=message, actor=refund.actor, now=now
        )
    return refund


def _record_success(refund: Refund, *, now: datetime) -> None:
    order, message = refund.payment.order, " ".join(filter(None, (_amount_text(refund), refund.reason)))
    is_over = OrderState.REFUNDED in orders.TRANSITIONS[OrderState(order.state)] and not _money_left(order)
    if is_over:
        _move_goods(order, restock=refund.restock, now=now)
        orders.change_state(
            order=order,
            to=OrderState.REFUNDED,
            kind=OrderEventKind.REFUNDED,
            message=message,
            actor=refund.actor,
            now=now,
        )
    else:
        orders.add_event(order=order, kind=OrderEventKind.REFUNDED, message=message, actor=refund.actor, now=now)
        webhooks.queue_order_event(order=order, topic=WebhookTopic.ORDER_REFUNDED, now=now)
    outbox.put(
        kind="order_refunded", payload={"order": str(order.pk), "more": {"amount": _amount_text(refund)}}, now=now
    )


def _money_left(order: Order) -> Decimal:
    """The money that the shop still has of an order. Pending refunds are not subtracted."""
    taken = order.payments.filter(state=PaymentState.SUCCEEDED)
    refunded = Refund.objects.filter(payment__order=order, state=PaymentState.SUCCEEDED)
    return _sum(taken) - _sum(refunded)


def _sum(rows: QuerySet[Any]) -> Decimal:
    total: Decimal = rows.aggregate(total=ExactAmount(Sum("amount", default=ZERO)))["total"]
    return total


def _move_goods(order: Order, *, restock: bool, now: datetime) -> None:
    """Returns a refunded order's goods to the stock, or writes them off."""
    if order.state == OrderState.PAID:
        (stock.release if restock else stock.ship)(order=order, now=now)
    elif restock:
        stock.restock(order=order, now=now)


def _amount_text(refund: Refund) -> str:
    return f"{quantize(amount=refund.amount, currency=refund.payment.currency)} {refund.payment.currency}"
