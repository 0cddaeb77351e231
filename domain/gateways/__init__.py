"""Payment gateways: the few verbs that `domain.payments` needs, and who speaks them."""

from django.conf import settings

from domain.gateways.protocol import Charge, Gateway, GatewayUnavailable, Outcome
from domain.gateways.test import TestGateway
from storefront.models import PaymentProvider

__all__ = ["Charge", "Gateway", "GatewayUnavailable", "Outcome", "by_provider", "enabled"]

_GATEWAYS: dict[PaymentProvider, Gateway] = {PaymentProvider.TEST: TestGateway()}


def enabled() -> list[PaymentProvider]:
    """The providers that the shop takes money by, in the order of the setting."""
    return [PaymentProvider(name) for name in settings.PAYMENT_PROVIDERS]


def by_provider(provider: PaymentProvider) -> Gateway:
    return _GATEWAYS[provider]
