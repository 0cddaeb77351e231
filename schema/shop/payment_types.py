"""Payments and refunds, as an order shows them."""

from datetime import datetime
from typing import Any

import strawberry_django

from schema.base import ids
from schema.base.enums import expose
from schema.base.scalars import Money
from storefront import models

expose(models.PaymentProvider, "Who takes the money.")
expose(models.PaymentState, "How a payment stands. PENDING and REQUIRES_ACTION are open, the others final.")


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
