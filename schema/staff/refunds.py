"""Giving money back, for staff."""

from decimal import Decimal

import strawberry

from domain.payments import refunds
from schema.base import ids
from schema.base.context import Info
from schema.base.errors import Refusals
from schema.shop.payments import PaymentPayload

# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="What to give back of a payment.")
class RefundPaymentInput:
    payment_id: strawberry.ID = strawberry.field(description="`Payment.id`.")
    request_id: str = strawberry.field(
        description="Of your making, the same when you try again, another for another refund; 100 characters."
    )
    amount: Decimal | None = strawberry.field(
        default=None, description="In the payment's currency; without it, all that is left."
    )
    reason: str | None = strawberry.field(default=None, description="2000 characters.")
    restock: bool = strawberry.field(
        default=True,
        description="Whether the goods can be sold again, once nothing is left of the order's money; else they are "
        "written off.",
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class RefundMutation:
    @strawberry.mutation(
        description="For staff: gives back a payment, or a part of it; several parts have several `requestId`s. When "
        "nothing is left of the order's money, the order is REFUNDED. Errors: NOT_FOUND, INVALID, ORDER_STATE, "
        "REQUEST_ID_REUSED."
    )
    def refund_payment(self, info: Info, input: RefundPaymentInput) -> PaymentPayload:
        info.context.allow("add_refund")
        with Refusals(info) as errors:
            refund = refunds.refund(
                payment_id=ids.uuid(input.payment_id, "Payment", field=["payment_id"]),
                request_id=input.request_id,
                amount=input.amount,
                reason=input.reason or "",
                restock=input.restock,
                actor=info.context.viewer,
                now=info.context.now,
            )
            return PaymentPayload(row=refund.payment)
        return PaymentPayload(user_errors=errors)
