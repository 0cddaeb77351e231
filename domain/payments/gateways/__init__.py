"""The payment gateways. `protocol.Gateway` is their interface."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings

from domain.base.money import quantize
from domain.payments.gateways.flutterwave import FlutterwaveGateway
from domain.payments.gateways.paypal import PayPalGateway
from domain.payments.gateways.protocol import (
    BadSignature,
    Charge,
    Event,
    Gateway,
    GatewayUnavailable,
    Outcome,
    RefundRequest,
)
from domain.payments.gateways.stripe import StripeGateway
from domain.payments.gateways.test import EVENT as TEST_EVENT
from domain.payments.gateways.test import TestGateway
from storefront.models import Payment, PaymentProvider

__all__ = [
    "TEST_EVENT",
    "BadSignature",
    "Charge",
    "Event",
    "Gateway",
    "GatewayUnavailable",
    "Outcome",
    "RefundRequest",
    "charge_of",
    "check_each",
    "enabled",
    "gateway_for",
    "next_check",
]

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
_MAX_FAILURES = 3

_GATEWAYS: dict[PaymentProvider, Gateway] = {
    PaymentProvider.TEST: TestGateway(),
    PaymentProvider.STRIPE: StripeGateway(),
    PaymentProvider.PAYPAL: PayPalGateway(),
    PaymentProvider.FLUTTERWAVE: FlutterwaveGateway(),
}


def enabled() -> list[PaymentProvider]:
    """The providers of the setting PAYMENT_PROVIDERS, in its order."""
    return [PaymentProvider(name) for name in settings.PAYMENT_PROVIDERS]


def gateway_for(*, provider: PaymentProvider) -> Gateway:
    return _GATEWAYS[provider]


def charge_of(*, payment: Payment) -> Charge:
    """The gateway's charge for a payment."""
    amount = quantize(amount=payment.amount, currency=payment.currency)
    return Charge(
        key=payment.pk,
        amount=amount,
        currency=payment.currency,
        reference=payment.reference,
        redirect_url=payment.redirect_url,
        asked_at=payment.asked_at,
    )


def next_check(*, since: datetime, now: datetime) -> datetime:
    """When to check a request next that was first made at `since`: in two minutes, then after doubling intervals."""
    return now + max(now - since, timedelta(minutes=2))


def check_each(*, rows: Iterable[tuple[str, Row]], check: Callable[[Row], bool]) -> int:
    """Calls `check` for each row, given with its provider, one by one. Returns how many have ended (`check` is true).

    After three failures of a gateway its other rows are skipped, so that it cannot delay those of other gateways.
    """
    ended, away = 0, Counter[str]()
    for provider, row in rows:
        if away[provider] == _MAX_FAILURES:
            continue
        try:
            ended += check(row)
        except GatewayUnavailable:
            away[provider] += 1
        except Exception:  # An unexpected answer must not block the other rows.
            logger.exception("Handling an answer of %s failed.", provider)
            away[provider] += 1
    return ended
