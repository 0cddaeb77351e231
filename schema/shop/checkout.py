"""What a cart needs to become an order, and `checkout`, which notes it."""

from typing import Any

import strawberry
import strawberry_django

from domain.base import contact
from domain.sales import checkout as checkouts
from domain.sales import shipping
from schema.base import ids
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, camel
from schema.base.scalars import Money
from schema.shop.cart import CartPayload
from schema.shop.pricing import quote_of
from storefront import models

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="A postal address. Parts that a country has no use for are empty.")
class Address:
    name: str = strawberry.field(description="Who receives it.")
    line1: str = strawberry.field(description="Street and number.")
    line2: str = strawberry.field(description="Flat, floor, company.")
    city: str = strawberry.field(description="Town or city.")
    region: str = strawberry.field(description="State, province, county.")
    postal_code: str = strawberry.field(description="ZIP, postcode.")
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2.")
    phone: str = strawberry.field(description="For the carrier.")


@strawberry.type(description="A state, province, county …")
class Region:
    code: str = strawberry.field(description="What `Address.region` holds.")
    name: str = strawberry.field(description="What people read; a code may have several, in several languages.")


expose(
    contact.AddressPart,
    "A part of an address, by the name it has in `AddressInput`.",
    **{part.name: f"`AddressInput.{camel(part.value)}`." for part in contact.AddressPart},
)


@strawberry.type(description="What to ask for in a country, after Google's address data.")
class AddressRules:
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2.")
    used: list[contact.AddressPart] = strawberry.field(description="The parts that its addresses have.")
    required: list[contact.AddressPart] = strawberry.field(description="Those without which one is refused.")
    regions: list[Region] = strawberry.field(description="The regions to choose from; empty where it is free text.")
    region_kind: str = strawberry.field(description='What a region is called: "state", "province", "county" …')
    postal_code_kind: str = strawberry.field(description='What a postal code is called: "zip", "postal", "eircode" …')
    postal_code_patterns: list[str] = strawberry.field(description="Regular expressions that it has to match, all.")
    postal_code_example: str = strawberry.field(description='"20457"; empty where there are none.')


@strawberry.type(description="A way to send the parcel that fits the cart and its address.")
class ShippingOption(ids.Node):
    @classmethod
    def is_type_of(cls, value: object, _: object) -> bool:
        return isinstance(value, shipping.Offer)

    @strawberry.field(description="For `shippingOptionId`; the same for every cart.")
    def id(self: Any) -> strawberry.ID:
        return ids.encode("ShippingOption", self.method.pk)

    @strawberry.field(description="What the buyer reads.")
    def name(self: Any) -> str:
        return str(self.method.name)

    @strawberry.field(description='How long it takes, for people: "2-3 days"; may be empty.')
    def estimate(self: Any) -> str:
        return str(self.method.estimate)

    @strawberry.field(description="For the whole cart, in its currency.")
    def price(self: Any) -> Money:
        return Money.of(self.price, self.currency)


@strawberry_django.type(models.Checkout, description="What the buyer has given so far.")
class Checkout:
    email: str = strawberry_django.field(description="Empty until it is given.")
    shipping_address: Address | None = strawberry_django.field(description="Null until it is given.")
    billing_address: Address | None = strawberry_django.field(description="Null: the same as for shipping.")

    @strawberry_django.field(
        graphql_type=ShippingOption | None,
        description="The chosen one; null until it is chosen, and when it no longer fits.",
    )
    def shipping_option(self: Any, info: Info) -> shipping.Offer | None:
        return quote_of(self.cart_id, info).offer

    @strawberry_django.field(
        graphql_type=list[ShippingOption],
        description="What can be chosen for the cart and its shipping address; empty without one.",
    )
    def shipping_options(self: Any, info: Info) -> list[shipping.Offer]:
        return quote_of(self.cart_id, info).offers

    @strawberry_django.field(
        description="Whether e-mail, address and shipping are complete; `Cart.problems` says what else may stop it.",
    )
    def ready(self: Any, info: Info) -> bool:
        return not checkouts.missing(priced=info.context.priced_carts[self.cart_id])


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A postal address.")
class AddressInput:
    name: str = strawberry.field(description="Who receives it.")
    line1: str = strawberry.field(description="Street and number.")
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2, one of `shop.countries`.")
    city: str | None = strawberry.field(default=None, description="Town or city, where addresses have one.")
    line2: str | None = strawberry.field(default=None, description="Flat, floor, company.")
    region: str | None = strawberry.field(
        default=None, description="State, province, county: a code or a name of `shop.addressRules`."
    )
    postal_code: str | None = strawberry.field(default=None, description="ZIP, postcode.")
    phone: str | None = strawberry.field(
        default=None, description="For the carrier; kept as E.164 writes it. Without + it is one of the country."
    )

    def decoded(self) -> models.Address:
        return models.Address(**{name: value or "" for name, value in vars(self).items()})


@strawberry.input(description="What is left out stays as it was.")
class CheckoutInput:
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description="Without it, the viewer's active cart, or the one of the cookie."
    )
    email: str | None = strawberry.field(default=None, description="Where the order is confirmed to.")
    shipping_address: AddressInput | None = strawberry.field(
        default=None, description="As a whole: it replaces the one given before."
    )
    billing_address: AddressInput | None = strawberry.field(
        default=None, description="Only if it is another than the shipping address."
    )
    shipping_option_id: strawberry.ID | None = strawberry.field(
        default=None, description="One of `Checkout.shippingOptions`."
    )
    discount_codes: list[str] | None = strawberry.field(
        default=None, description="All that the cart shall hold, in any case of letters; [] for none."
    )
    currency: str | None = strawberry.field(default=None, description="One of `shop.currencies`: the cart's, from now.")


@strawberry.input(description="A discount code, and the cart that shall hold it.")
class ApplyDiscountCodeInput:
    code: str = strawberry.field(description="As the buyer types it: case and spaces around it do not matter.")
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description="Without it, the viewer's active cart, or the one of the cookie."
    )


@strawberry.input(description="A discount code, and the cart that holds it.")
class RemoveDiscountCodeInput:
    code: str = strawberry.field(description="One of `Cart.discountCodes`.")
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description="Without it, the viewer's active cart, or the one of the cookie."
    )


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CheckoutMutation:
    @strawberry.mutation(
        description="Notes e-mail, addresses, shipping, discount codes and currency; call it as often as needed, with "
        "what is known. Errors: INVALID, ADDRESS_INCOMPLETE, SHIPPING_UNAVAILABLE, DISCOUNT_REFUSED (for each code), "
        "CURRENCY_UNAVAILABLE, RATE_LIMITED, NOT_FOUND, CART_LOCKED."
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
                shipping_address=shipping.decoded() if shipping else None,
                billing_address=billing.decoded() if billing else None,
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
        description="Has the cart hold one more discount code; one that it holds already changes nothing. "
        "Errors: DISCOUNT_REFUSED, RATE_LIMITED, NOT_FOUND, CART_LOCKED."
    )
    def apply_discount_code(self, info: Info, input: ApplyDiscountCodeInput) -> CartPayload:
        with Refusals(info) as errors:
            info.context.check_discounts()
            key = info.context.cart_key(input.cart_code)
            return CartPayload(priced=checkouts.apply_code(key=key, code=input.code, now=info.context.now))
        return CartPayload(user_errors=errors)

    @strawberry.mutation(description="Takes a discount code out of the cart. Errors: NOT_FOUND, CART_LOCKED.")
    def remove_discount_code(self, info: Info, input: RemoveDiscountCodeInput) -> CartPayload:
        with Refusals(info) as errors:
            key = info.context.cart_key(input.cart_code)
            return CartPayload(priced=checkouts.remove_code(key=key, code=input.code, now=info.context.now))
        return CartPayload(user_errors=errors)
