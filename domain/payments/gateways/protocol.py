"""The interface of a payment gateway, and the data that it exchanges with `domain.payments`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from storefront.models import PaymentState


@dataclass(frozen=True, slots=True)
class Charge:
    """A request for money. `key` is the idempotency key: charging twice with it takes the money once.

    `amount` is in the major unit of `currency`. `method` is a token that the gateway's client library made from a
    card or wallet. `return_url` is where the buyer returns after confirming at the gateway. From earlier answers:
    `reference` is the gateway's id, `redirect_url` is where the buyer confirms. `number` and `email` are the order's,
    for the buyer to read. `asked_at` is the time of the request.
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
    """A gateway's answer. `reference` is its own id of the payment or refund.

    `amount` in `currency` is what it took, if it says so. `is_approved`: the buyer has approved the payment, and we
    take the money by charging again.
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
class RefundRequest:
    """A request to refund `amount` of a charge. `key` is the idempotency key: sending it twice refunds once."""

    key: UUID
    charge: Charge
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook event about a payment, identified by our id (`payment`), if the event has it, or by `reference`.

    It does not say what happened: we look that up at the gateway, since events arrive late, twice and in any order.

    An event with `signature_headers` is not verified yet: only the gateway can do that, and the worker asks it.
    """

    id: str
    kind: str
    reference: str
    payment: UUID | None
    signature_headers: Mapping[str, str] = field(default_factory=dict)


def uuid_or_none(*, text: object) -> UUID | None:
    """The text as a UUID (our own id, sent back by a gateway); None if it is none."""
    try:
        return UUID(str(text))
    except ValueError:
        return None


class BadSignature(Exception):
    """The event was not sent by the gateway, or is too old."""


class GatewayUnavailable(Exception):
    """The gateway did not answer. The money may have moved or not; calling again tells."""


class Gateway(Protocol):
    """The interface of a gateway. Every method returns, or raises GatewayUnavailable, within ten seconds."""

    def charge(self, charge: Charge) -> Outcome:
        """Takes the money, or continues a charge that was started."""
        ...

    def look_up(self, charge: Charge) -> Outcome | None:
        """The state of a charge, without taking money. None if the gateway does not know it."""
        ...

    def refund(self, wanted: RefundRequest) -> Outcome:
        """Refunds money: PENDING, SUCCEEDED or FAILED. Only one caller at a time, after `look_up_refund`."""
        ...

    def look_up_refund(self, wanted: RefundRequest) -> Outcome | None:
        """The state of a refund, without refunding. None if the gateway does not know it."""
        ...

    def refunded_total(self, charge: Charge) -> Decimal:
        """The refunded amount of a charge by the gateway's own books, in the charge's currency."""
        ...

    def read_event(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Event:
        """Parses a webhook request and verifies it, if this needs no call to the gateway. Raises BadSignature."""
        ...


class Verifier(Protocol):
    """The interface of a gateway that has to be asked whether it sent an event."""

    def is_authentic(self, signature_headers: Mapping[str, str], body: bytes) -> bool:
        """Asks the gateway whether it sent this event. Raises GatewayUnavailable."""
        ...
