"""Fulfilment: shipments of paid orders, and their delivery."""

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
    """Records a shipment of a paid order and mails the buyer. Recording the same shipment again changes nothing.

    The first shipment removes all of the order's units from the stock. Raises NotFound, InvalidInput;
    OrderStateConflict unless the order is PAID or SHIPPED.
    """
    order = _lock(order_id)
    shipment = Shipment(
        order=order,
        carrier=carrier.strip(),
        tracking_number=tracking_number.strip(),
        tracking_url=tracking_url.strip(),
        shipped_at=now,
    )
    same = Shipment.objects.filter(order=order, carrier=shipment.carrier, tracking_number=shipment.tracking_number)
    if same.exists():
        return order
    try:
        shipment.full_clean(exclude=["order"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise_all(errors=[InvalidInput(" ".join(texts), field=[name]) for name, texts in error.message_dict.items()])
    shipment.save(force_insert=True)
    if order.state == OrderState.SHIPPED:
        orders.add_event(order=order, kind=OrderEventKind.SHIPPED, message=str(shipment), actor=actor, now=now)
    else:
        orders.change_state(
            order=order, to=OrderState.SHIPPED, kind=OrderEventKind.SHIPPED, message=str(shipment), actor=actor, now=now
        )
        stock.ship(order=order, now=now)
    outbox.put(kind="order_shipped", payload={"order": str(order.pk), "shipment": str(shipment.pk)}, now=now)
    return order


@transaction.atomic(durable=True)
def mark_delivered(*, order_id: UUID, actor: User | None, now: datetime) -> Order:
    """Marks a shipped order as delivered. Doing it again changes nothing. Raises NotFound, OrderStateConflict."""
    order = _lock(order_id)
    if order.state != OrderState.DELIVERED:
        orders.change_state(
            order=order, to=OrderState.DELIVERED, kind=OrderEventKind.DELIVERED, message="", actor=actor, now=now
        )
    return order


def _lock(order_id: UUID) -> Order:
    order = locks.order_by_id(order_id=order_id)
    if order is None:
        raise NotFound("This order does not exist.", field=["order_id"])
    return order
