"""Flutterwave v3: its hosted payment page. https://developer.flutterwave.com/v3.0/docs/flutterwave-standard-1

Payments are looked up by our own reference (`tx_ref`). Flutterwave has no idempotency keys: a refund is found by its
comment, which is our id.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from domain.payments.gateways.http import GatewayClient, Response
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

_STATES = {"successful": PaymentState.SUCCEEDED, "failed": PaymentState.FAILED, "cancelled": PaymentState.FAILED}
_MAX_PAGES = 5


class FlutterwaveGateway:
    def charge(self, charge: Charge) -> Outcome:
        """Sends the buyer to Flutterwave's page, the same one as long as the payment is open."""
        client = _Client()
        known = client.outcome(charge)
        if known is not None:
            return known
        given = {
            "tx_ref": str(charge.key),
            "amount": float(charge.amount),
            "currency": charge.currency,
            "redirect_url": charge.return_url or settings.STOREFRONT_URL,
            "customer": {"email": charge.email},
            "customizations": {"title": settings.SHOP_NAME, "description": f"Order {charge.number}"},
        }
        response = client.request("POST", "/v3/payments", json=given)
        if not response.is_good:
            return Outcome(state=PaymentState.FAILED, reference="", failure=_reason(response))
        return _requires_action(_data(response)["link"])

    def look_up(self, charge: Charge) -> Outcome | None:
        return _Client().outcome(charge)

    def refund(self, wanted: RefundRequest) -> Outcome:
        given = {"amount": float(wanted.amount), "comments": str(wanted.key)}
        response = _Client().request("POST", f"/v3/transactions/{wanted.charge.reference}/refund", json=given)
        if not response.is_good:
            return Outcome(state=PaymentState.FAILED, reference="", failure=_reason(response))
        return _refund_outcome(_data(response))

    def look_up_refund(self, wanted: RefundRequest) -> Outcome | None:
        ours = (it for it in _Client().refunds(wanted.charge) if it.get("comments") == str(wanted.key))
        found = next(ours, None)
        return _refund_outcome(found) if found else None

    def refunded_total(self, charge: Charge) -> Decimal:
        stand = (it for it in _Client().refunds(charge) if _refund_outcome(it).state != PaymentState.FAILED)
        return sum((Decimal(it["amount_refunded"]) for it in stand), Decimal(0))

    def read_event(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Event:  # noqa: ARG002
        """Verifies the secret itself or a signature with it, as set in Flutterwave's dashboard.

        https://developer.flutterwave.com/v3.0/docs/webhooks. Events have no ids, so equal content means the same event.
        """
        secret = settings.FLUTTERWAVE_WEBHOOK_SECRET.encode()
        shown, wanted = headers.get("verif-hash", ""), secret
        if settings.FLUTTERWAVE_WEBHOOK_SIGNED:
            shown = headers.get("flutterwave-signature", "")
            wanted = base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest())
        if not hmac.compare_digest(shown.encode(), wanted):
            raise BadSignature
        try:
            event = json.loads(body)
            about, kind = event["data"], str(event.get("event") or event["type"])
            transaction = about.get("tx_id") or about.get("TransactionId") or about["id"]
            return Event(
                id=f"{kind}-{about['id']}-{about.get('status')}",
                kind=kind,
                reference=str(transaction),
                payment=uuid_or_none(text=about.get("tx_ref")),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadSignature from None


class _Client:
    """The requests to Flutterwave that one method of the gateway makes."""

    def __init__(self) -> None:
        self._client = GatewayClient("Flutterwave", settings.FLUTTERWAVE_API_BASE)

    def request(self, method: str, path: str, **given: Any) -> Response:
        headers = {"authorization": f"Bearer {settings.FLUTTERWAVE_SECRET_KEY}"}
        return self._client.request(method, path, headers=headers, **given)

    def outcome(self, charge: Charge) -> Outcome | None:
        """The outcome of the buyer's attempt. Before one: the payment page, if it was created; else None."""
        known = _data(self._transaction(charge))
        if known.get("tx_ref") != str(charge.key):
            return _requires_action(charge.redirect_url) if charge.redirect_url else None
        state = _STATES.get(known["status"], PaymentState.PENDING)
        return Outcome(
            state=state,
            reference=str(known["id"]),
            failure=str(known.get("processor_response") or "Declined.") if state == PaymentState.FAILED else "",
            amount=Decimal(known["amount"]),
            currency=known["currency"],
        )

    def refunds(self, charge: Charge) -> Iterator[dict[str, Any]]:
        """https://developer.flutterwave.com/v3.0/reference/get-multiple-refunds"""
        flw_ref = _data(self._transaction(charge)).get("flw_ref")
        if flw_ref is None:
            raise GatewayUnavailable  # It knew the payment before, so perhaps the secret key is of another account.
        for page in range(1, _MAX_PAGES + 1):
            response = self.request("GET", "/v3/refunds", params={"flw_ref": flw_ref, "page": page})
            if not response.is_good:
                raise GatewayUnavailable
            found = response.body.get("data") or []
            yield from (it for it in found if str(it.get("tx_id")) == charge.reference)
            if page >= (response.body.get("meta") or {}).get("page_info", {}).get("total_pages", 1):
                return

    def _transaction(self, charge: Charge) -> Response:
        return self.request("GET", "/v3/transactions/verify_by_reference", params={"tx_ref": str(charge.key)})


def _data(response: Response) -> dict[str, Any]:
    data = response.body.get("data")
    return data if response.is_good and isinstance(data, dict) else {}


def _requires_action(link: str) -> Outcome:
    return Outcome(state=PaymentState.REQUIRES_ACTION, reference="", redirect_url=link)


def _refund_outcome(refund: Mapping[str, Any]) -> Outcome:
    """The status may have the method as a suffix: `completed-bank-transfer`, `pending-momo`."""
    status, state = str(refund.get("status", "")), PaymentState.PENDING
    if status.startswith("completed"):
        state = PaymentState.SUCCEEDED
    elif status.startswith("failed"):
        state = PaymentState.FAILED
    return Outcome(state=state, reference=str(refund["id"]), failure="" if state != PaymentState.FAILED else status)


def _reason(response: Response) -> str:
    return str(response.body.get("message") or "Refused.")[:500]
