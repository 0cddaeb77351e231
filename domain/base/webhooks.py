"""Outgoing webhooks: signed events about orders and stock, sent to the owner's systems at least once.

Headers and signature follow https://www.standardwebhooks.com, which offers libraries to verify them.
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
from domain.base.prepared_queries import PreparedQuery
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
_TIMEOUT_SECONDS = 10
# After a timeout, an endpoint gets no requests for this long.
_PAUSE = timedelta(minutes=1)
_RETENTION = timedelta(days=14)

_ACTIVE = PreparedQuery(lambda: WebhookEndpoint.objects.filter(is_active=True))
_TOPIC_OF_STATE = {
    OrderState.AWAITING_PAYMENT: WebhookTopic.ORDER_PLACED,
    OrderState.PAID: WebhookTopic.ORDER_PAID,
    OrderState.SHIPPED: WebhookTopic.ORDER_SHIPPED,
    OrderState.DELIVERED: WebhookTopic.ORDER_DELIVERED,
    OrderState.CANCELLED: WebhookTopic.ORDER_CANCELLED,
    OrderState.EXPIRED: WebhookTopic.ORDER_EXPIRED,
    OrderState.REFUNDED: WebhookTopic.ORDER_REFUNDED,
}


class NotAccepted(Exception):
    """The endpoint did not accept the event. The outbox sends it again later."""


def queue_order_state(*, order: Order, now: datetime) -> None:
    """Queues the event of the order's new state for each subscribed endpoint. Call inside a transaction."""
    queue_order_event(order=order, topic=_TOPIC_OF_STATE[OrderState(order.state)], now=now)


def queue_order_event(*, order: Order, topic: WebhookTopic, now: datetime) -> None:
    """Queues an event about an order for each subscribed endpoint. Call inside a transaction."""
    if endpoints := _subscribers(topic):
        _queue(endpoints, topic, {"order": _webhook_payload(order)}, now=now)


def queue_low_stock(*, available: Mapping[ProductVariant, int], now: datetime) -> None:
    """Queues an event for each variant that runs low, with its available units. Call inside a transaction."""
    if available and (endpoints := _subscribers(WebhookTopic.STOCK_LOW)):
        for variant, units in available.items():
            _queue(endpoints, WebhookTopic.STOCK_LOW, {"sku": variant.sku, "available": units}, now=now)


@transaction.atomic(durable=True)
def queue_test(*, endpoint: WebhookEndpoint, now: datetime) -> None:
    """Queues a test event for an endpoint, whatever its topics."""
    _queue([endpoint], WebhookTopic.TEST, {"hello": "This is a test."}, now=now)


@transaction.atomic(durable=True)
def resend(*, deliveries: Iterable[UUID], now: datetime) -> None:
    """Queues these events again, unchanged and with the same ids."""
    for delivery in WebhookDelivery.objects.filter(pk__in=deliveries):
        outbox.put(kind=KIND, payload={"delivery": str(delivery.pk)}, now=now, priority=1)


def sign(*, secret: str, id: str, timestamp: int, body: str) -> str:
    """The signature of Standard Webhooks, version 1: HMAC-SHA256 of id, Unix timestamp (seconds) and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def deliver(payload: Mapping[str, Any], _: str, now: datetime) -> None:
    """Outbox handler: sends one event. Raises NotAccepted unless the endpoint answers with 2xx."""
    found = WebhookDelivery.objects.select_related("endpoint").filter(pk=payload["delivery"])
    delivery = found.first()
    if delivery is None or not delivery.endpoint.is_active:
        return
    if delivery.endpoint.resting_until and delivery.endpoint.resting_until > now:
        raise NotAccepted("The endpoint did not answer a moment ago; not tried again yet.")
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
        response = public_http.post(
            url=delivery.endpoint.url, body=delivery.body.encode(), headers=headers, seconds=_TIMEOUT_SECONDS
        )
        status, text = response.status, response.text
    except public_http.NoResponse as error:
        WebhookEndpoint.objects.filter(pk=delivery.endpoint_id).update(resting_until=now + _PAUSE)
        text = str(error)
    except public_http.NotPublic as error:
        text = str(error)
    is_accepted = status is not None and 200 <= status < 300
    found.update(attempts=F("attempts") + 1, status=status, answer=text)
    if not is_accepted:
        raise NotAccepted(f"HTTP {status}" if status else text)
    found.update(delivered_at=now)


def prune(*, now: datetime) -> int:
    """Deletes deliveries that are older than 14 days. Returns how many."""
    return WebhookDelivery.objects.filter(created_at__lte=now - _RETENTION).delete()[0]


def _subscribers(topic: WebhookTopic) -> list[WebhookEndpoint]:
    return [each for each in _ACTIVE.all() if topic in each.topics]


def _queue(
    endpoints: Iterable[WebhookEndpoint], topic: WebhookTopic, data: Mapping[str, Any], *, now: datetime
) -> None:
    for endpoint in endpoints:
        delivery = WebhookDelivery(endpoint=endpoint, topic=topic, created_at=now)
        delivery.body = json.dumps(
            {"type": topic, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False, separators=(",", ":")
        )
        delivery.save(force_insert=True)
        outbox.put(kind=KIND, payload={"delivery": str(delivery.pk)}, now=now, priority=1)


def _webhook_payload(order: Order) -> dict[str, Any]:
    """The order as JSON data for other systems. Amounts are texts in the order's currency."""

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
        "shippingAddress": _address_payload(order.shipping_address),
        "billingAddress": _address_payload(order.billing_address),
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


def _address_payload(address: Address) -> dict[str, str]:
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
