"""The offline test gateway. No money moves, but it keeps books like a real gateway (`TestCharge`, `TestRefund`).

The payment method token, or else the amount, determines its answer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import F

from domain.base import outbox
from domain.base.money import ExactAmount
from domain.base.prepared_queries import insert
from domain.payments.gateways.protocol import BadSignature, Charge, Event, GatewayUnavailable, Outcome, RefundRequest
from storefront.models import PaymentState, TestCharge, TestRefund

# The token by the amount's last two digits, for clients that send no token.
_BY_AMOUNT = {"02": "decline", "03": "action"}
_STATES = {
    "ok": PaymentState.SUCCEEDED,
    "confirm": PaymentState.SUCCEEDED,
    "late": PaymentState.SUCCEEDED,
    "webhook": PaymentState.SUCCEEDED,
    "webhook_twice": PaymentState.SUCCEEDED,
    "webhook_disordered": PaymentState.SUCCEEDED,
    "action": PaymentState.REQUIRES_ACTION,
}
# The events of a charge, in their order.
_EVENTS = {
    "webhook": ["charge.succeeded"],
    "webhook_twice": ["charge.succeeded", "charge.succeeded"],
    "webhook_disordered": ["charge.refunded", "charge.succeeded"],
}
EVENT = "test_event"


class TestGateway:
    """Tokens: `ok` succeeds, `decline` fails, `action` asks the buyer to confirm, and `confirm` confirms.
    `timeout` takes no money and does not answer; `late` takes the money and does not answer. `webhook`,
    `webhook_twice` and `webhook_disordered` take the money and report it only by events. Without a token, an amount
    that ends in 02 declines, and one that ends in 03 asks for action.
    """

    __test__ = False

    def charge(self, charge: Charge) -> Outcome:
        wish = charge.method or _BY_AMOUNT.get(str(charge.amount)[-2:], "ok")
        if wish == "timeout":
            raise GatewayUnavailable
        state = _STATES.get(wish, PaymentState.FAILED)
        failure = ""
        if state == PaymentState.FAILED:
            failure = "The card was declined." if wish == "decline" else "This payment method is unknown."
        booked = TestCharge(
            key=charge.key, amount=charge.amount, currency=charge.currency, state=state, failure=failure
        )
        try:
            with transaction.atomic():
                insert(booked)
        except IntegrityError:  # It was charged before.
            waiting = TestCharge.objects.filter(key=charge.key, state=PaymentState.REQUIRES_ACTION)
            waiting.update(state=state, failure=failure)
            booked.refresh_from_db()
        if wish == "late":
            raise GatewayUnavailable
        if wish in _EVENTS and charge.asked_at:
            _queue_events(booked, _EVENTS[wish], now=charge.asked_at)
            return Outcome(state=PaymentState.PENDING, reference=_outcome(booked, charge).reference)
        return _outcome(booked, charge)

    def look_up(self, charge: Charge) -> Outcome | None:
        booked = TestCharge.objects.filter(key=charge.key).first()
        return _outcome(booked, charge) if booked else None

    def refund(self, wanted: RefundRequest) -> Outcome:
        try:
            with transaction.atomic():
                booked, is_new = TestRefund.objects.get_or_create(
                    key=wanted.key, defaults={"charge_id": wanted.charge.key, "amount": wanted.amount}
                )
                if is_new:  # A constraint refuses to refund more than was taken.
                    charge = TestCharge.objects.filter(key=booked.charge_id, state=PaymentState.SUCCEEDED)
                    charge.update(refunded=ExactAmount(F("refunded") + wanted.amount))
        except IntegrityError:
            return Outcome(
                state=PaymentState.FAILED, reference=_reference(wanted), failure="This is more than was taken."
            )
        return Outcome(state=PaymentState.SUCCEEDED, reference=_reference(wanted))

    def look_up_refund(self, wanted: RefundRequest) -> Outcome | None:
        if not TestRefund.objects.filter(key=wanted.key).exists():
            return None
        return Outcome(state=PaymentState.SUCCEEDED, reference=_reference(wanted))

    def refunded_total(self, charge: Charge) -> Decimal:
        return TestCharge.objects.get(key=charge.key).refunded

    def read_event(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Event:  # noqa: ARG002 (its own come by the outbox)
        raise BadSignature


@transaction.atomic(durable=True)
def _queue_events(booked: TestCharge, kinds: Sequence[str], *, now: datetime) -> None:
    for kind in kinds:
        outbox.put(
            kind=EVENT, payload={"id": f"{booked.key}-{kind}", "kind": kind, "payment": str(booked.key)}, now=now
        )


def _reference(wanted: RefundRequest) -> str:
    return f"test_refund_{wanted.key.hex}"


def _outcome(booked: TestCharge, charge: Charge) -> Outcome:
    reference = f"test_{booked.key.hex}"
    if booked.state == PaymentState.REQUIRES_ACTION:
        return Outcome(
            state=PaymentState.REQUIRES_ACTION,
            reference=reference,
            client_secret=f"{reference}_secret",
            redirect_url=charge.return_url,
        )
    return Outcome(
        state=PaymentState(booked.state),
        reference=reference,
        failure=booked.failure,
        amount=booked.amount,
        currency=booked.currency,
    )
