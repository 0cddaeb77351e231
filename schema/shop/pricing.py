"""How a total came about, as a cart and an order tell it."""

from decimal import Decimal
from typing import Any

import strawberry

from domain.sales import priced_cart, pricing
from schema.base.context import Info
from schema.base.enums import expose
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


# What `priced_cart.quote` reads: the optimizer hint of every field that needs a quote.
QUOTED: dict[str, Any] = {"select_related": priced_cart.RELATED, "prefetch_related": priced_cart.PREFETCHED}


def quote_of(cart: models.Cart, info: Info) -> priced_cart.Quote:
    """What the cart costs; of one that was read without all that tells it, by reading it anew."""
    if "_quote" not in vars(cart) and "discounts" not in getattr(cart, "_prefetched_objects_cache", ()):
        found = vars(cart)["_quote"] = priced_cart.quote(cart=priced_cart.load(cart=cart), now=info.context.now)
        return found
    return priced_cart.quote(cart=cart, now=info.context.now)


@strawberry.type(
    description="One step in the calculation of a total. The amounts of all steps that are not `included` add up to "
    "the total."
)
class PriceStep:
    kind: pricing.StepKind = strawberry.field(description="The kind of step.")
    label: str = strawberry.field(description='A label for people, in English: "2 × MUG-ENAMEL", "VAT on MUG-ENAMEL".')
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
