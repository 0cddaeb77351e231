"""Webhooks out: what happens in the shop, told to systems of its owner, signed, at least once.

Headers and signature are those of https://www.standardwebhooks.com, for which there are libraries to check them with.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from domain.base import outbox, public_http
from domain.base.money import ZERO, quantize
from domain.base.prepared_queries import Statement
from storefront.models import (
    Address,
    Order,
    OrderState,
    ProductVariant,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookTopic,
)

KIND = "webhook"
_SECONDS = 10
# An endpoint that did not answer in time keeps nobody waiting again for so long.
_REST = timedelta(minutes=1)
_KEPT = timedelta(days=14)

_ACTIVE = Statement(lambda: WebhookEndpoint.objects.filter(is_active=True))
_OF_STATE = {
    OrderState.AWAITING_PAYMENT: WebhookTopic.ORDER_PLACED,
    OrderState.PAID: WebhookTopic.ORDER_PAID,
    OrderState.SHIPPED: WebhookTopic.ORDER_SHIPPED,
    OrderState.DELIVERED: WebhookTopic.ORDER_DELIVERED,
    OrderState.CANCELLED: WebhookTopic.ORDER_CANCELLED,
    OrderState.EXPIRED: WebhookTopic.ORDER_EXPIRED,
    OrderState.REFUNDED: WebhookTopic.ORDER_REFUNDED,
}


class NotTaken(Exception):
    """The endpoint did not take the event: it is sent again later."""


def order_is(*, order: Order, now: datetime) -> None:
    """Owes the news that an order has come to its state to whoever wants it. Call inside a transaction."""
    about(order=order, topic=_OF_STATE[OrderState(order.state)], now=now)


def about(*, order: Order, topic: WebhookTopic, now: datetime) -> None:
    """Owes this news of an order to whoever wants it. Call inside a transaction."""
    if endpoints := _wanting(topic):
        _owe(endpoints, topic, {"order": _told(order)}, now=now)


def stock_is_low(*, left: Mapping[ProductVariant, int], now: datetime) -> None:
    """Owes the news that so many units can still be promised of these variants. Call inside a transaction."""
    if left and (endpoints := _wanting(WebhookTopic.STOCK_LOW)):
        for variant, available in left.items():
            _owe(endpoints, WebhookTopic.STOCK_LOW, {"sku": variant.sku, "available": available}, now=now)


@transaction.atomic(durable=True)
def test(*, endpoint: WebhookEndpoint, now: datetime) -> None:
    """Owes an endpoint an event that means nothing, whatever it wants."""
    _owe([endpoint], WebhookTopic.TEST, {"hello": "This is a test."}, now=now)


@transaction.atomic(durable=True)
def send_again(*, deliveries: Iterable[UUID], now: datetime) -> None:
    """Owes these events once more, as they were: their ids are the same."""
    for delivery in WebhookDelivery.objects.filter(pk__in=deliveries):
        outbox.put(kind=KIND, payload={"delivery": str(delivery.pk)}, now=now, priority=1)


def sign(*, secret: str, id: str, timestamp: int, body: str) -> str:
    """The signature of Standard Webhooks, version 1: HMAC-SHA256 of id, seconds since 1970, and the body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def deliver(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Sends one event. Raises NotTaken unless the endpoint answers with 2xx."""
    found = WebhookDelivery.objects.select_related("endpoint").filter(pk=payload["delivery"])
    delivery = found.first()
    if delivery is None or not delivery.endpoint.is_active:
        return
    if delivery.endpoint.resting_until and delivery.endpoint.resting_until > now:
        raise NotTaken("The endpoint did not answer a moment ago.")
    timestamp = int(now.timestamp())
    signature = sign(secret=delivery.endpoint.secret, id=str(delivery.pk), timestamp=timestamp, body=delivery.body)
    headers = {
        "content-type": "application/json",
        "user-agent": "Commercia",
        "webhook-id": str(delivery.pk),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }
    status, text = None, ""
    try:
        answer = public_http.post(
            url=delivery.endpoint.url, body=delivery.body.encode(), headers=headers, seconds=_SECONDS
        )
        status, text = answer.status, answer.text
    except public_http.NoAnswer as error:
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(resting_until=now + _REST)
        text = str(error)
    except public_http.NotPublic as error:
        text = str(error)
    was_taken = status is not None and 200 <= status < 300
    found.update(attempts=F("attempts") + 1, status=status, answer=text)
    if not was_taken:
        raise NotTaken(f"HTTP {status}" if status else text)
    found.update(delivered_at=now)


def prune(*, now: datetime) -> int:
    """Deletes the log of a fortnight ago; says how many rows."""
    return WebhookDelivery.objects.filter(created_at__lte=now - _KEPT).delete()[0]


def _wanting(topic: WebhookTopic) -> list[WebhookEndpoint]:
    return [each for each in _ACTIVE.all() if topic in each.topics]


def _owe(endpoints: Iterable[WebhookEndpoint], topic: WebhookTopic, data: Mapping[str, Any], *, now: datetime) -> None:
    for endpoint in endpoints:
        delivery = WebhookDelivery(endpoint=endpoint, topic=topic, created_at=now)
        delivery.body = json.dumps(
            {"type": topic, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False, separators=(",", ":")
        )
        delivery.save(force_insert=True)
        outbox.put(kind=KIND, payload={"delivery": str(delivery.pk)}, now=now, priority=1)


def _told(order: Order) -> dict[str, Any]:
    """An order as other systems need it to send and to book it; amounts as text, in its currency."""

    def money(amount: Any) -> str:
        return str(quantize(amount=amount, currency=order.currency))

    amounts = ("subtotal", "discount", "shipping", "net", "tax", "total")
    return {
        "number": order.number,
        "state": order.state,
        "placedAt": order.placed_at.isoformat(),
        "email": order.email,
        "currency": order.currency,
        **{name: money(getattr(order, name)) for name in amounts},
        "refunded": money(sum((payment.refunded for payment in order.payments.all()), ZERO)),
        "shippingMethod": order.shipping_method,
        "shippingAddress": _address(order.shipping_address),
        "billingAddress": _address(order.billing_address),
        "note": order.note,
        "lines": [
            {
                "sku": line.sku,
                "title": line.title,
                "variantTitle": line.variant_title,
                "quantity": line.quantity,
                "unitPrice": money(line.unit_price),
                "net": money(line.net),
                "tax": money(line.tax),
            }
            for line in order.lines.all()
        ],
        "shipments": [
            {"carrier": parcel.carrier, "trackingNumber": parcel.tracking_number, "trackingUrl": parcel.tracking_url}
            for parcel in order.shipments.all()
        ],
    }


def _address(address: Address) -> dict[str, str]:
    return {
        "name": address.name,
        "line1": address.line1,
        "line2": address.line2,
        "postalCode": address.postal_code,
        "city": address.city,
        "region": address.region,
        "countryCode": address.country_code,
        "phone": address.phone,
    }
