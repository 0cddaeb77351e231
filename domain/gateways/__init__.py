"""Payment gateways: the few verbs that `domain.payments` needs, and who speaks them."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from django.conf import settings

from domain.gateways.flutterwave import FlutterwaveGateway
from domain.gateways.paypal import PayPalGateway
from domain.gateways.protocol import (
    BadSignature,
    Charge,
    Event,
    Gateway,
    GatewayUnavailable,
    Outcome,
    Return,
    Verifier,
)
from domain.gateways.stripe import StripeGateway
from domain.gateways.test import EVENT as TEST_EVENT
from domain.gateways.test import TestGateway
from domain.money import quantize
from storefront.models import Payment, PaymentProvider

__all__ = [
    "TEST_EVENT",
    "BadSignature",
    "Charge",
    "Event",
    "Gateway",
    "GatewayUnavailable",
    "Outcome",
    "Return",
    "ask_each",
    "by_provider",
    "charge_of",
    "enabled",
    "has_sent",
    "next_look",
    "request_may_wait",
]

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
_AWAY_AFTER = 3

_PAYPAL = PayPalGateway()
_GATEWAYS: dict[PaymentProvider, Gateway] = {
    PaymentProvider.TEST: TestGateway(),
    PaymentProvider.STRIPE: StripeGateway(),
    PaymentProvider.PAYPAL: _PAYPAL,
    PaymentProvider.FLUTTERWAVE: FlutterwaveGateway(),
}
# Those whose events carry a `proof`.
_VERIFIERS: dict[PaymentProvider, Verifier] = {PaymentProvider.PAYPAL: _PAYPAL}


def enabled() -> list[PaymentProvider]:
    """The providers that the shop takes money by, in the order of the setting."""
    return [PaymentProvider(name) for name in settings.PAYMENT_PROVIDERS]


def by_provider(provider: PaymentProvider) -> Gateway:
    return _GATEWAYS[provider]


def has_sent(provider: PaymentProvider, proof: Mapping[str, str], body: bytes) -> bool:
    """Whether the gateway says that it sent an event. Raises GatewayUnavailable."""
    return _VERIFIERS[provider].has_sent(proof, body)


class _Waiting:
    """How many requests of this process wait for a gateway now."""

    def __init__(self) -> None:
        self._lock, self._number = Lock(), 0

    @contextmanager
    def one_more(self, *, most: int) -> Iterator[None]:
        with self._lock:
            if self._number >= most:
                raise GatewayUnavailable
            self._number += 1
        try:
            yield
        finally:
            with self._lock:
                self._number -= 1


_waiting = _Waiting()


@contextmanager
def request_may_wait(provider: PaymentProvider) -> Iterator[None]:
    """Around what a request asks a gateway. Raises GatewayUnavailable if GATEWAY_THREADS of this process wait already.

    The other threads are for those who browse, however slow a gateway is.
    """
    if provider == PaymentProvider.TEST:  # It is in this process, and answers at once.
        yield
        return
    with _waiting.one_more(most=settings.GATEWAY_THREADS):
        yield


def charge_of(payment: Payment) -> Charge:
    """What a gateway was, or is to be, asked for by a payment."""
    amount = quantize(payment.amount, payment.currency)
    return Charge(
        key=payment.pk,
        amount=amount,
        currency=payment.currency,
        reference=payment.reference,
        redirect_url=payment.redirect_url,
        asked_at=payment.asked_at,
    )


def next_look(since: datetime, *, now: datetime) -> datetime:
    """When to ask next for the answer to what was asked `since` then: in two minutes, and twice as long each time."""
    return now + max(now - since, timedelta(minutes=2))


def ask_each(rows: Iterable[tuple[str, Row]], ask: Callable[[Row], bool]) -> int:
    """How many of these, each with its provider, have ended when asked about, one after the other.

    A gateway that is away costs the time of three questions, no more, and those of the others are still asked.
    """
    ended, away = 0, Counter[str]()
    for provider, row in rows:
        if away[provider] == _AWAY_AFTER:
            continue
        try:
            ended += ask(row)
        except GatewayUnavailable:
            away[provider] += 1
        except Exception:  # An answer that makes no sense keeps nobody else from theirs.
            logger.exception("What %s answered was not understood.", provider)
            away[provider] += 1
    return ended
