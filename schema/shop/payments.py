"""Paying for an order."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry
import strawberry_django

from domain.payments import payments, refunds
from domain.payments.payments import PaymentDeclined, PaymentUnavailable
from schema.base import ids
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError
from schema.base.loading import complete
from schema.base.scalars import Money
from schema.shop.orders import Order
from storefront import models

expose(
    models.PaymentState,
    "The state of a payment. PENDING and REQUIRES_ACTION are open, the others final.",
    PENDING="The gateway was asked and has not answered yet.",
    REQUIRES_ACTION="The buyer has to confirm the payment.",
)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Refund, description="Money of a payment that is given back.")
class Refund(ids.Node):
    state: models.PaymentState = strawberry_django.field(
        description="PENDING until the provider has answered: it is asked again by itself."
    )
    reason: str = strawberry_django.field(description="What staff wrote; may be empty.")
    created_at: datetime = strawberry_django.field(description="When it was asked for.")

    @strawberry_django.field(select_related=["payment"], description="What is given back.")
    def amount(self: Any) -> Money:
        return Money.of(self.amount, self.payment.currency)


@strawberry_django.type(models.Payment, description="One attempt to pay an order.")
class Payment(ids.Node):
    provider: models.PaymentProvider = strawberry_django.field(description="Who takes the money.")
    state: models.PaymentState = strawberry_django.field(description="How it stands.")
    created_at: datetime = strawberry_django.field(description="When it was begun.")

    refunds: list[Refund] = strawberry_django.field(description="What was given back of it, the first time first.")

    @strawberry_django.field(description="What is taken.")
    def amount(self: Any) -> Money:
        return Money.of(self.amount, self.currency)

    @strawberry_django.field(description="What was given back of it, or is being given back.")
    def refunded(self: Any) -> Money:
        return Money.of(self.refunded, self.currency)

    @strawberry_django.field(
        description="For the provider's client library, while the buyer has to confirm; else null. STRIPE: an intent's "
        "`client_secret`. PAYPAL: the order's id."
    )
    def client_secret(self: Any) -> str | None:
        return (self.client_secret or None) if self.state == models.PaymentState.REQUIRES_ACTION else None

    @strawberry_django.field(description="Where to send the buyer to confirm; null when there is nothing to confirm.")
    def redirect_url(self: Any) -> str | None:
        return (self.redirect_url or None) if self.state == models.PaymentState.REQUIRES_ACTION else None

    @strawberry_django.field(description="Why it failed, for people; null when it did not.")
    def failure(self: Any) -> str | None:
        return self.failure or None


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
