from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from storefront.models import PaymentState


@dataclass(frozen=True, slots=True)
class Charge:
    """What a gateway is asked to take. `key` is its idempotency key: asked twice, it takes once.

    `amount` is in `currency`'s main unit. `method` is a token that the gateway's own client library made out
    of a card or a wallet; `return_url` is where the buyer goes on after confirming elsewhere. `reference` is what
    the gateway calls it and `redirect_url` where it has the buyer confirm, if it has answered before. `number` and
    `email` are the order's, for what the buyer reads there; `asked_at` is when it is asked.
    """

    key: UUID
    amount: Decimal
    currency: str
    method: str = ""
    return_url: str = ""
    reference: str = ""
    redirect_url: str = ""
    number: str = ""
    email: str = ""
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gateway answered. `reference` is its own id of the payment.

    `amount` in `currency` is what it took, where it says so. `is_approved`: the buyer has agreed, and it is for us to
    take the money by asking for the charge again.
    """

    state: PaymentState
    reference: str
    client_secret: str = ""
    redirect_url: str = ""
    failure: str = ""
    amount: Decimal | None = None
    currency: str = ""
    is_approved: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """What a gateway is asked to give back of a charge. `key` is its idempotency key: asked twice, it gives once."""

    key: UUID
    charge: Charge
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """That something happened to a payment: by its own id, where the gateway was told that, and by `reference`.

    What happened is asked of the gateway: events come twice, late and in any order. An event with a `proof` (headers)
    is not verified yet: only the gateway can do that, and the worker asks it.
    """

    id: str
    kind: str
    reference: str
    payment: UUID | None
    proof: Mapping[str, str] = field(default_factory=dict)


def uuid_or_none(text: object) -> UUID | None:
    """Our own id, if that is what a gateway gives back to us."""
    try:
        return UUID(str(text))
    except ValueError:
        return None


class BadSignature(Exception):
    """This was not sent by the gateway, or too long ago."""


class GatewayUnavailable(Exception):
    """The gateway gave no answer: the money may or may not have moved, and asking again tells."""


class Gateway(Protocol):
    """Every method may raise GatewayUnavailable, within ten seconds."""

    def charge(self, charge: Charge) -> Outcome:
        """Takes the money, or goes on with a charge that was begun."""
        ...

    def look_up(self, charge: Charge) -> Outcome | None:
        """How a charge stands, without taking anything; None when the gateway has never heard of it."""
        ...

    def refund(self, wanted: Return) -> Outcome:
        """Gives money back: PENDING, SUCCEEDED or FAILED. Asked by one at a time, after `look_up_refund`."""
        ...

    def look_up_refund(self, wanted: Return) -> Outcome | None:
        """How a refund stands, without giving anything; None when the gateway has never heard of it."""
        ...

    def given_back(self, charge: Charge) -> Decimal:
        """What the gateway's own books say was given back of a charge, in its currency."""
        ...

    def read_event(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Event:
        """What the gateway sent to us. Asks nobody. Raises BadSignature."""
        ...


class Verifier(Protocol):
    """A gateway that has to be asked whether it sent an event."""

    def has_sent(self, proof: Mapping[str, str], body: bytes) -> bool:
        """Whether the gateway says that it sent this. Raises GatewayUnavailable."""
        ...
