"""PayPal: Orders v2. https://developer.paypal.com/docs/api/orders/v2/

The buyer approves an order at PayPal. Only our capture takes the money.
"""

import base64
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings

from domain.base.money import exponent
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

# Currencies that PayPal accepts without decimals: https://developer.paypal.com/reference/currency-codes/
_WITHOUT_DECIMALS = {"HUF", "JPY", "TWD"}
_CAPTURE_STATES = {
    "COMPLETED": PaymentState.SUCCEEDED,
    "PARTIALLY_REFUNDED": PaymentState.SUCCEEDED,
    "REFUNDED": PaymentState.SUCCEEDED,
    "DECLINED": PaymentState.FAILED,
    "FAILED": PaymentState.FAILED,
}
_REFUND_STATES = {
    "COMPLETED": PaymentState.SUCCEEDED,
    "FAILED": PaymentState.FAILED,
    "CANCELLED": PaymentState.FAILED,
}
# PayPal repeats an event for up to three days: https://developer.paypal.com/api/rest/webhooks/
_MAX_EVENT_AGE = timedelta(days=4)
# The parameters by which PayPal verifies an event, and the headers that have them.
_SIGNATURE_HEADERS = {
    "auth_algo": "PayPal-Auth-Algo",
    "cert_url": "PayPal-Cert-Url",
    "transmission_id": "PayPal-Transmission-Id",
    "transmission_sig": "PayPal-Transmission-Sig",
    "transmission_time": "PayPal-Transmission-Time",
}

_MAX_HEADER_LENGTH = 1000

# The access token of this process, by its expiry (on the monotonic clock).
access_tokens: dict[float, str] = {}


class PayPalGateway:
    def charge(self, charge: Charge) -> Outcome:
        """Sends the buyer to PayPal; captures an order that the buyer has approved."""
        if not _can_be_charged(charge):
            failure = f"PayPal cannot charge {charge.amount} {charge.currency}: the amount has too many decimals."
            return Outcome(state=PaymentState.FAILED, reference="", failure=failure)
        client = _Client()
        response = client.order(charge.reference) if charge.reference else client.make(charge)
        if not response.is_good:
            return Outcome(state=PaymentState.FAILED, reference=charge.reference, failure=_reason(response))
        outcome = _outcome(response.body)
        if not outcome.is_approved:
            return outcome
        captured = client.capture(outcome.reference, key=charge.key)
        if captured.is_good:
            return _outcome(captured.body)
        outcome = _outcome(client.order(outcome.reference).body)
        if not outcome.is_approved:
            return outcome  # A concurrent request has captured it.
        return Outcome(state=PaymentState.FAILED, reference=outcome.reference, failure=_reason(captured))

    def look_up(self, charge: Charge) -> Outcome | None:
        """None without a reference: if creating the order was not answered, the buyer cannot approve it either."""
        response = _Client().order(charge.reference) if charge.reference else None
        return _outcome(response.body) if response and response.is_good else None

    def refund(self, wanted: RefundRequest) -> Outcome:
        client = _Client()
        captures = _payments(client.order(wanted.charge.reference).body, "captures")
        if not captures:
            raise GatewayUnavailable  # It knew one before, so perhaps the keys are of another account.
        given = {
            "amount": {"value": str(wanted.amount), "currency_code": wanted.charge.currency},
            "invoice_id": str(wanted.key),
            "custom_id": str(wanted.charge.key),
        }
        response = client.request(
            "POST", f"/v2/payments/captures/{captures[0]['id']}/refund", key=wanted.key, json=given
        )
        if not response.is_good:
            return Outcome(state=PaymentState.FAILED, reference="", failure=_reason(response))
        return _refund_outcome(response.body)

    def look_up_refund(self, wanted: RefundRequest) -> Outcome | None:
        order = _Client().order(wanted.charge.reference).body
        ours = (it for it in _payments(order, "refunds") if it.get("invoice_id") == str(wanted.key))
        found = next(ours, None)
        return _refund_outcome(found) if found else None

    def refunded_total(self, charge: Charge) -> Decimal:
        refunds = _payments(_Client().order(charge.reference).body, "refunds")
        stand = [it for it in refunds if _REFUND_STATES.get(it["status"]) != PaymentState.FAILED]
        return sum((Decimal(it["amount"]["value"]) for it in stand), Decimal(0))

    def read_event(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Event:
        """Parses an event that still has to be verified by `is_authentic`."""
        signature_headers = {header: headers.get(header, "") for header in _SIGNATURE_HEADERS.values()}
        try:
            event = json.loads(body.decode())
            age = now - datetime.fromisoformat(signature_headers["PayPal-Transmission-Time"])
            about = event["resource"]
            read = Event(
                id=str(event["id"]),
                kind=str(event["event_type"]),
                reference=_order_of(about),
                payment=uuid_or_none(text=_key_of(about)),
                signature_headers=signature_headers,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadSignature from None
        if age > _MAX_EVENT_AGE or not all(map(_may_be_a_header, signature_headers.values())):
            raise BadSignature
        return read

    def is_authentic(self, signature_headers: Mapping[str, str], body: bytes) -> bool:
        """https://developer.paypal.com/docs/api/webhooks/v1/#verify-webhook-signature_post"""
        signature = {name: signature_headers[header] for name, header in _SIGNATURE_HEADERS.items()}
        return _Client().is_signed(signature, body)


class _Client:
    """The requests to PayPal that one method of the gateway makes."""

    def __init__(self) -> None:
        self._client = GatewayClient("PayPal", settings.PAYPAL_API_BASE)

    def request(self, method: str, path: str, *, key: object = None, **given: Any) -> Response:
        headers = {"authorization": f"Bearer {self._access()}", "prefer": "return=representation"}
        if key:
            headers["paypal-request-id"] = str(key)
        if method == "POST":
            headers["content-type"] = "application/json"
        try:
            return self._client.request(method, path, headers=headers, **given)
        except GatewayUnavailable:
            access_tokens.clear()  # Perhaps the token is no longer valid.
            raise

    def make(self, charge: Charge) -> Response:
        back = charge.return_url or settings.STOREFRONT_URL
        given = {
            "intent": "CAPTURE",
            "purchase_units": [
                {
                    "custom_id": str(charge.key),
                    "description": f"Order {charge.number}",
                    "amount": {"value": _amount_text(charge), "currency_code": charge.currency},
                }
            ],
            "payment_source": {
                "paypal": {
                    "experience_context": {
                        "user_action": "PAY_NOW",
                        "shipping_preference": "NO_SHIPPING",
                        "brand_name": str(settings.SHOP_NAME)[:127],
                        "return_url": back,
                        "cancel_url": back,
                    }
                }
            },
        }
        return self.request("POST", "/v2/checkout/orders", key=charge.key, json=given)

    def order(self, reference: str) -> Response:
        return self.request("GET", f"/v2/checkout/orders/{reference}")

    def capture(self, reference: str, *, key: UUID) -> Response:
        return self.request("POST", f"/v2/checkout/orders/{reference}/capture", key=f"{key}-capture", content=b"{}")

    def is_signed(self, signed: Mapping[str, str], body: bytes) -> bool:
        """Sends the event's body unchanged, because PayPal signed these bytes."""
        given = json.dumps({**signed, "webhook_id": settings.PAYPAL_WEBHOOK_ID}).encode()
        content = given[:-1] + b', "webhook_event": ' + body + b"}"
        response = self.request("POST", "/v1/notifications/verify-webhook-signature", content=content)
        return response.body.get("verification_status") == "SUCCESS"

    def _access(self) -> str:
        good = [token for until, token in list(access_tokens.items()) if until > time.monotonic()]
        if good:
            return good[0]
        basic = base64.b64encode(f"{settings.PAYPAL_CLIENT_ID}:{settings.PAYPAL_SECRET}".encode()).decode()
        response = self._client.request(
            "POST",
            "/v1/oauth2/token",
            headers={"authorization": f"Basic {basic}"},
            data={"grant_type": "client_credentials"},
        )
        if "access_token" not in response.body:
            raise GatewayUnavailable
        token: str = response.body["access_token"]
        access_tokens.clear()
        # One minute less, so that it does not expire during a request.
        access_tokens[time.monotonic() + int(response.body.get("expires_in", 0)) - 60] = token
        return token


def _may_be_a_header(text: str) -> bool:
    return 0 < len(text) <= _MAX_HEADER_LENGTH and text.isascii() and text.isprintable()


def _outcome(order: Mapping[str, Any]) -> Outcome:
    reference, status = str(order["id"]), order["status"]
    captures = _payments(order, "captures")
    if captures:
        taken = captures[-1]
        state = _CAPTURE_STATES.get(taken["status"], PaymentState.PENDING)
        return Outcome(
            state=state,
            reference=reference,
            failure="PayPal declined." if state == PaymentState.FAILED else "",
            amount=Decimal(taken["amount"]["value"]),
            currency=taken["amount"]["currency_code"],
        )
    if status == "VOIDED":
        return Outcome(state=PaymentState.CANCELLED, reference=reference)
    links = {link["rel"]: link["href"] for link in order.get("links", ())}
    return Outcome(
        state=PaymentState.REQUIRES_ACTION,
        reference=reference,
        client_secret=reference,
        redirect_url=links.get("payer-action") or links.get("approve") or "",
        is_approved=status == "APPROVED",
    )


def _refund_outcome(refund: Mapping[str, Any]) -> Outcome:
    state = _REFUND_STATES.get(refund["status"], PaymentState.PENDING)
    failure = str((refund.get("status_details") or {}).get("reason") or "")
    return Outcome(state=state, reference=refund["id"], failure=failure)


def _payments(order: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The captures or the refunds of an order."""
    units = order.get("purchase_units") or [{}]
    found: list[dict[str, Any]] = (units[0].get("payments") or {}).get(kind) or []
    return found


def _order_of(about: Mapping[str, Any]) -> str:
    related = (about.get("supplementary_data") or {}).get("related_ids") or {}
    return str(related.get("order_id") or (about["id"] if "purchase_units" in about else ""))


def _key_of(about: Mapping[str, Any]) -> Any:
    units = about.get("purchase_units") or [{}]
    return about.get("custom_id") or units[0].get("custom_id")


def _reason(response: Response) -> str:
    details = response.body.get("details") or [{}]
    return str(details[0].get("description") or response.body.get("message") or "Refused.")[:500]


def _can_be_charged(charge: Charge) -> bool:
    return charge.currency not in _WITHOUT_DECIMALS or not charge.amount % 1


def _amount_text(charge: Charge) -> str:
    decimals = 0 if charge.currency in _WITHOUT_DECIMALS else exponent(currency=charge.currency)
    return f"{charge.amount:.{decimals}f}"
