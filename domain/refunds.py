"""Refunds: commit the intent, ask the gateway outside any transaction, record its answer. As `domain.payments` pays.

What a gateway was not asked for, or gave no answer to, `reconcile` asks for again, with the same key.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum

from domain import gateways, locks, orders, outbox, stock, webhooks
from domain.errors import InvalidInput, NotFound, RequestIdReused
from domain.money import ZERO, quantize
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

_ASKED_BY_ITSELF = "no order can take it"


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
    """Gives back `amount` of a payment, in its currency, or all that is left of it. The same `request_id` gives once.

    A refund that stays PENDING is asked for again by itself. When nothing is left of an order's money, the order is
    REFUNDED, and its goods are for sale again if `restock`, or written off. Raises NotFound, InvalidInput,
    OrderStateConflict, RequestIdReused.
    """
    wanted = _intend(
        payment_id=payment_id,
        request_id=request_id,
        amount=amount,
        reason=reason,
        restock=restock,
        actor=actor,
        now=now,
    )
    try:
        with gateways.request_may_wait(PaymentProvider(wanted.payment.provider)):
            return _ask(wanted, now=now)
    except gateways.GatewayUnavailable:
        return wanted


@transaction.atomic(durable=True)
def _intend(
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
        raise InvalidInput("From 1 to 100 characters.", field=["request_id"])
    if len(reason) > 2000:
        raise InvalidInput("At most 2000 characters.", field=["reason"])
    locks.order(Order.objects.filter(payments=payment_id))
    payment = Payment.objects.filter(pk=payment_id).first()
    if payment is None:
        raise NotFound("There is no such payment.", field=["payment_id"])
    before = payment.refunds.filter(request_id=request_id).first()
    if before is not None:
        if amount is not None and amount != before.amount:
            raise RequestIdReused("This id was used for another amount.", field=["request_id"])
        return before
    if payment.state != PaymentState.SUCCEEDED:
        raise orders.OrderStateConflict("Nothing was taken by this payment.", field=["payment_id"])
    left = payment.amount - payment.refunded
    if not left:
        raise orders.OrderStateConflict("All of it has been given back.", field=["payment_id"])
    amount = left if amount is None else amount
    if not (amount.is_finite() and 0 < amount <= left and quantize(amount, payment.currency) == amount):
        most = quantize(left, payment.currency)
        raise InvalidInput(f"An amount in {payment.currency}, {most} at most.", field=["amount"])
    return _written(payment, request_id=request_id, amount=amount, reason=reason, restock=restock, actor=actor, now=now)


def owe(*, payment: Payment, now: datetime) -> None:
    """Has money given back that no order can take, as soon as `reconcile` runs. Call with the order locked."""
    _written(payment, request_id=_ASKED_BY_ITSELF, amount=payment.amount, reason="", restock=False, actor=None, now=now)


def _written(payment: Payment, *, amount: Decimal, now: datetime, **told: object) -> Refund:
    Payment.objects.filter(pk=payment.pk).update(refunded=F("refunded") + amount)
    payment.refunded += amount
    return Refund.objects.create(payment=payment, amount=amount, created_at=now, ask_at=now, **told)


def reconcile(*, now: datetime) -> int:
    """Asks the gateways for refunds that nobody has answered, one after the other; says how many ended."""
    hanging = Refund.objects.filter(state=PaymentState.PENDING, ask_at__lte=now).select_related("payment")

    def has_ended(refund: Refund) -> bool:
        return _ask(refund, now=now).state != PaymentState.PENDING

    rows = hanging.order_by("ask_at")[:200]
    return gateways.ask_each([(refund.payment.provider, refund) for refund in rows], has_ended)


def check(payment: Payment, *, now: datetime) -> None:
    """Asks for the refunds of a payment that are due, and how the others stand. Raises GatewayUnavailable."""
    for refund in payment.refunds.filter(state=PaymentState.PENDING):
        if _ask(refund, now=now).state == PaymentState.PENDING:
            _look_up(refund, now=now)


def _ask(wanted: Refund, *, now: datetime) -> Refund:
    """The refund as its gateway answers, unless another is asking. Raises GatewayUnavailable.

    One asks at a time: not every gateway knows idempotency keys, so that whoever asks has to look first whether
    it was given before.
    """
    mine = Refund.objects.filter(pk=wanted.pk, state=PaymentState.PENDING, ask_at__lte=now)
    if not mine.update(ask_at=gateways.next_look(wanted.created_at, now=now)):
        wanted.refresh_from_db()
        return wanted
    refund = _look_up(wanted, now=now)
    if refund is not None:
        return refund
    outcome = _gateway_of(wanted).refund(_request(wanted))
    return _record(refund_id=wanted.pk, order_id=wanted.payment.order_id, outcome=outcome, now=now)


def _look_up(wanted: Refund, *, now: datetime) -> Refund | None:
    """The refund as its gateway says that it stands; None if it has not heard of it. Raises GatewayUnavailable."""
    outcome = _gateway_of(wanted).look_up_refund(_request(wanted))
    if outcome is None:
        return None
    return _record(refund_id=wanted.pk, order_id=wanted.payment.order_id, outcome=outcome, now=now)


def _gateway_of(wanted: Refund) -> gateways.Gateway:
    return gateways.by_provider(PaymentProvider(wanted.payment.provider))


def _request(wanted: Refund) -> gateways.Return:
    return gateways.Return(
        key=wanted.pk,
        charge=gateways.charge_of(wanted.payment),
        amount=quantize(wanted.amount, wanted.payment.currency),
    )


@transaction.atomic(durable=True)
def _record(*, refund_id: UUID, order_id: UUID, outcome: gateways.Outcome, now: datetime) -> Refund:
    locks.order_of(order_id)
    refund = Refund.objects.select_related("payment__order", "actor").get(pk=refund_id)
    if refund.state != PaymentState.PENDING:
        return refund  # A twin of this request was first.
    refund.state, refund.reference, refund.failure = outcome.state, outcome.reference, outcome.failure
    refund.save(update_fields=["state", "reference", "failure"])
    if refund.state == PaymentState.SUCCEEDED:
        _given(refund, now=now)
    elif refund.state == PaymentState.FAILED:
        Payment.objects.filter(pk=refund.payment_id).update(refunded=F("refunded") - refund.amount)
        refund.payment.refunded -= refund.amount
        message = f"{_text(refund)} could not be given back: {refund.failure}"
        orders.tell(refund.payment.order, OrderEventKind.REFUND_DUE, message=message, actor=refund.actor, now=now)
    return refund


def _given(refund: Refund, *, now: datetime) -> None:
    order, message = refund.payment.order, " ".join(filter(None, (_text(refund), refund.reason)))
    is_over = OrderState.REFUNDED in orders.TRANSITIONS[OrderState(order.state)] and not _money_left(order)
    if is_over:
        _clear(order, restock=refund.restock, now=now)
        orders.move(
            order, OrderState.REFUNDED, kind=OrderEventKind.REFUNDED, message=message, actor=refund.actor, now=now
        )
    else:
        orders.tell(order, OrderEventKind.REFUNDED, message=message, actor=refund.actor, now=now)
        webhooks.about(order, WebhookTopic.ORDER_REFUNDED, now=now)
    outbox.put("order_refunded", {"order": str(order.pk), "more": {"amount": _text(refund)}}, now=now)


def _money_left(order: Order) -> Decimal:
    """What the shop has of the order's money, refunds that were not answered yet counted as the shop's."""
    taken = order.payments.filter(state=PaymentState.SUCCEEDED).aggregate(sum=Sum("amount", default=ZERO))["sum"]
    given = Refund.objects.filter(Q(payment__order=order, state=PaymentState.SUCCEEDED))
    left: Decimal = taken - given.aggregate(sum=Sum("amount", default=ZERO))["sum"]
    return left


def _clear(order: Order, *, restock: bool, now: datetime) -> None:
    """Where the goods of an order are whose money is gone: for sale again, or nowhere."""
    if order.state == OrderState.PAID:
        (stock.release if restock else stock.ship)(order=order, now=now)
    elif restock:
        stock.take_back(order=order, now=now)


def _text(refund: Refund) -> str:
    return f"{quantize(refund.amount, refund.payment.currency)} {refund.payment.currency}"
