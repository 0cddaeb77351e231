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


@strawberry.input(description="Which order to pay, and how.")
class StartPaymentInput:
    order_id: strawberry.ID = strawberry.field(description="`Order.id`.")
    provider: models.PaymentProvider = strawberry.field(description="One of `shop.paymentProviders`.")
    receipt: str | None = strawberry.field(default=None, description="`Order.receipt`, for a guest.")
    payment_method: str | None = strawberry.field(
        default=None,
        description="A token that the provider's client library made; never card data. STRIPE: a PaymentMethod's id; "
        "or none, and the buyer confirms in the browser, by `clientSecret`. PAYPAL and FLUTTERWAVE: none; the buyer "
        "goes to `redirectUrl`, and once they are back the same mutation again finishes. TEST: `ok`, `decline`, "
        "`action` (then `confirm`), `timeout`, `late`, `webhook`, `webhook_twice`, `webhook_disordered`; or none, and "
        "the amount decides: 02 at its end declines, 03 asks for action.",
    )
    return_url: str | None = strawberry.field(default=None, description="Where the buyer goes on after confirming.")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The payment and its order as they are now, and what went wrong.")
class PaymentPayload:
    row: strawberry.Private[models.Payment | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why no money was taken; empty on success."
    )

    @strawberry.field(
        graphql_type=Payment | None,
        description="Also of PAYMENT_DECLINED (it has failed) and of a PAYMENT_UNAVAILABLE that may be tried again.",
    )
    def payment(self, info: Info) -> models.Payment | None:
        return complete(self.row, info) if self.row else None

    @strawberry.field(graphql_type=Order | None, description="Null exactly when `payment` is.")
    def order(self, info: Info) -> models.Order | None:
        return complete(self.row.order, info) if self.row else None


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class PaymentMutation:
    @strawberry.mutation(
        description="Pays an order, or goes on with the payment that is open: there is one at most, so a second call "
        "never charges twice. Errors: PAYMENT_DECLINED, PAYMENT_UNAVAILABLE, ORDER_STATE, NOT_FOUND, INVALID."
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
