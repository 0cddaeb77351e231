"""Payments: commit the intent, ask the gateway outside any transaction, record its answer.

A crash between the steps leaves a PENDING payment; asking again with the same key finds out how it ended.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q, UUIDField

from domain import gateways, locks, orders, outbox, refunds
from domain.errors import DomainError, InvalidInput
from domain.money import ZERO
from domain.statements import Statement, insert, update
from storefront.models import (
    GatewayEvent,
    Order,
    OrderEventKind,
    OrderState,
    Payment,
    PaymentProvider,
    PaymentState,
    UnverifiedEvent,
    User,
)

logger = logging.getLogger(__name__)


class PaymentDeclined(DomainError):
    """The gateway refused to take the money: `payment` has failed, and the order still awaits another."""

    code: ClassVar[str] = "PAYMENT_DECLINED"

    def __init__(self, payment: Payment) -> None:
        super().__init__(payment.failure, field=["payment_method"])
        self.payment = payment


class PaymentUnavailable(DomainError):
    """The shop does not take money this way; or, with `payment`, the gateway gave no answer: try the same again."""

    code: ClassVar[str] = "PAYMENT_UNAVAILABLE"

    def __init__(self, message: str, *, payment: Payment | None = None) -> None:
        super().__init__(message, field=["provider"])
        self.payment = payment


_PAYMENT = Statement(lambda payment: Payment.objects.filter(pk=payment), payment=UUIDField())
_OPEN = (PaymentState.PENDING, PaymentState.REQUIRES_ACTION)
_OPEN_OF = Statement(lambda order: Payment.objects.filter(order=order, state__in=_OPEN), order=UUIDField())
# What a gateway has not heard of by then, it never will.
_LOST_AFTER = timedelta(minutes=15)
# What we gave up, a buyer may still pay at the gateway: money that no webhook tells of is looked for so long.
_WATCHED_FOR = timedelta(days=7)


def start(
    *,
    order_id: UUID,
    viewer: User | None,
    receipt: str | None = None,
    provider: PaymentProvider,
    method: str = "",
    return_url: str = "",
    now: datetime,
) -> Payment:
    """Takes the order's total by a gateway, or goes on with the payment that is open: an order has one at most.

    A paid order returns the payment that paid it. Raises PaymentDeclined, PaymentUnavailable, InvalidInput,
    NotFound, OrderStateConflict.
    """
    if provider not in gateways.enabled():
        raise PaymentUnavailable("The shop does not take money this way.")
    if len(method) > 500 or len(return_url) > 2000:
        raise InvalidInput("Too long.", field=["payment_method" if len(method) > 500 else "return_url"])
    if return_url and not return_url.startswith(("https://", "http://")):
        raise InvalidInput("An absolute http or https address.", field=["return_url"])
    payment = None
    try:
        with gateways.request_may_wait(provider):
            payment = _intend(order_id=order_id, viewer=viewer, receipt=receipt, provider=provider, now=now)
            if payment.state not in _OPEN:
                return payment
            payment = _charge(payment, method=method, return_url=return_url, now=now)
    except gateways.GatewayUnavailable:
        if payment is None:  # Too many wait for it: nothing was begun.
            raise PaymentUnavailable("The gateway is busy: try the same again in a few seconds.") from None
        payment.refresh_from_db()  # Meanwhile others may have heard how it ended.
        raise PaymentUnavailable("The gateway gave no answer: try the same again.", payment=payment) from None
    if payment.state == PaymentState.FAILED:
        raise PaymentDeclined(payment)
    return payment


def _charge(payment: Payment, *, method: str = "", return_url: str = "", now: datetime) -> Payment:
    """The payment as its gateway answers when asked for the money. Raises GatewayUnavailable."""
    order = payment.order
    charge = replace(
        gateways.charge_of(payment), method=method, return_url=return_url, number=order.number, email=order.email
    )
    outcome = gateways.by_provider(PaymentProvider(payment.provider)).charge(charge)
    return _record(payment_id=payment.pk, order_id=order.pk, outcome=outcome, now=now)


@transaction.atomic(durable=True)
def _intend(
    *, order_id: UUID, viewer: User | None, receipt: str | None, provider: PaymentProvider, now: datetime
) -> Payment:
    """The order's open payment, marked PENDING so that nothing else moves the order until the answer is in."""
    order = orders.lock(order_id=order_id, viewer=viewer, receipt=receipt)
    if order.state != OrderState.AWAITING_PAYMENT:
        paid = order.payments.filter(state=PaymentState.SUCCEEDED).first()
        if paid and order.state in {OrderState.PAID, OrderState.SHIPPED, OrderState.DELIVERED}:
            return paid
        raise orders.OrderStateConflict(f"The order is {order.get_state_display()}.", field=["order_id"])
    payment = _OPEN_OF.first(order=order.pk)
    if payment is None:
        payment = Payment(
            order=order,
            provider=provider,
            amount=order.total,
            currency=order.currency,
            created_at=now,
            asked_at=now,
            check_at=gateways.next_look(now, now=now),
        )
        insert(payment)
        orders.tell(order, OrderEventKind.PAYMENT_STARTED, message=provider.label, actor=viewer, now=now)
    else:
        payment.order = order
        _mark_asked(payment, now=now)
    return payment


@transaction.atomic(durable=True)
def _resume(payment: Payment, *, now: datetime) -> Payment | None:
    """The payment, marked as `_intend` does, if its order still wants the money."""
    order = locks.order(Order.objects.filter(pk=payment.order_id, state=OrderState.AWAITING_PAYMENT))
    resumed = order.payments.filter(pk=payment.pk, state__in=_OPEN).first() if order else None
    if resumed:
        _mark_asked(resumed, now=now)
    return resumed


def _mark_asked(payment: Payment, *, now: datetime) -> None:
    payment.state, payment.asked_at = PaymentState.PENDING, now
    payment.check_at = gateways.next_look(now, now=now)
    payment.save(update_fields=["state", "asked_at", "check_at"])


@transaction.atomic(durable=True)
def _record(*, payment_id: UUID, order_id: UUID, outcome: gateways.Outcome, now: datetime) -> Payment:
    order = locks.order_of(order_id)
    payment = _PAYMENT.first(payment=payment_id)
    if order is None or payment is None:
        raise RuntimeError("Neither orders nor payments are ever deleted.")
    payment.order = order
    was_taken, is_taken = (state == PaymentState.SUCCEEDED for state in (payment.state, outcome.state))
    if was_taken or (payment.state not in _OPEN and not is_taken):
        return payment  # A twin of this request was first; but money that was taken counts whatever it was told.
    if is_taken and outcome.amount is not None and not _is_what_was_due(payment, outcome):
        return _take_what_was_not_due(payment, outcome, now=now)
    # What a gateway is still at may be taken yet: it stays PENDING, and is asked about.
    is_over = outcome.state in {PaymentState.REQUIRES_ACTION, PaymentState.FAILED}
    was_given_up = is_over and order.state != OrderState.AWAITING_PAYMENT
    payment.state = PaymentState.CANCELLED if was_given_up else outcome.state
    payment.reference = outcome.reference
    payment.client_secret = outcome.client_secret
    payment.redirect_url = outcome.redirect_url
    payment.failure = outcome.failure
    payment.check_at = None if is_taken else payment.check_at
    update(payment, "state", "reference", "client_secret", "redirect_url", "failure", "check_at")
    if is_taken:
        if not orders.settle(order=order, payment=payment, now=now):
            refunds.owe(payment=payment, now=now)
    elif payment.state == PaymentState.FAILED:
        orders.tell(order, OrderEventKind.PAYMENT_FAILED, message=outcome.failure, now=now)
        outbox.put("payment_failed", {"order": str(order.pk), "more": {"failure": outcome.failure}}, now=now)
    return payment


def _is_what_was_due(payment: Payment, outcome: gateways.Outcome) -> bool:
    return (outcome.amount, outcome.currency) == (payment.amount, payment.currency)


def _take_what_was_not_due(payment: Payment, outcome: gateways.Outcome, *, now: datetime) -> Payment:
    """The gateway has taken something else than it was asked for: it goes back, and the order is not paid."""
    taken = outcome.amount or ZERO
    message = f"{taken} {outcome.currency} came where {payment.amount} {payment.currency} was due."
    payment.state = PaymentState.SUCCEEDED if taken > 0 else PaymentState.FAILED
    payment.amount, payment.currency, payment.reference = taken, outcome.currency, outcome.reference
    payment.failure, payment.check_at = message, None
    payment.save()
    orders.tell(payment.order, OrderEventKind.REFUND_DUE, message=message, now=now)
    if taken > 0:
        refunds.owe(payment=payment, now=now)
    return payment


def reconcile(*, now: datetime) -> int:
    """Asks the gateways how payments ended that hang, one after the other; says how many were told of."""
    hanging = Payment.objects.filter(check_at__lte=now).order_by("check_at")[:200]

    def has_ended(payment: Payment) -> bool:
        return _check(payment, payment.reference, now=now).state not in {*_OPEN, payment.state}

    return gateways.ask_each([(payment.provider, payment) for payment in hanging], has_ended)


def _check(payment: Payment, reference: str, *, now: datetime) -> Payment:
    """The payment as its gateway says that it stands, or as it answers when the buyer has agreed and we take the money.

    Raises GatewayUnavailable.
    """
    is_watched = payment.state in _OPEN or payment.asked_at > now - _WATCHED_FOR
    next_look = gateways.next_look(payment.asked_at, now=now) if is_watched else None
    Payment.objects.exclude(check_at=None).filter(pk=payment.pk).update(check_at=next_look)
    charge = replace(gateways.charge_of(payment), reference=reference)
    outcome = gateways.by_provider(PaymentProvider(payment.provider)).look_up(charge)
    if outcome is None and payment.state == PaymentState.PENDING and payment.asked_at < now - _LOST_AFTER:
        failure = "The payment never reached the gateway."
        outcome = gateways.Outcome(state=PaymentState.FAILED, reference=payment.reference, failure=failure)
    if outcome is not None and outcome.is_approved and (resumed := _resume(payment, now=now)):
        return _charge(resumed, now=now)
    if outcome is None or outcome.state == payment.state:
        return payment
    return _record(payment_id=payment.pk, order_id=payment.order_id, outcome=outcome, now=now)


# ── what gateways tell by themselves ─────────────────────────────────────────────────────────────────

EVENT, UNVERIFIED = "gateway_event", "unverified_event"
# Anybody can send what looks like an event: so many may wait to be verified. A gateway sends again what was refused.
MOST_UNVERIFIED = 1_000
_UNVERIFIED_KEPT = timedelta(days=14)


class TooManyEvents(Exception):
    """Too many events wait to be verified. The gateway is to send this one again later."""


@transaction.atomic(durable=True)
def receive(*, provider: PaymentProvider, event: gateways.Event, now: datetime) -> None:
    """Notes an event whose signature was good, and owes a look into it. The same event again changes nothing."""
    _note(provider=provider, event=event, received_at=now, now=now)


@transaction.atomic(durable=True)
def keep_unverified(*, provider: PaymentProvider, event: gateways.Event, body: bytes, now: datetime) -> None:
    """Keeps an event that only its gateway can verify, and owes the question. Raises TooManyEvents."""
    if UnverifiedEvent.objects.count() >= MOST_UNVERIFIED:
        raise TooManyEvents
    kept = UnverifiedEvent.objects.create(
        provider=provider, proof=dict(event.proof), body=body.decode(), received_at=now
    )
    # After mails and webhooks: forged events must not delay them.
    outbox.put(UNVERIFIED, {"event": kept.pk}, now=now, priority=2)


def verify(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Asks the gateway whether it sent an event, and receives it or drops it. Raises GatewayUnavailable."""
    kept = UnverifiedEvent.objects.filter(pk=payload["event"]).first()
    if kept is None:  # It was verified before, or nobody could do so for a fortnight.
        return
    provider, body = PaymentProvider(kept.provider), kept.body.encode()
    if not gateways.has_sent(provider, kept.proof, body):
        logger.warning("An event that %s did not send was dropped: it came at %s.", provider.label, kept.received_at)
        UnverifiedEvent.objects.filter(pk=kept.pk).delete()
        return
    event = gateways.by_provider(provider).read_event(kept.proof, body, now=kept.received_at)
    _receive_verified(kept=kept, event=event, now=now)


@transaction.atomic(durable=True)
def _receive_verified(*, kept: UnverifiedEvent, event: gateways.Event, now: datetime) -> None:
    _note(provider=PaymentProvider(kept.provider), event=event, received_at=kept.received_at, now=now)
    UnverifiedEvent.objects.filter(pk=kept.pk).delete()


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes events that nobody could verify for a fortnight; says how many."""
    return UnverifiedEvent.objects.filter(received_at__lte=now - _UNVERIFIED_KEPT).delete()[0]


def _note(*, provider: PaymentProvider, event: gateways.Event, received_at: datetime, now: datetime) -> None:
    payments = Payment.objects.filter(provider=provider)
    known = Q(pk=event.payment) if event.payment else Q(reference=event.reference) & ~Q(reference="")
    noted, is_new = GatewayEvent.objects.get_or_create(
        provider=provider,
        event_id=event.id[:200],
        defaults={
            "kind": event.kind[:100],
            "reference": event.reference[:200],
            "payment": payments.filter(known).first(),
            "received_at": received_at,
        },
    )
    if is_new:
        outbox.put(EVENT, {"event": noted.pk}, now=now)


def receive_test(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """What the TEST gateway tells by itself."""
    event = gateways.Event(id=payload["id"], kind=payload["kind"], reference="", payment=UUID(payload["payment"]))
    receive(provider=PaymentProvider.TEST, event=event, now=now)


def look_into(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Asks the gateway about the payment and the refunds of an event. Raises GatewayUnavailable."""
    event = GatewayEvent.objects.select_related("payment").get(pk=payload["event"])
    if event.payment is not None:
        _check(event.payment, event.payment.reference or event.reference, now=now)
        refunds.check(event.payment, now=now)
    GatewayEvent.objects.filter(pk=event.pk).update(processed_at=now)
