"""The cart: its types, and the mutations that change it, including the checkout."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry
import strawberry_django

from domain.sales import cart as carts
from domain.sales import checkout as checkouts
from domain.sales import currency as currencies
from domain.sales import pricing, promotions
from domain.sales.priced_cart import PricedCart, find_priced_cart
from schema.base import ids
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError, rate_limit_as_graphql_error, user_error, user_errors
from schema.base.loading import load
from schema.base.scalars import Money
from schema.shop.catalog import ProductVariant
from schema.shop.checkout import (
    ApplyDiscountCodeInput,
    Checkout,
    CheckoutInput,
    RemoveDiscountCodeInput,
)
from schema.shop.orders import Order
from schema.shop.pricing import PriceStep, quote_of, show
from storefront import models

expose(
    models.CartState,
    "The state of a cart. Only an ACTIVE cart can be changed.",
    MERGED="Merged into another cart.",
    CONVERTED="Became an order, and is locked.",
    ABANDONED="Not used for a long time, and closed.",
)

expose(
    promotions.RefusalReason,
    "Why a discount code cannot be used.",
    name="DiscountRefusal",
    UNKNOWN="The code does not exist.",
    NOT_YET="The code is not valid yet.",
    OVER="The code has expired.",
    USED_UP="The code has reached its maximum number of uses.",
    USED_BY_CUSTOMER="This account or e-mail address has reached the maximum number of uses per customer.",
    BELOW_MINIMUM="The subtotal is below the code's `minimum`.",
    COVERS_NOTHING="The code applies to nothing in the cart.",
    TOO_MANY="The cart already holds the maximum number of codes.",
)


def _amounts(line: models.CartLine, info: Info) -> pricing.Amounts:
    return quote_of(line.cart_id, info).totals.lines[line.variant.sku]


def _money(amount: Decimal, cart_id: UUID, info: Info) -> Money:
    return Money.of(amount, quote_of(cart_id, info).exchange.currency)


# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.CartLine, description="A variant in a cart, with its quantity.")
class CartLine(ids.Node):
    variant: ProductVariant = strawberry_django.field(description="The variant to buy.")
    quantity: int = strawberry_django.field(description="Number of units, 1 to 9999.")

    @strawberry_django.field(
        select_related=["variant"], description="Current price of one unit, in the cart's currency."
    )
    def unit_price(self: Any, info: Info) -> Money:
        return _money(quote_of(self.cart_id, info).unit_prices[self.variant_id], self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="`unitPrice` × `quantity`.")
    def total(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).listed, self.cart_id, info)

    @strawberry_django.field(
        select_related=["variant"], description="The part of the discounts that falls on this line."
    )
    def discount(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).discount, self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="Price of the line after discounts, without tax.")
    def net(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).net, self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="Tax on this line.")
    def tax(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).tax, self.cart_id, info)

    @strawberry_django.field(select_related=["variant"], description="Final price of the line: `net` + `tax`.")
    def gross(self: Any, info: Info) -> Money:
        return _money(_amounts(self, info).gross, self.cart_id, info)


@strawberry_django.type(models.Cart, description="A shopping cart, at current prices.")
class Cart(ids.Node):
    code: strawberry.ID = strawberry_django.field(
        description="Secret. Whoever knows the code of a guest's cart can use the cart."
    )
    state: models.CartState = strawberry_django.field(description="Whether the cart can still be changed.")
    # Without a hint: below a field with a hint, strawberry-django would load the rest row by row.
    lines: list[CartLine] = strawberry_django.field(
        description="The lines, in the order in which they were added.",
    )
    updated_at: datetime = strawberry_django.field(description="When the cart last changed.")
    checkout: Checkout | None = strawberry_django.field(
        description="What the buyer entered for the checkout; null before the first call of `checkout`.",
    )
    order: Order | None = strawberry_django.field(
        description="The order that was placed with this cart; null unless the cart is CONVERTED."
    )

    @strawberry_django.field(prefetch_related=["lines"], description="Number of units in all lines.")
    def total_quantity(self: Any) -> int:
        return sum(line.quantity for line in self.lines.all())

    @strawberry_django.field(
        select_related=["currency"], description="ISO 4217 code of the currency of all amounts in the cart."
    )
    def currency(self: Any) -> str:
        return currencies.exchange_of(cart=self).currency

    @strawberry_django.field(
        description="The discount codes in the cart. `problems` lists those that cannot be used now.",
    )
    def discount_codes(self: Any, info: Info) -> list[str]:
        return [discount.code for discount in info.context.priced_carts[self.pk].discounts]

    @strawberry_django.field(description="Sum of the line totals.")
    def subtotal(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.subtotal, self.pk, info)

    @strawberry_django.field(description="Total of the discounts on goods and shipping.")
    def discount(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.discount, self.pk, info)

    @strawberry_django.field(description="Price of the chosen shipping option; zero until one is chosen.")
    def shipping(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.shipping, self.pk, info)

    @strawberry_django.field(description="`total` without `tax`.")
    def net(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.net, self.pk, info)

    @strawberry_django.field(
        description="Tax on goods and shipping at the destination. Without a shipping address, the tax in the shop's "
        "own country.",
    )
    def tax(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.tax, self.pk, info)

    @strawberry_django.field(
        description="What the buyer pays: `net` + `tax`. Send it to `placeOrder` as `expectedTotal`. It is `subtotal` "
        "- `discount` + `shipping`, plus `tax` unless `shop.pricesIncludeTax`.",
    )
    def total(self: Any, info: Info) -> Money:
        return _money(quote_of(self.pk, info).totals.total, self.pk, info)

    @strawberry_django.field(description="The calculation of the total, step by step.")
    def price_trace(self: Any, info: Info) -> list[PriceStep]:
        totals = quote_of(self.pk, info).totals
        return [PriceStep.of(step, totals.currency) for step in totals.trace]

    @strawberry_django.field(
        description="Everything that would make `placeOrder` fail now, with data to correct it. `field` is a path in "
        "this cart. PRICE_CHANGED only stops a `placeOrder` that sends the old total.",
    )
    def problems(self: Any, info: Info) -> list[UserError]:
        if self.state != models.CartState.ACTIVE:
            return []
        return user_errors(checkouts.problems(priced=info.context.priced_carts[self.pk]))


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────


@user_error(carts.CartLocked)
@strawberry.type(description="The cart can no longer be changed.")
class CartLocked(UserError):
    order_id: strawberry.Private[UUID | None]

    @strawberry.field(
        graphql_type=Order | None,
        description="The order that was placed with the cart; null if the cart was merged or closed.",
    )
    def order(self, info: Info) -> models.Order | None:
        return load(models.Order.objects.filter(pk=self.order_id), info).first() if self.order_id else None

    @classmethod
    def data(cls, error: carts.CartLocked) -> dict[str, Any]:
        return {"order_id": error.order.pk if error.order else None}


@user_error(carts.NotForSale)
@strawberry.type(description="The variant does not exist or is no longer sold.")
class NotForSale(UserError):
    line_id: strawberry.ID | None = strawberry.field(
        description="The cart line with the variant, for `removeFromCart`; null if the variant is not in the cart."
    )

    @classmethod
    def data(cls, error: carts.NotForSale) -> dict[str, Any]:
        return {"line_id": ids.encode_row("CartLine", error.line)}


@user_error(checkouts.PriceChanged)
@strawberry.type(
    description="The price of a variant changed after it was added to the cart. Show both prices. `placeOrder` with "
    "the new `Cart.total` accepts the new price, and so does `updateCartLine`, even with the same quantity."
)
class PriceChanged(UserError):
    # Never null. But with another type than the `lineId` of other errors, clients could not select them together.
    line_id: strawberry.ID | None = strawberry.field(description="`CartLine.id`, for `updateCartLine`.")
    before: Money = strawberry.field(description="Price of one unit when it was added.")
    now: Money = strawberry.field(description="Current price of one unit.")

    @classmethod
    def data(cls, error: checkouts.PriceChanged) -> dict[str, Any]:
        before, now = (Money.of(amount, error.currency) for amount in (error.before, error.now))
        return {"line_id": ids.encode_row("CartLine", error.line), "before": before, "now": now}


@user_error(promotions.DiscountRefused)
@strawberry.type(description="A discount code cannot be used. `removeDiscountCode` removes it from the cart.")
class DiscountRefused(UserError):
    discount_code: str = strawberry.field(description="The code in upper case.")
    reason: promotions.RefusalReason = strawberry.field(description="Why it cannot be used.")
    minimum: Money | None = strawberry.field(
        description="The subtotal that the code requires, for BELOW_MINIMUM; otherwise null."
    )

    @classmethod
    def data(cls, error: promotions.DiscountRefused) -> dict[str, Any]:
        minimum = None if error.minimum is None else Money.of(error.minimum, error.currency)
        return {"discount_code": error.discount_code, "reason": error.reason, "minimum": minimum}


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────

_CODE = "`Cart.code`. Default: the viewer's active cart, or the cart of the cookie."


@strawberry.input(description="A variant to add, with its quantity.")
class CartLineInput:
    variant_id: strawberry.ID = strawberry.field(description="`ProductVariant.id`.")
    quantity: int = strawberry.field(default=1, description="Number of units, 1 to 9999.")


@strawberry.input(description="The variants to add, and the cart.")
class AddToCartInput:
    lines: list[CartLineInput] = strawberry.field(description="1 to 200 lines.")
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description=_CODE + " If there is none, a new cart."
    )


@strawberry.input(description="A cart line and its new quantity.")
class UpdateCartLineInput:
    line_id: strawberry.ID = strawberry.field(description="`CartLine.id`.")
    quantity: int = strawberry.field(description="The new number of units, 0 to 9999. 0 removes the line.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_CODE)


@strawberry.input(description="The cart lines to remove.")
class RemoveFromCartInput:
    line_ids: list[strawberry.ID] = strawberry.field(description="`CartLine.id` of each line.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_CODE)


@strawberry.input(description="The cart to empty.")
class ClearCartInput:
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_CODE)


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The result of changing a cart: the cart, or errors.")
class CartPayload:
    priced: strawberry.Private[PricedCart | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(graphql_type=Cart | None, description="The cart as it is now; null if the mutation failed.")
    def cart(self, info: Info) -> models.Cart | None:
        return show(self.priced, info)


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CartQuery:
    @strawberry.field(
        graphql_type=Cart | None,
        description="A guest's cart by its code, or the viewer's own cart. Without a code: the viewer's active cart, "
        "or the cart of the cookie. Null if there is none, or if it belongs to somebody else.",
    )
    def cart(
        self, info: Info, code: Annotated[strawberry.ID | None, strawberry.argument(description="`Cart.code`.")] = None
    ) -> models.Cart | None:
        found = carts.candidates(key=info.context.cart_key(code))
        if code is None:
            found = found.filter(state=models.CartState.ACTIVE)
        priced = find_priced_cart(candidates=found, now=info.context.now)
        if priced is None and code is not None:
            with rate_limit_as_graphql_error():
                info.context.count_unknown_cart()
        return show(priced, info)


@strawberry.type
class CartMutation:
    @strawberry.mutation(
        description="Adds units to the cart. A variant that is in the cart already gets a higher quantity. If there "
        "is no cart, one is created in the currency of `@inContext`. Either all lines are added or none. Errors: "
        "INVALID, NOT_FOUND, NOT_FOR_SALE, INSUFFICIENT_STOCK, CART_LOCKED, CURRENCY_UNAVAILABLE."
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
        description="Sets the quantity of a line. Repeating the call changes nothing. Errors: INVALID, NOT_FOUND, "
        "NOT_FOR_SALE, INSUFFICIENT_STOCK, CART_LOCKED."
    )
    def update_cart_line(self, info: Info, input: UpdateCartLineInput) -> CartPayload:
        with Refusals(info) as errors:
            line_id = ids.uuid(input.line_id, "CartLine", field=["line_id"])
            key = info.context.cart_key(input.cart_code)
            priced = carts.set_quantity(key=key, line_id=line_id, quantity=input.quantity, now=info.context.now)
            return CartPayload(priced=priced)
        return CartPayload(user_errors=errors)

    @strawberry.mutation(description="Removes lines, either all or none. Errors: NOT_FOUND, CART_LOCKED.")
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
        description="Removes all lines, and keeps what was entered by `checkout`. Errors: NOT_FOUND, CART_LOCKED."
    )
    def clear_cart(self, info: Info, input: ClearCartInput | None = None) -> CartPayload:
        with Refusals(info) as errors:
            key = info.context.cart_key(input.cart_code if input else None)
            return CartPayload(priced=carts.clear(key=key, now=info.context.now))
        return CartPayload(user_errors=errors)

    @strawberry.mutation(
        description="Saves e-mail, addresses, shipping option, discount codes and currency. Call it as often as "
        "needed, with whatever is known. Errors: INVALID, ADDRESS_INCOMPLETE, SHIPPING_UNAVAILABLE, DISCOUNT_REFUSED "
        "(one per code), CURRENCY_UNAVAILABLE, RATE_LIMITED, NOT_FOUND, CART_LOCKED."
    )
    def checkout(self, info: Info, input: CheckoutInput) -> CartPayload:
        with Refusals(info) as errors:
            if input.discount_codes:
                info.context.check_discounts()
            shipping, billing, option = (
                input.shipping_address,
                input.billing_address,
                input.shipping_option_id,
            )
            priced = checkouts.update(
                key=info.context.cart_key(input.cart_code),
                email=input.email,
                shipping_address=shipping.to_address() if shipping else None,
                billing_address=billing.to_address() if billing else None,
                shipping_method_id=(
                    ids.number(option, "ShippingOption", field=["shipping_option_id"]) if option is not None else None
                ),
                discount_codes=input.discount_codes,
                currency_code=input.currency,
                now=info.context.now,
            )
            return CartPayload(priced=priced)
        return CartPayload(user_errors=errors)

    @strawberry.mutation(
        description="Adds a discount code to the cart. Adding it again changes nothing. Errors: DISCOUNT_REFUSED, "
        "RATE_LIMITED, NOT_FOUND, CART_LOCKED."
    )
    def apply_discount_code(self, info: Info, input: ApplyDiscountCodeInput) -> CartPayload:
        with Refusals(info) as errors:
            info.context.check_discounts()
            key = info.context.cart_key(input.cart_code)
            return CartPayload(priced=checkouts.apply_code(key=key, code=input.code, now=info.context.now))
        return CartPayload(user_errors=errors)

    @strawberry.mutation(description="Removes a discount code from the cart. Errors: NOT_FOUND, CART_LOCKED.")
    def remove_discount_code(self, info: Info, input: RemoveDiscountCodeInput) -> CartPayload:
        with Refusals(info) as errors:
            key = info.context.cart_key(input.cart_code)
            return CartPayload(priced=checkouts.remove_code(key=key, code=input.code, now=info.context.now))
        return CartPayload(user_errors=errors)
