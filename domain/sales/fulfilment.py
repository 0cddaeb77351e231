"""Paid orders on their way: parcels leave, and arrive."""

from datetime import datetime
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from domain.base import locks, outbox
from domain.base.errors import InvalidInput, NotFound, raise_all
from domain.catalog import stock
from domain.sales import orders
from storefront.models import Order, OrderEventKind, OrderState, Shipment, User


@transaction.atomic(durable=True)
def ship(
    *, order_id: UUID, carrier: str, tracking_number: str, tracking_url: str = "", actor: User | None, now: datetime
) -> Order:
    """Notes that a parcel of a paid order has left, and tells the buyer. The same parcel again changes nothing.

    With the first one the goods leave the stock; later ones are further parcels of the same order. Raises NotFound,
    OrderStateConflict unless the order is PAID or SHIPPED, InvalidInput.
    """
    order = _lock(order_id)
    shipment = Shipment(
        order=order,
        carrier=carrier.strip(),
        tracking_number=tracking_number.strip(),
        tracking_url=tracking_url.strip(),
        shipped_at=now,
    )
    told = Shipment.objects.filter(
        order=order, carrier=shipment.carrier, tracking_number=shipment.tracking_number
    ).exists()
    if told:
        return order
    try:
        shipment.full_clean(exclude=["order"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise_all(errors=[InvalidInput(" ".join(texts), field=[name]) for name, texts in error.message_dict.items()])
    shipment.save(force_insert=True)
    if order.state == OrderState.SHIPPED:
        orders.tell(order=order, kind=OrderEventKind.SHIPPED, message=str(shipment), actor=actor, now=now)
    else:
        orders.move(
            order=order, to=OrderState.SHIPPED, kind=OrderEventKind.SHIPPED, message=str(shipment), actor=actor, now=now
        )
        stock.ship(order=order, now=now)
    outbox.put(kind="order_shipped", payload={"order": str(order.pk), "shipment": str(shipment.pk)}, now=now)
    return order


@transaction.atomic(durable=True)
def mark_delivered(*, order_id: UUID, actor: User | None, now: datetime) -> Order:
    """Notes that a shipped order has arrived; once more changes nothing. Raises NotFound, OrderStateConflict."""
    order = _lock(order_id)
    if order.state != OrderState.DELIVERED:
        orders.move(
            order=order, to=OrderState.DELIVERED, kind=OrderEventKind.DELIVERED, message="", actor=actor, now=now
        )
    return order


def _lock(order_id: UUID) -> Order:
    order = locks.order_of(key=order_id)
    if order is None:
        raise NotFound("There is no such order.", field=["order_id"])
    return order
