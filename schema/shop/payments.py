"""Paying for an order."""

import strawberry

from domain.payments import payments
from domain.payments.payments import PaymentDeclined, PaymentUnavailable
from schema.base import ids
from schema.base.context import Info
from schema.base.errors import Refusals, UserError
from schema.base.loading import complete
from schema.shop.orders import Order
from schema.shop.payment_types import Payment
from storefront import models

# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="The order to pay, and how to pay.")
class StartPaymentInput:
    order_id: strawberry.ID = strawberry.field(description="`Order.id`.")
    provider: models.PaymentProvider = strawberry.field(description="One of `shop.paymentProviders`.")
    receipt: str | None = strawberry.field(default=None, description="`Order.receipt`, for a guest.")
    payment_method: str | None = strawberry.field(
        default=None,
        description="A token from the provider's client library, never card data. STRIPE: the id of a PaymentMethod; "
        "or omit it, and the buyer confirms in the browser with `clientSecret`. PAYPAL and FLUTTERWAVE: omit it, send "
        "the buyer to `redirectUrl`, and call the mutation again when the buyer is back. TEST: `ok`, `decline`, "
        "`action` (then `confirm`), `timeout`, `late`, `webhook`, `webhook_twice` or `webhook_disordered`; or omit "
        "it, and the last two digits of the amount decide: 02 declines, 03 requires confirmation.",
    )
    return_url: str | None = strawberry.field(
        default=None, description="Where the provider sends the buyer after the confirmation."
    )


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The result of a payment or refund: the payment and its order, and errors.")
class PaymentPayload:
    row: strawberry.Private[models.Payment | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why no money was moved; empty on success."
    )

    @strawberry.field(
        graphql_type=Payment | None,
        description="The payment as it is now. It is also returned with PAYMENT_DECLINED, as a failed payment, and "
        "with PAYMENT_UNAVAILABLE if it can be tried again.",
    )
    def payment(self, info: Info) -> models.Payment | None:
        return complete(self.row, info) if self.row else None

    @strawberry.field(graphql_type=Order | None, description="The order as it is now; null if `payment` is null.")
    def order(self, info: Info) -> models.Order | None:
        return complete(self.row.order, info) if self.row else None


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class PaymentMutation:
    @strawberry.mutation(
        description="Starts the payment of an order, or continues the open one. An order has at most one open "
        "payment, so calling it again never charges twice. Errors: PAYMENT_DECLINED, PAYMENT_UNAVAILABLE, "
        "ORDER_STATE, NOT_FOUND, INVALID."
    )
    def start_payment(self, info: Info, input: StartPaymentInput) -> PaymentPayload:
        with (refusals := Refusals(info)) as errors:
            payment = payments.start(
                order_id=ids.uuid(input.order_id, "Order", field=["order_id"]),
                viewer=info.context.viewer,
                receipt=input.receipt,
                provider=input.provider,
                method=input.payment_method or "",
                return_url=input.return_url or "",
                now=info.context.now,
            )
            return PaymentPayload(row=payment)
        tried = [error.payment for error in refusals.raised if isinstance(error, PaymentDeclined | PaymentUnavailable)]
        return PaymentPayload(row=tried[0] if tried else None, user_errors=errors)
