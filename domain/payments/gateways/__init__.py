"""The payment gateways. `protocol.Gateway` is their interface."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock
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
    Verifier,
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
    "is_authentic",
    "next_check",
    "waiting_slot",
]

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
_MAX_FAILURES = 3

_PAYPAL = PayPalGateway()
_GATEWAYS: dict[PaymentProvider, Gateway] = {
    PaymentProvider.TEST: TestGateway(),
    PaymentProvider.STRIPE: StripeGateway(),
    PaymentProvider.PAYPAL: _PAYPAL,
    PaymentProvider.FLUTTERWAVE: FlutterwaveGateway(),
}
# The gateways that have to be asked whether they sent an event.
_VERIFIERS: dict[PaymentProvider, Verifier] = {PaymentProvider.PAYPAL: _PAYPAL}


def enabled() -> list[PaymentProvider]:
    """The providers of the setting PAYMENT_PROVIDERS, in its order."""
    return [PaymentProvider(name) for name in settings.PAYMENT_PROVIDERS]


def gateway_for(*, provider: PaymentProvider) -> Gateway:
    return _GATEWAYS[provider]


def is_authentic(*, provider: PaymentProvider, signature_headers: Mapping[str, str], body: bytes) -> bool:
    """Asks the gateway whether it sent an event. Raises GatewayUnavailable."""
    return _VERIFIERS[provider].is_authentic(signature_headers, body)


class _WaitingRequests:
    """Counts the requests of this process that wait for a gateway."""

    def __init__(self) -> None:
        self._lock, self._number = Lock(), 0

    @contextmanager
    def one_more(self, *, limit: int) -> Iterator[None]:
        with self._lock:
            if self._number >= limit:
                raise GatewayUnavailable
            self._number += 1
        try:
            yield
        finally:
            with self._lock:
                self._number -= 1


_waiting_requests = _WaitingRequests()


@contextmanager
def waiting_slot(*, provider: PaymentProvider) -> Iterator[None]:
    """Wraps the gateway calls of a request. Raises GatewayUnavailable if GATEWAY_THREADS requests already wait.

    This keeps the other threads of the process free for browsing when a gateway is slow.
    """
    if provider == PaymentProvider.TEST:  # It runs in this process and answers at once.
        yield
        return
    with _waiting_requests.one_more(limit=settings.GATEWAY_THREADS):
        yield


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
