"""How a total came about, of a cart and of an order; and where the fields of a cart find its price."""

from decimal import Decimal
from uuid import UUID

import strawberry

from domain.sales import pricing
from domain.sales.priced_cart import PricedCart, Quote
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.loading import complete
from schema.base.scalars import Money, plain
from storefront import models

expose(
    pricing.StepKind,
    "What a step of a price is about.",
    GOODS="Units of a variant, at their list price.",
    DISCOUNT="What a code takes off.",
    SHIPPING="What shipping costs.",
    TAX="What a tax takes.",
)


@strawberry.type(description="One step of how a total came about: the amounts of all, but the included ones, add up.")
class PriceStep:
    kind: pricing.StepKind = strawberry.field(description="What it is about.")
    label: str = strawberry.field(description='For people, in English: "2 × MUG-ENAMEL", "VAT on MUG-ENAMEL".')
    amount: Money = strawberry.field(description="What is added; below zero, what is taken off.")
    included: bool = strawberry.field(description="A part of the amounts above it, which adds nothing to the total.")
    code: str | None = strawberry.field(description="The SKU, or the discount code; null where it is neither.")
    base: Money | None = strawberry.field(description="What the rate is taken of; null where there is none.")
    rate: Decimal | None = strawberry.field(description="Percent; null where there is none.")

    @classmethod
    def of(cls, step: pricing.Step, currency: str) -> "PriceStep":
        return cls(
            kind=step.kind,
            label=step.label,
            amount=Money.of(step.amount, currency),
            included=step.included,
            code=step.code or None,
            base=None if step.base is None else Money.of(step.base, currency),
            rate=None if step.rate is None else plain(step.rate),
        )


def show(priced: PricedCart | None, info: Info) -> models.Cart | None:
    """The row for a field of type `Cart`, with everything that is selected of it.

    Its price is kept in the request's context, where the fields of the cart, its lines and its checkout find it.
    """
    if priced is None:
        return None
    info.context.priced_carts[priced.cart.pk] = priced
    return complete(priced.cart, info)


def quote_of(cart_id: UUID, info: Info) -> Quote:
    """The price of a cart that `show` has returned."""
    return info.context.priced_carts[cart_id].quote
