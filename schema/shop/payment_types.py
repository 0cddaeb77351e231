"""Payments and refunds, as an order shows them."""

from datetime import datetime
from typing import Any

import strawberry_django

from schema.base import ids
from schema.base.enums import expose
from schema.base.scalars import Money
from storefront import models

expose(models.PaymentProvider, "A payment provider.")
expose(
    models.PaymentState,
    "The state of a payment or refund. PENDING and REQUIRES_ACTION are open, the others are final.",
    PENDING="The provider was asked and has not answered yet.",
    REQUIRES_ACTION="The buyer has to confirm the payment.",
)


@strawberry_django.type(models.Refund, description="A refund of a payment.")
class Refund(ids.Node):
    state: models.PaymentState = strawberry_django.field(
        description="PENDING until the provider has answered. The shop asks the provider again by itself."
    )
    reason: str = strawberry_django.field(description="The reason that staff entered; may be empty.")
    created_at: datetime = strawberry_django.field(description="When the refund was requested.")

    @strawberry_django.field(select_related=["payment"], description="The refunded amount.")
    def amount(self: Any) -> Money:
        return Money.of(self.amount, self.payment.currency)


@strawberry_django.type(models.Payment, description="An attempt to pay for an order.")
class Payment(ids.Node):
    provider: models.PaymentProvider = strawberry_django.field(description="The payment provider.")
    state: models.PaymentState = strawberry_django.field(description="The state of the payment.")
    created_at: datetime = strawberry_django.field(description="When the payment was started.")

    refunds: list[Refund] = strawberry_django.field(description="The refunds of this payment, oldest first.")

    @strawberry_django.field(description="The amount of the payment.")
    def amount(self: Any) -> Money:
        return Money.of(self.amount, self.currency)

    @strawberry_django.field(description="Total of the refunds of this payment, including those that are pending.")
    def refunded(self: Any) -> Money:
        return Money.of(self.refunded, self.currency)

    @strawberry_django.field(
        description="For the provider's client library, while the buyer has to confirm the payment; otherwise null. "
        "STRIPE: the `client_secret` of the intent. PAYPAL: the id of the order."
    )
    def client_secret(self: Any) -> str | None:
        return (self.client_secret or None) if self.state == models.PaymentState.REQUIRES_ACTION else None

    @strawberry_django.field(
        description="Where to send the buyer to confirm the payment; null if there is nothing to confirm."
    )
    def redirect_url(self: Any) -> str | None:
        return (self.redirect_url or None) if self.state == models.PaymentState.REQUIRES_ACTION else None

    @strawberry_django.field(description="Why the payment failed, for people; null if it did not fail.")
    def failure(self: Any) -> str | None:
        return self.failure or None
