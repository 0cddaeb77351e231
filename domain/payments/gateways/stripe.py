"""Stripe: PaymentIntents, with Stripe's library. https://docs.stripe.com/payments/paymentintents/lifecycle

Card data goes from the browser to Stripe. Creating an intent, also repeatedly, takes no money, because it has no
payment method yet; only confirming it does.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings

from domain.base import transactions
from domain.base.money import exponent, quantize
from domain.payments.gateways.protocol import (
    BadSignature,
    Charge,
    Event,
    GatewayUnavailable,
    Outcome,
    RefundRequest,
    uuid_or_none,
)
from storefront.models import PaymentState

logger = logging.getLogger(__name__)

_SECONDS = 8
# https://docs.stripe.com/currencies#special-cases: where Stripe's minor unit is not that of ISO 4217.
_EXPONENTS = {"ISK": 2, "UGX": 2, "MGA": 0}
_STATES = {
    "requires_payment_method": PaymentState.REQUIRES_ACTION,
    "requires_confirmation": PaymentState.REQUIRES_ACTION,
    "requires_action": PaymentState.REQUIRES_ACTION,
    "processing": PaymentState.PENDING,
    "requires_capture": PaymentState.PENDING,
    "succeeded": PaymentState.SUCCEEDED,
    "canceled": PaymentState.CANCELLED,
}
_REFUND_STATES = {
    "succeeded": PaymentState.SUCCEEDED,
    "failed": PaymentState.FAILED,
    "canceled": PaymentState.FAILED,
}


class StripeGateway:
    def charge(self, charge: Charge) -> Outcome:
        """Without a `method`, the buyer confirms in the browser, with the client secret."""
        if not _can_be_charged(charge.amount, charge.currency):
            failure = f"Stripe cannot charge {charge.amount} {charge.currency}: the amount has too many decimals."
            return Outcome(state=PaymentState.FAILED, reference="", failure=failure)
        try:
            intent = self._intent(charge)
        except stripe.InvalidRequestError as error:
            return Outcome(state=PaymentState.FAILED, reference="", failure=error.user_message or "Refused.")
        if not charge.method or intent.status not in {"requires_payment_method", "requires_confirmation"}:
            return _outcome(intent)
        wanted = {"payment_method": charge.method, **({"return_url": charge.return_url} if charge.return_url else {})}
        key = f"{charge.key}-confirm-{charge.method}"
        try:
            confirmed = _call(lambda: _client().v1.payment_intents.confirm(intent.id, wanted, {"idempotency_key": key}))
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            intent = self._intent(replace(charge, reference=intent.id))
            if intent.status in {"succeeded", "processing", "canceled"}:
                return _outcome(intent)  # A concurrent request has confirmed it.
            # A retry is a new payment. Cancel this one, so that it cannot be confirmed in another browser window.
            _call(lambda: _client().v1.payment_intents.cancel(intent.id))
            return Outcome(state=PaymentState.FAILED, reference=intent.id, failure=error.user_message or "Declined.")
        return _outcome(confirmed)

    def look_up(self, charge: Charge) -> Outcome | None:
        try:
            # For a repeated creation, Stripe returns the intent's original state, so retrieve it.
            made = charge.reference or self._intent(charge).id
            return _outcome(self._intent(replace(charge, reference=made)))
        except stripe.InvalidRequestError:
            if charge.reference:  # Stripe knew it before, so perhaps the secret key is of another account.
                raise GatewayUnavailable from None
            return None

    def refund(self, wanted: RefundRequest) -> Outcome:
        given = {
            "payment_intent": wanted.charge.reference,
            "amount": _minor(wanted.amount, wanted.charge.currency),
            "metadata": {"refund": str(wanted.key)},
        }
        try:
            made = _call(lambda: _client().v1.refunds.create(given, {"idempotency_key": str(wanted.key)}))
        except stripe.InvalidRequestError as error:
            return Outcome(state=PaymentState.FAILED, reference="", failure=error.user_message or "Refused.")
        return _refund_outcome(made)

    def look_up_refund(self, wanted: RefundRequest) -> Outcome | None:
        """Finds it by our id: idempotency keys expire after a day, and return the refund's original state."""
        ours = (
            it
            for it in _refunds(wanted.charge)
            if (it.to_dict().get("metadata") or {}).get("refund") == str(wanted.key)
        )
        found = next(ours, None)
        return _refund_outcome(found) if found else None

    def refunded_total(self, charge: Charge) -> Decimal:
        gone = (it.amount for it in _refunds(charge) if _REFUND_STATES.get(it.status or "") != PaymentState.FAILED)
        return Decimal(sum(gone)).scaleb(-_exponent(charge.currency))

    def read_event(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Event:  # noqa: ARG002
        try:
            event = stripe.Webhook.construct_event(
                body, headers.get("Stripe-Signature", ""), settings.STRIPE_WEBHOOK_SECRET
            )
        except (ValueError, stripe.SignatureVerificationError):
            raise BadSignature from None
        about = event.data.object.to_dict()
        is_intent = about.get("object") == "payment_intent"
        return Event(
            id=event.id,
            kind=event.type,
            reference=str(about["id"] if is_intent else about.get("payment_intent") or ""),
            payment=uuid_or_none(text=(about.get("metadata") or {}).get("payment")),
        )

    def _intent(self, charge: Charge) -> Any:
        if charge.reference:
            return _call(lambda: _client().v1.payment_intents.retrieve(charge.reference))
        given = {
            "amount": _minor(charge.amount, charge.currency),
            "currency": charge.currency.lower(),
            "automatic_payment_methods": {"enabled": True},
            "metadata": {"payment": str(charge.key)},
        }
        return _call(lambda: _client().v1.payment_intents.create(given, {"idempotency_key": str(charge.key)}))


def _refunds(charge: Charge) -> list[Any]:
    of_payment = {"payment_intent": charge.reference, "limit": 100}
    try:
        found: list[Any] = _call(lambda: _client().v1.refunds.list(of_payment)).data
    except stripe.InvalidRequestError:  # Stripe took this payment, so perhaps the secret key is of another account.
        raise GatewayUnavailable from None
    return found


def _refund_outcome(refund: Any) -> Outcome:
    state = _REFUND_STATES.get(refund.status or "", PaymentState.PENDING)
    return Outcome(state=state, reference=refund.id, failure=refund.failure_reason or "")


def _client() -> Any:
    return _client_of(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


@lru_cache(maxsize=1)
def _client_of(secret_key: str, address: str) -> Any:
    # One attempt with these timeouts, so that the caller has an answer within ten seconds.
    return stripe.StripeClient(
        secret_key,
        base_addresses={"api": address},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(3, _SECONDS // 2)),
    )


def _call(request: Callable[[], Any]) -> Any:
    """Calls Stripe. Raises GatewayUnavailable for answers that do not tell whether the money moved."""
    transactions.raise_if_open()
    try:
        return request()
    except (stripe.CardError, stripe.InvalidRequestError):
        raise
    except stripe.StripeError as error:
        logger.warning("Stripe did not answer: %s %s", type(error).__name__, error.code)
        raise GatewayUnavailable from None


def _outcome(intent: Any) -> Outcome:
    state = _STATES.get(intent.status, PaymentState.PENDING)
    action, failed = intent.next_action, intent.last_payment_error
    redirect = action.redirect_to_url if action else None
    is_open = state == PaymentState.REQUIRES_ACTION
    currency = intent.currency.upper()
    return Outcome(
        state=state,
        reference=intent.id,
        client_secret=(intent.client_secret or "") if is_open else "",
        redirect_url=(redirect.url or "") if redirect and is_open else "",
        failure=(failed.message or "") if failed and state != PaymentState.SUCCEEDED else "",
        amount=Decimal(intent.amount_received).scaleb(-_exponent(currency)),
        currency=currency,
    )


def _exponent(currency: str) -> int:
    return _EXPONENTS.get(currency, exponent(currency=currency))


def _can_be_charged(amount: Decimal, currency: str) -> bool:
    """Whether Stripe accepts the amount: for currencies with three decimals, the last one has to be 0."""
    return amount == quantize(amount=amount, currency=currency) and not amount.scaleb(min(_exponent(currency), 2)) % 1


def _minor(amount: Decimal, currency: str) -> int:
    return int(amount.scaleb(_exponent(currency)))
