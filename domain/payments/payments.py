"""Payments in three steps: commit the intent, call the gateway outside any transaction, record its answer.

A crash between the steps leaves a PENDING payment. Calling the gateway again with the same key tells how it ended.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import Q, UUIDField

from domain.base import locks, outbox
from domain.base.errors import DomainError, InvalidInput
from domain.base.money import ZERO
from domain.base.prepared_queries import PreparedQuery, insert, update
from domain.payments import gateways, refunds
from domain.sales import orders
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
    """The gateway declined the payment. `payment` has failed; the order still awaits payment."""

    code: ClassVar[str] = "PAYMENT_DECLINED"

    def __init__(self, payment: Payment) -> None:
        super().__init__(payment.failure, field=["payment_method"])
        self.payment = payment


class PaymentUnavailable(DomainError):
    """The shop does not offer this provider; or, with `payment`, the gateway did not answer: repeat the same call."""

    code: ClassVar[str] = "PAYMENT_UNAVAILABLE"

    def __init__(self, message: str, *, payment: Payment | None = None) -> None:
        super().__init__(message, field=["provider"])
        self.payment = payment


_PAYMENT = PreparedQuery(lambda payment: Payment.objects.filter(pk=payment), payment=UUIDField())
_OPEN = (PaymentState.PENDING, PaymentState.REQUIRES_ACTION)
_OPEN_PAYMENT = PreparedQuery(lambda order: Payment.objects.filter(order=order, state__in=_OPEN), order=UUIDField())
# A payment that the gateway does not know after this time has failed.
_NEVER_ARRIVED_AFTER = timedelta(minutes=15)
# A buyer may still pay a cancelled payment at the gateway. It is checked for this long, in case no webhook comes.
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
    """Charges the order's total through a gateway, or continues the order's open payment (there is at most one).

    For a paid order, returns the payment that paid it. `method` is a token of the gateway's client library;
    `return_url` is where the gateway sends the buyer back to. Raises PaymentDeclined, PaymentUnavailable,
    InvalidInput, NotFound, OrderStateConflict.
    """
    if provider not in gateways.enabled():
        raise PaymentUnavailable("The shop does not offer this payment provider.")
    if len(method) > 500 or len(return_url) > 2000:
        raise InvalidInput("This is too long.", field=["payment_method" if len(method) > 500 else "return_url"])
    if return_url and not return_url.startswith(("https://", "http://")):
        raise InvalidInput("This has to be an absolute http or https address.", field=["return_url"])
    payment = None
    try:
        with gateways.waiting_slot(provider=provider):
            payment = _record_intent(order_id=order_id, viewer=viewer, receipt=receipt, provider=provider, now=now)
            if payment.state not in _OPEN:
                return payment
            payment = _charge(payment, method=method, return_url=return_url, now=now)
    except gateways.GatewayUnavailable:
        if payment is None:  # Too many requests wait for gateways: nothing was started.
            raise PaymentUnavailable("The payment provider is busy. Try again in a few seconds.") from None
        payment.refresh_from_db()  # A concurrent request may have recorded the outcome.
        raise PaymentUnavailable("The payment provider did not answer. Try again.", payment=payment) from None
    if payment.state == PaymentState.FAILED:
        raise PaymentDeclined(payment)
    return payment


def _charge(payment: Payment, *, method: str = "", return_url: str = "", now: datetime) -> Payment:
    """Charges the payment at its gateway and records the outcome. Raises GatewayUnavailable."""
    order = payment.order
    charge = replace(
        gateways.charge_of(payment=payment),
        method=method,
        return_url=return_url,
        number=order.number,
        email=order.email,
    )
    outcome = gateways.gateway_for(provider=PaymentProvider(payment.provider)).charge(charge)
    return _record_outcome(payment_id=payment.pk, order_id=order.pk, outcome=outcome, now=now)


@transaction.atomic(durable=True)
def _record_intent(
    *, order_id: UUID, viewer: User | None, receipt: str | None, provider: PaymentProvider, now: datetime
) -> Payment:
    """The order's open payment, or a new one, marked PENDING: this blocks cancelling and expiring the order."""
    order = orders.lock(order_id=order_id, viewer=viewer, receipt=receipt)
    if order.state != OrderState.AWAITING_PAYMENT:
        paid = order.payments.filter(state=PaymentState.SUCCEEDED).first()
        if paid and order.state in {OrderState.PAID, OrderState.SHIPPED, OrderState.DELIVERED}:
            return paid
        raise orders.OrderStateConflict(f"The order is {order.get_state_display()}.", field=["order_id"])
    payment = _OPEN_PAYMENT.first(order=order.pk)
    if payment is None:
        payment = Payment(
            order=order,
            provider=provider,
            amount=order.total,
            currency=order.currency,
            created_at=now,
            asked_at=now,
            check_at=gateways.next_check(since=now, now=now),
        )
        insert(payment)
        orders.add_event(
            order=order, kind=OrderEventKind.PAYMENT_STARTED, message=provider.label, actor=viewer, now=now
        )
    else:
        payment.order = order
        _mark_requested(payment, now=now)
    return payment


@transaction.atomic(durable=True)
def _resume(payment: Payment, *, now: datetime) -> Payment | None:
    """The payment, marked PENDING as by `_record_intent`, if its order still awaits payment; else None."""
    order = locks.order(candidates=Order.objects.filter(pk=payment.order_id, state=OrderState.AWAITING_PAYMENT))
    resumed = order.payments.filter(pk=payment.pk, state__in=_OPEN).first() if order else None
    if resumed:
        _mark_requested(resumed, now=now)
    return resumed


def _mark_requested(payment: Payment, *, now: datetime) -> None:
    payment.state, payment.asked_at = PaymentState.PENDING, now
    payment.check_at = gateways.next_check(since=now, now=now)
    payment.save(update_fields=["state", "asked_at", "check_at"])


@transaction.atomic(durable=True)
def _record_outcome(*, payment_id: UUID, order_id: UUID, outcome: gateways.Outcome, now: datetime) -> Payment:
    order = locks.order_by_id(order_id=order_id)
    payment = _PAYMENT.first(payment=payment_id)
    if order is None or payment is None:
        raise RuntimeError("Neither orders nor payments are ever deleted.")
    payment.order = order
    was_taken, is_taken = (state == PaymentState.SUCCEEDED for state in (payment.state, outcome.state))
    if was_taken or (payment.state not in _OPEN and not is_taken):
        return payment  # A concurrent request has recorded it. Money that was taken is recorded in any state.
    if is_taken and outcome.amount is not None and not _is_amount_due(payment, outcome):
        return _record_wrong_amount(payment, outcome, now=now)
    # A payment that the gateway still processes may succeed yet: it stays PENDING and is checked again.
    is_over = outcome.state in {PaymentState.REQUIRES_ACTION, PaymentState.FAILED}
    was_given_up = is_over and order.state != OrderState.AWAITING_PAYMENT
    payment.state = PaymentState.CANCELLED if was_given_up else outcome.state
    payment.reference = outcome.reference
    payment.client_secret = outcome.client_secret
    payment.redirect_url = outcome.redirect_url
    payment.failure = outcome.failure
    payment.check_at = None if is_taken else payment.check_at
    update(row=payment, fields=["state", "reference", "client_secret", "redirect_url", "failure", "check_at"])
    if is_taken:
        if not orders.settle(order=order, payment=payment, now=now):
            refunds.schedule(payment=payment, now=now)
    elif payment.state == PaymentState.FAILED:
        orders.add_event(order=order, kind=OrderEventKind.PAYMENT_FAILED, message=outcome.failure, now=now)
        outbox.put(
            kind="payment_failed", payload={"order": str(order.pk), "more": {"failure": outcome.failure}}, now=now
        )
    return payment


def _is_amount_due(payment: Payment, outcome: gateways.Outcome) -> bool:
    return (outcome.amount, outcome.currency) == (payment.amount, payment.currency)


def _record_wrong_amount(payment: Payment, outcome: gateways.Outcome, *, now: datetime) -> Payment:
    """Records that the gateway took another amount than was due. The order stays unpaid; the money is refunded."""
    taken = outcome.amount or ZERO
    message = f"{taken} {outcome.currency} was paid instead of {payment.amount} {payment.currency}."
    payment.state = PaymentState.SUCCEEDED if taken > 0 else PaymentState.FAILED
    payment.amount, payment.currency, payment.reference = taken, outcome.currency, outcome.reference
    payment.failure, payment.check_at = message, None
    payment.save()
    orders.add_event(order=payment.order, kind=OrderEventKind.REFUND_DUE, message=message, now=now)
    if taken > 0:
        refunds.schedule(payment=payment, now=now)
    return payment


def reconcile(*, now: datetime) -> int:
    """Checks payments that are due for a check at their gateways, one by one. Returns how many ended."""
    hanging = Payment.objects.filter(check_at__lte=now).order_by("check_at")[:200]

    def has_ended(payment: Payment) -> bool:
        return _look_up(payment, payment.reference, now=now).state not in {*_OPEN, payment.state}

    return gateways.check_each(rows=[(payment.provider, payment) for payment in hanging], check=has_ended)


def _look_up(payment: Payment, reference: str, *, now: datetime) -> Payment:
    """Looks the payment up at its gateway and records the outcome; charges it if the buyer has approved it.

    Raises GatewayUnavailable.
    """
    is_watched = payment.state in _OPEN or payment.asked_at > now - _WATCHED_FOR
    next_look = gateways.next_check(since=payment.asked_at, now=now) if is_watched else None
    Payment.objects.exclude(check_at=None).filter(pk=payment.pk).update(check_at=next_look)
    charge = replace(gateways.charge_of(payment=payment), reference=reference)
    outcome = gateways.gateway_for(provider=PaymentProvider(payment.provider)).look_up(charge)
    if outcome is None and payment.state == PaymentState.PENDING and payment.asked_at < now - _NEVER_ARRIVED_AFTER:
        failure = "The payment never reached the gateway."
        outcome = gateways.Outcome(state=PaymentState.FAILED, reference=payment.reference, failure=failure)
    if outcome is not None and outcome.is_approved and (resumed := _resume(payment, now=now)):
        return _charge(resumed, now=now)
    if outcome is None or outcome.state == payment.state:
        return payment
    return _record_outcome(payment_id=payment.pk, order_id=payment.order_id, outcome=outcome, now=now)


# ── gateways' webhooks ───────────────────────────────────────────────────────────────────────────────

EVENT, UNVERIFIED_EVENT = "gateway_event", "unverified_event"
# Anybody can send a request that looks like an event, so their number is limited. A gateway repeats a refused event.
MAX_UNVERIFIED_EVENTS = 1_000
_UNVERIFIED_RETENTION = timedelta(days=14)


class TooManyEvents(Exception):
    """Too many events wait for verification. The gateway has to send this one again later."""


@transaction.atomic(durable=True)
def receive(*, provider: PaymentProvider, event: gateways.Event, now: datetime) -> None:
    """Stores a verified event and queues it for `process_event`. The same event again changes nothing."""
    _record_event(provider=provider, event=event, received_at=now, now=now)


@transaction.atomic(durable=True)
def store_unverified(*, provider: PaymentProvider, event: gateways.Event, body: bytes, now: datetime) -> None:
    """Stores an event that only its gateway can verify, and queues it for `verify_event`. Raises TooManyEvents."""
    if UnverifiedEvent.objects.count() >= MAX_UNVERIFIED_EVENTS:
        raise TooManyEvents
    unverified = UnverifiedEvent.objects.create(
        provider=provider, signature_headers=dict(event.signature_headers), body=body.decode(), received_at=now
    )
    # After mails and webhooks, so that forged events do not delay them.
    outbox.put(kind=UNVERIFIED_EVENT, payload={"event": unverified.pk}, now=now, priority=2)


def verify_event(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Outbox handler: asks the gateway whether it sent an event; receives or drops it. Raises GatewayUnavailable."""
    unverified = UnverifiedEvent.objects.filter(pk=payload["event"]).first()
    if unverified is None:  # It was verified before, or pruned.
        return
    provider, body = PaymentProvider(unverified.provider), unverified.body.encode()
    headers = unverified.signature_headers
    if not gateways.is_authentic(provider=provider, signature_headers=headers, body=body):
        logger.warning("Dropped an event of %s that %s did not send.", unverified.received_at, provider.label)
        UnverifiedEvent.objects.filter(pk=unverified.pk).delete()
        return
    event = gateways.gateway_for(provider=provider).read_event(headers, body, now=unverified.received_at)
    _receive_verified(unverified=unverified, event=event, now=now)


@transaction.atomic(durable=True)
def _receive_verified(*, unverified: UnverifiedEvent, event: gateways.Event, now: datetime) -> None:
    provider = PaymentProvider(unverified.provider)
    _record_event(provider=provider, event=event, received_at=unverified.received_at, now=now)
    UnverifiedEvent.objects.filter(pk=unverified.pk).delete()


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes events that could not be verified for 14 days. Returns how many."""
    return UnverifiedEvent.objects.filter(received_at__lte=now - _UNVERIFIED_RETENTION).delete()[0]


def _record_event(*, provider: PaymentProvider, event: gateways.Event, received_at: datetime, now: datetime) -> None:
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
        outbox.put(kind=EVENT, payload={"event": noted.pk}, now=now)


def receive_test(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Outbox handler: receives an event of the TEST gateway."""
    event = gateways.Event(id=payload["id"], kind=payload["kind"], reference="", payment=UUID(payload["payment"]))
    receive(provider=PaymentProvider.TEST, event=event, now=now)


def process_event(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Outbox handler: looks up the payment and refunds that an event is about. Raises GatewayUnavailable."""
    event = GatewayEvent.objects.select_related("payment").get(pk=payload["event"])
    if event.payment is not None:
        _look_up(event.payment, event.payment.reference or event.reference, now=now)
        refunds.check_pending(payment=event.payment, now=now)
    GatewayEvent.objects.filter(pk=event.pk).update(processed_at=now)
