"""Shipping and delivery of orders, for staff."""

import strawberry

from domain.sales import fulfilment
from schema.base import ids
from schema.base.context import Info
from schema.base.errors import Refusals
from schema.shop.orders import OrderPayload

# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="The parcel that was sent.")
class ShipOrderInput:
    order_id: strawberry.ID = strawberry.field(description="`Order.id`.")
    carrier: str = strawberry.field(description="The name of the carrier, at most 100 characters.")
    tracking_number: str = strawberry.field(description="The carrier's tracking number, at most 100 characters.")
    tracking_url: str | None = strawberry.field(default=None, description="The carrier's tracking page.")


@strawberry.input(description="The order that was delivered.")
class MarkOrderDeliveredInput:
    order_id: strawberry.ID = strawberry.field(description="`Order.id`.")


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class FulfilmentMutation:
    @strawberry.mutation(
        description="For staff: records that a parcel of a paid order was sent, and mails the buyer. Sending the same "
        "parcel again changes nothing; another parcel of a shipped order is added. Errors: NOT_FOUND, ORDER_STATE, "
        "INVALID."
    )
    def ship_order(self, info: Info, input: ShipOrderInput) -> OrderPayload:
        info.context.allow("change_order")
        with Refusals(info) as errors:
            order = fulfilment.ship(
                order_id=ids.uuid(input.order_id, "Order", field=["order_id"]),
                carrier=input.carrier,
                tracking_number=input.tracking_number,
                tracking_url=input.tracking_url or "",
                actor=info.context.viewer,
                now=info.context.now,
            )
            return OrderPayload(row=order)
        return OrderPayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: records that a shipped order was delivered. Calling it again changes nothing. Errors: "
        "NOT_FOUND, ORDER_STATE."
    )
    def mark_order_delivered(self, info: Info, input: MarkOrderDeliveredInput) -> OrderPayload:
        info.context.allow("change_order")
        with Refusals(info) as errors:
            order_id = ids.uuid(input.order_id, "Order", field=["order_id"])
            order = fulfilment.mark_delivered(order_id=order_id, actor=info.context.viewer, now=info.context.now)
            return OrderPayload(row=order)
        return OrderPayload(user_errors=errors)
