"""Payment gateways: the few verbs that `domain.payments` needs, and who speaks them."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings

from domain.gateways.protocol import BadSignature, Charge, Event, Gateway, GatewayUnavailable, Outcome, Return
from domain.gateways.stripe import StripeGateway
from domain.gateways.test import TestGateway
from domain.money import quantize
from storefront.models import Payment, PaymentProvider

__all__ = [
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
    "next_look",
]

Row = TypeVar("Row")
_AWAY_AFTER = 3

_GATEWAYS: dict[PaymentProvider, Gateway] = {
    PaymentProvider.TEST: TestGateway(),
    PaymentProvider.STRIPE: StripeGateway(),
}


def enabled() -> list[PaymentProvider]:
    """The providers that the shop takes money by, in the order of the setting."""
    return [PaymentProvider(name) for name in settings.PAYMENT_PROVIDERS]


def by_provider(provider: PaymentProvider) -> Gateway:
    return _GATEWAYS[provider]


def charge_of(payment: Payment) -> Charge:
    """What a gateway was, or is to be, asked for by a payment."""
    amount = quantize(payment.amount, payment.currency)
    return Charge(key=payment.pk, amount=amount, currency=payment.currency, reference=payment.reference)


def next_look(since: datetime, *, now: datetime) -> datetime:
    """When to ask next for the answer to what was asked `since` then: in two minutes, and twice as long each time."""
    return now + max(now - since, timedelta(minutes=2))


def ask_each(rows: Iterable[Row], ask: Callable[[Row], bool]) -> int:
    """How many of these asked about have ended. A gateway that is away costs the time of three questions, no more."""
    ended = away = 0
    for row in rows:
        try:
            ended += ask(row)
        except GatewayUnavailable:
            away += 1
            if away == _AWAY_AFTER:
                break
    return ended
