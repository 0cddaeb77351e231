"""The cart and what a buyer does with it."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
import strawberry_django

from domain.sales import cart as carts
from domain.sales import checkout as checkouts
from domain.sales import currency as currencies
from domain.sales import pricing
from domain.sales.priced_cart import PricedCart, find_priced_cart
from schema.base import ids
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError, telling_limits, user_errors
from schema.base.scalars import Money
from schema.shop.catalog import ProductVariant
from schema.shop.pricing import PriceStep, quote_of, show
from storefront import models

if TYPE_CHECKING:
    from schema.shop.checkout import Checkout
    from schema.shop.orders import Order

expose(
    models.CartState,
    "Whether a cart can still change: ACTIVE can.",
    MERGED="Went into another cart.",
    CONVERTED="Became an order, and is locked for good.",
    ABANDONED="Was left behind.",
)


def _amounts(line: models.CartLine, info: Info) -> pricing.Amounts:
    return quote_of(line.cart_id, info).totals.lines[line.variant.sku]


def _money(amount: Decimal, cart_id: UUID, info: Info) -> Money:
    return Money.of(amount, quote_of(cart_id, info).exchange.currency)


# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.CartLine, description="Units of one variant in a cart.")
class CartLine(ids.Node):
    variant: ProductVariant = strawberry_django.field(description="What is bought.")
    quantity: int = strawberry_django.field(description="Units, 1 to 9999.")

    @strawberry_django.field(select_related=["variant"], description="What one unit costs now, in the cart's currency.")
    def unit_price(self: Any, info: Info) -> Money:
        return _money(quote_of(self.cart_id, info).unit_prices[self.variant_id], self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="`unitPrice` times `quantity`.")
    def total(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).listed, self.cart_id, info)

    @strawberry_django.field(
        select_related=["variant"], description="This line's share of what the discount codes take off."
    )
    def discount(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).discount, self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="After discounts, without tax.")
    def net(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).net, self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="The tax of this line.")
    def tax(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).tax, self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="`net` + `tax`: what the line costs in the end.")
    def gross(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).gross, self.cart_id, info)


@strawberry_django.type(models.Cart, description="What somebody means to buy, at today's prices.")
class Cart(ids.Node):
    code: strawberry.ID = strawberry_django.field(
        description="Secret: whoever knows a guest cart's code holds the cart."
    )
    state: models.CartState = strawberry_django.field(description="Whether it can still change.")
    # Without a hint: below a field with one, strawberry-django leaves the rest to be loaded row by row.
    lines: list[CartLine] = strawberry_django.field(
        description="In the order in which they were added.",
    )
    updated_at: datetime = strawberry_django.field(description="When it last changed.")
    checkout: Annotated["Checkout", strawberry.lazy("schema.shop.checkout")] | None = strawberry_django.field(
        description="Null until `checkout` is first called.",
    )
    order: Annotated["Order", strawberry.lazy("schema.shop.orders")] | None = strawberry_django.field(
        description="What it became; null while it is not CONVERTED."
    )

    @strawberry_django.field(prefetch_related=["lines"], description="Units in all lines together.")
    def total_quantity(self: Any) -> int:
        return sum(line.quantity for line in self.lines.all())

    @strawberry_django.field(select_related=["currency"], description="ISO 4217 code of all its amounts.")
    def currency(self: Any) -> str:
        return currencies.exchange_of(cart=self).currency

    @strawberry_django.field(
        description="The codes it holds; `problems` tells of those that do not count now.",
    )
    def discount_codes(self: Any, info: Info) -> list[str]:
        return [discount.code for discount in info.context.priced_carts[self.pk].discounts]

    @strawberry_django.field(description="The lines' totals together.")
    def subtotal(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.subtotal, self.pk, info)

    @strawberry_django.field(description="What the discount codes take off goods and shipping.")
    def discount(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.discount, self.pk, info)

    @strawberry_django.field(description="Of the chosen shipping option; zero until one is chosen.")
    def shipping(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.shipping, self.pk, info)

    @strawberry_django.field(description="What the shop keeps: `total` without `tax`.")
    def net(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.net, self.pk, info)

    @strawberry_django.field(
        description="The tax of goods and shipping, where they go to; until that is known, as in the shop's country.",
    )
    def tax(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.tax, self.pk, info)

    @strawberry_django.field(
        description="`net` + `tax`: what `placeOrder` expects. That is `subtotal` - `discount` + `shipping`, and, "
        "unless `shop.pricesIncludeTax`, + `tax`.",
    )
    def total(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.total, self.pk, info)

    @strawberry_django.field(description="How the total comes about, step by step.")
    def price_trace(self: Any, info: Info) -> list[PriceStep]:
        totals = quote_of(self.pk, info).totals
        return [PriceStep.of(step, totals.currency) for step in totals.trace]

    @strawberry_django.field(
        description="Everything that would stop `placeOrder` now, with what mends it; `field` is a path into this "
        "cart. PRICE_CHANGED stops only a `placeOrder` that expects the total of before.",
    )
    def problems(self: Any, info: Info) -> list[UserError]:
        if self.state != models.CartState.ACTIVE:
            return []
        return user_errors(checkouts.problems(priced=info.context.priced_carts[self.pk]))


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────

_CODE = "The cart's `code`; without it, the viewer's active cart, or the one of the cookie."


@strawberry.input(description="Units of a variant.")
class CartLineInput:
    variant_id: strawberry.ID = strawberry.field(description="`ProductVariant.id`.")
    quantity: int = strawberry.field(default=1, description="1 to 9999.")


@strawberry.input(description="What to put into which cart.")
class AddToCartInput:
    lines: list[CartLineInput] = strawberry.field(description="1 to 200.")
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description=_CODE + " Where there is none, a new cart."
    )


@strawberry.input(description="A line, and how many units it shall hold.")
class UpdateCartLineInput:
    line_id: strawberry.ID = strawberry.field(description="`CartLine.id`.")
    quantity: int = strawberry.field(description="What the line shall hold, 0 to 9999; 0 removes it.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_CODE)


@strawberry.input(description="Lines to take out.")
class RemoveFromCartInput:
    line_ids: list[strawberry.ID] = strawberry.field(description="`CartLine.id` of each.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_CODE)


@strawberry.input(description="Which cart to empty.")
class ClearCartInput:
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_CODE)


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The cart as it is now, or why nothing was done.")
class CartPayload:
    priced: strawberry.Private[PricedCart | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(graphql_type=Cart | None, description="Null when nothing was done.")
    def cart(self, info: Info) -> models.Cart | None:
        return show(self.priced, info)


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CartQuery:
    @strawberry.field(
        graphql_type=Cart | None,
        description="A guest's cart by its code, or one's own; without a code, the viewer's active cart or the "
        "cookie's. Null when there is none, or it is somebody else's.",
    )
    def cart(
        self, info: Info, code: Annotated[strawberry.ID | None, strawberry.argument(description="`Cart.code`.")] = None
    ) -> models.Cart | None:
        found = carts.candidates(key=info.context.cart_key(code))
        if code is None:
            found = found.filter(state=models.CartState.ACTIVE)
        priced = find_priced_cart(candidates=found, now=info.context.now)
        if priced is None and code is not None:
            with telling_limits():
                info.context.count_unknown_cart()
        return show(priced, info)


@strawberry.type
class CartMutation:
    @strawberry.mutation(
        description="Puts units into the cart; what is in it already gets more. Where there is none, one is created, "
        "in the currency of `@inContext`. All lines or none. Errors: INVALID, NOT_FOUND, NOT_FOR_SALE, "
        "INSUFFICIENT_STOCK, CART_LOCKED, CURRENCY_UNAVAILABLE."
    )
    def add_to_cart(self, info: Info, input: AddToCartInput) -> CartPayload:
        with Refusals(info) as errors:
            lines = [
                carts.NewLine(
                    ids.number(line.variant_id, "ProductVariant", field=["lines", str(index), "variant_id"]),
                    line.quantity,
                )
                for index, line in enumerate(input.lines)
            ]
            key = info.context.cart_key(input.cart_code)
            currency = info.context.exchange.currency
            priced = carts.add_lines(key=key, lines=lines, currency=currency, now=info.context.now)
            info.context.remember_cart(priced.cart)
            return CartPayload(priced=priced)
        return CartPayload(user_errors=errors)

    @strawberry.mutation(
        description="Sets a line's quantity; the same call again changes nothing. "
        "Errors: INVALID, NOT_FOUND, NOT_FOR_SALE, INSUFFICIENT_STOCK, CART_LOCKED."
    )
    def update_cart_line(self, info: Info, input: UpdateCartLineInput) -> CartPayload:
        with Refusals(info) as errors:
            line_id = ids.uuid(input.line_id, "CartLine", field=["line_id"])
            key = info.context.cart_key(input.cart_code)
            priced = carts.set_quantity(key=key, line_id=line_id, quantity=input.quantity, now=info.context.now)
            return CartPayload(priced=priced)
        return CartPayload(user_errors=errors)

    @strawberry.mutation(description="Takes lines out, all or none. Errors: NOT_FOUND, CART_LOCKED.")
    def remove_from_cart(self, info: Info, input: RemoveFromCartInput) -> CartPayload:
        with Refusals(info) as errors:
            line_ids = [
                ids.uuid(line_id, "CartLine", field=["line_ids", str(index)])
                for index, line_id in enumerate(input.line_ids)
            ]
            key = info.context.cart_key(input.cart_code)
            priced = carts.remove_lines(key=key, line_ids=line_ids, now=info.context.now)
            return CartPayload(priced=priced)
        return CartPayload(user_errors=errors)

    @strawberry.mutation(
        description="Takes every line out; what `checkout` noted stays. Errors: NOT_FOUND, CART_LOCKED."
    )
    def clear_cart(self, info: Info, input: ClearCartInput | None = None) -> CartPayload:
        with Refusals(info) as errors:
            key = info.context.cart_key(input.cart_code if input else None)
            return CartPayload(priced=carts.clear(key=key, now=info.context.now))
        return CartPayload(user_errors=errors)
