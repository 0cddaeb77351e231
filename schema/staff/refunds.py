"""Refunds, for staff."""

from decimal import Decimal

import strawberry

from domain.payments import refunds
from schema.base import ids
from schema.base.context import Info
from schema.base.errors import Refusals
from schema.shop.payments import PaymentPayload

# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="The refund to make.")
class RefundPaymentInput:
    payment_id: strawberry.ID = strawberry.field(description="`Payment.id`.")
    request_id: str = strawberry.field(
        description="A unique text of your choice, at most 100 characters. Send the same one when you repeat the "
        "call, and another one for another refund."
    )
    amount: Decimal | None = strawberry.field(
        default=None, description="The amount, in the payment's currency. Default: all that is left."
    )
    reason: str | None = strawberry.field(default=None, description="The reason, at most 2000 characters.")
    restock: bool = strawberry.field(
        default=True,
        description="Whether the goods can be sold again, once the whole order is refunded. If not, they are written "
        "off.",
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class RefundMutation:
    @strawberry.mutation(
        description="For staff: refunds a payment, or a part of it. Use another `requestId` for each part. When the "
        "whole order is refunded, its state becomes REFUNDED. Errors: NOT_FOUND, INVALID, ORDER_STATE, "
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
