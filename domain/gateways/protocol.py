from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from storefront.models import PaymentState


@dataclass(frozen=True, slots=True)
class Charge:
    """What a gateway is asked to take. `key` is its idempotency key: asked twice, it takes once.

    `amount` is in `currency`'s main unit. `method` is a token that the gateway's own client library made out
    of a card or a wallet; `return_url` is where the buyer goes on after confirming elsewhere.
    """

    key: UUID
    amount: Decimal
    currency: str
    method: str
    return_url: str
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gateway answered. `reference` is its own id of the payment."""

    state: PaymentState
    reference: str
    client_secret: str = ""
    redirect_url: str = ""
    failure: str = ""


class GatewayUnavailable(Exception):
    """The gateway gave no answer: the money may or may not have moved, and asking again tells."""


class Gateway(Protocol):
    def charge(self, charge: Charge) -> Outcome:
        """Takes the money, or goes on with a charge that was begun. Raises GatewayUnavailable."""
        ...
