"""What a cart needs to become an order, and `checkout`, which notes it."""

from typing import Any

import strawberry
import strawberry_django
from django.conf import settings

from domain import checkout as checkouts
from domain import contact
from schema import ids
from schema.cart import CartPayload
from schema.context import Info
from schema.enums import expose
from schema.errors import Refusals, camel
from schema.scalars import Money
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


@strawberry_django.type(models.ShippingMethod, name="ShippingOption", description="A way to send the parcel.")
class ShippingOption(ids.Node):
    name: str = strawberry_django.field(description="What the buyer reads.")
    estimate: str = strawberry_django.field(description='How long it takes, for people: "2-3 days"; may be empty.')

    @strawberry_django.field(description="For the whole cart.")
    def price(self: Any) -> Money:
        return Money.of(self.price, settings.SHOP_CURRENCY)


@strawberry_django.type(models.Checkout, description="What the buyer has given so far.")
class Checkout:
    email: str = strawberry_django.field(description="Empty until it is given.")
    shipping_address: Address | None = strawberry_django.field(description="Null until it is given.")
    billing_address: Address | None = strawberry_django.field(description="Null: the same as for shipping.")
    shipping_option: ShippingOption | None = strawberry_django.field(
        field_name="shipping_method", description="The chosen one; null until it is chosen."
    )

    @strawberry_django.field(
        graphql_type=list[ShippingOption],
        description="What can be chosen for the shipping address; empty without one.",
    )
    def shipping_options(self: Any) -> list[models.ShippingMethod]:
        return checkouts.shipping_options(self.shipping_address)

    @strawberry_django.field(
        select_related=["shipping_method"],
        description="Whether e-mail, address and shipping are complete; `Cart.problems` says what else may stop it.",
    )
    def ready(self: Any) -> bool:
        return not checkouts.missing(self)


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


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CheckoutMutation:
    @strawberry.mutation(
        description="Notes e-mail, addresses and shipping; call it as often as needed, with what is known. "
        "Errors: INVALID, ADDRESS_INCOMPLETE, SHIPPING_UNAVAILABLE, NOT_FOUND, CART_LOCKED."
    )
    def checkout(self, info: Info, input: CheckoutInput) -> CartPayload:
        with Refusals(info) as errors:
            shipping, billing, option = (
                input.shipping_address,
                input.billing_address,
                input.shipping_option_id,
            )
            cart = checkouts.update(
                key=info.context.cart_key(input.cart_code),
                email=input.email,
                shipping_address=shipping.decoded() if shipping else None,
                billing_address=billing.decoded() if billing else None,
                shipping_method_id=(
                    ids.number(option, "ShippingOption", field=["shipping_option_id"]) if option is not None else None
                ),
                now=info.context.now,
            )
            return CartPayload(cart_id=cart.pk)
        return CartPayload(user_errors=errors)
