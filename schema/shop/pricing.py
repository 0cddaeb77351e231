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
    "The kind of a step in a price calculation.",
    GOODS="Units of a variant at their list price.",
    DISCOUNT="A discount from a code.",
    SHIPPING="The price of shipping.",
    TAX="A tax.",
)


@strawberry.type(
    description="One step in the calculation of a total. The amounts of all steps that are not `included` add up to "
    "the total."
)
class PriceStep:
    kind: pricing.StepKind = strawberry.field(description="The kind of step.")
    label: str = strawberry.field(description='A label for people, in English: "2 × Enamel mug", "VAT on Enamel mug".')
    amount: Money = strawberry.field(description="The amount that is added, negative for a discount.")
    included: bool = strawberry.field(
        description="Whether the amount is part of earlier amounts already, and does not change the total."
    )
    code: str | None = strawberry.field(description="The SKU or the discount code; null if there is neither.")
    base: Money | None = strawberry.field(description="The amount that the rate applies to; null without a rate.")
    rate: Decimal | None = strawberry.field(description="The rate in percent; null if there is none.")

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
