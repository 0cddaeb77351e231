"""What a cart needs to become an order: types and inputs of the checkout. The mutations are in `schema.shop.cart`."""

from typing import Any

import strawberry
import strawberry_django

from domain.base import contact
from domain.sales import checkout as checkouts
from domain.sales import shipping
from schema.base import ids
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import UserError, camel, user_error
from schema.base.scalars import Money
from schema.shop.pricing import quote_of
from storefront import models

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="A postal address. Parts that the country does not use are empty.")
class Address:
    name: str = strawberry.field(description="The recipient.")
    line1: str = strawberry.field(description="Street and number.")
    line2: str = strawberry.field(description="Apartment, floor or company.")
    city: str = strawberry.field(description="Town or city.")
    region: str = strawberry.field(description="State, province or county.")
    postal_code: str = strawberry.field(description="Postal code (ZIP code, postcode).")
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2 country code.")
    phone: str = strawberry.field(description="Phone number, for the carrier.")


@strawberry.type(description="A state, province or county.")
class Region:
    code: str = strawberry.field(description="The value for `Address.region`.")
    name: str = strawberry.field(
        description="The name that people read. A code may have several names, in several languages."
    )


expose(
    contact.AddressPart,
    "A part of an address, with the name of its field in `AddressInput`.",
    **{part.name: f"`AddressInput.{camel(part.value)}`." for part in contact.AddressPart},
)


@strawberry.type(description="The rules for addresses in a country, based on Google's address data.")
class AddressRules:
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2 country code.")
    used: list[contact.AddressPart] = strawberry.field(description="The parts that addresses in this country have.")
    required: list[contact.AddressPart] = strawberry.field(description="The parts that are required.")
    regions: list[Region] = strawberry.field(
        description="The regions to choose from; empty if the region is free text."
    )
    region_kind: str = strawberry.field(
        description='What a region is called: "state", "province", "county", and so on.'
    )
    postal_code_kind: str = strawberry.field(
        description='What a postal code is called: "zip", "postal", "eircode", and so on.'
    )
    postal_code_patterns: list[str] = strawberry.field(
        description="Regular expressions. A postal code has to match all of them."
    )
    postal_code_example: str = strawberry.field(
        description='An example such as "20457"; empty if the country has no postal codes.'
    )


@strawberry.type(description="A shipping method that is available for the cart and its address, with its price.")
class ShippingOption(ids.Node):
    @classmethod
    def is_type_of(cls, value: object, _: object) -> bool:
        return isinstance(value, shipping.Offer)

    @strawberry.field(description="For `shippingOptionId`. The id is the same for every cart.")
    def id(self: Any) -> strawberry.ID:
        return ids.encode("ShippingOption", self.method.pk)

    @strawberry.field(description="The name that buyers see.")
    def name(self: Any) -> str:
        return str(self.method.name)

    @strawberry.field(description='Delivery time, for people: "2-3 days"; may be empty.')
    def estimate(self: Any) -> str:
        return str(self.method.estimate)

    @strawberry.field(description="Price for the whole cart, in its currency.")
    def price(self: Any) -> Money:
        return Money.of(self.price, self.currency)


@strawberry_django.type(models.Checkout, description="What the buyer has entered for the checkout so far.")
class Checkout:
    email: str = strawberry_django.field(description="The buyer's e-mail address; empty until it is entered.")
    shipping_address: Address | None = strawberry_django.field(description="Null until it is entered.")
    billing_address: Address | None = strawberry_django.field(
        description="Null if it is the same as the shipping address."
    )

    @strawberry_django.field(
        graphql_type=ShippingOption | None,
        description="The chosen option; null until one is chosen, and if the chosen one is no longer available.",
    )
    def shipping_option(self: Any, info: Info) -> shipping.Offer | None:
        return quote_of(self.cart_id, info).offer

    @strawberry_django.field(
        graphql_type=list[ShippingOption],
        description="The options for the cart and its shipping address; empty without an address.",
    )
    def shipping_options(self: Any, info: Info) -> list[shipping.Offer]:
        return quote_of(self.cart_id, info).offers

    @strawberry_django.field(
        description="Whether e-mail, address and shipping option are complete. `Cart.problems` lists everything else "
        "that stops the order.",
    )
    def ready(self: Any, info: Info) -> bool:
        return not checkouts.missing(priced=info.context.priced_carts[self.cart_id])


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────


@user_error(contact.AddressIncomplete)
@strawberry.type(description="An address has missing or invalid parts.")
class AddressIncomplete(UserError):
    country_code: strawberry.Private[str]

    @strawberry.field(
        graphql_type=AddressRules | None,
        description="The rules of the country; null without a country that the shop ships to.",
    )
    def rules(self) -> contact.AddressRules | None:
        return contact.address_rules(country_code=self.country_code) if self.country_code else None

    @classmethod
    def data(cls, error: contact.AddressIncomplete) -> dict[str, Any]:
        return {"country_code": error.country_code}


@user_error(shipping.ShippingUnavailable)
@strawberry.type(
    description="No shipping option is chosen, or the chosen one is not available for the cart and its address."
)
class ShippingUnavailable(UserError):
    offers: strawberry.Private[list[shipping.Offer]]

    @strawberry.field(
        graphql_type=list[ShippingOption],
        description="The available options, for `checkout`; empty without an address.",
    )
    def options(self) -> list[shipping.Offer]:
        return self.offers

    @classmethod
    def data(cls, error: shipping.ShippingUnavailable) -> dict[str, Any]:
        return {"offers": error.offers}


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A postal address.")
class AddressInput:
    name: str = strawberry.field(description="The recipient.")
    line1: str = strawberry.field(description="Street and number.")
    country_code: str = strawberry.field(description="ISO 3166-1 alpha-2 code, one of `shop.countries`.")
    city: str | None = strawberry.field(
        default=None, description="Town or city. Required where `shop.addressRules` says so."
    )
    line2: str | None = strawberry.field(default=None, description="Apartment, floor or company.")
    region: str | None = strawberry.field(
        default=None, description="State, province or county: a code or name from `shop.addressRules`."
    )
    postal_code: str | None = strawberry.field(default=None, description="Postal code (ZIP code, postcode).")
    phone: str | None = strawberry.field(
        default=None,
        description='Phone number, for the carrier. Without "+", it is a number in the address\'s country. It is '
        "stored in the E.164 format.",
    )

    def to_address(self) -> models.Address:
        return models.Address(**{name: value or "" for name, value in vars(self).items()})


@strawberry.input(description="What the buyer enters. Omitted fields stay unchanged.")
class CheckoutInput:
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description="`Cart.code`. Default: the viewer's active cart, or the cart of the cookie."
    )
    email: str | None = strawberry.field(default=None, description="Where to send the order confirmation.")
    shipping_address: AddressInput | None = strawberry.field(
        default=None, description="The complete address. It replaces the earlier one."
    )
    billing_address: AddressInput | None = strawberry.field(
        default=None, description="Only if it differs from the shipping address."
    )
    shipping_option_id: strawberry.ID | None = strawberry.field(
        default=None, description="`ShippingOption.id`, one of `Checkout.shippingOptions`."
    )
    discount_codes: list[str] | None = strawberry.field(
        default=None, description="All codes that the cart should hold, in upper or lower case; [] removes all."
    )
    currency: str | None = strawberry.field(
        default=None, description="The new currency of the cart, one of `shop.currencies`."
    )


@strawberry.input(description="A discount code, and the cart to add it to.")
class ApplyDiscountCodeInput:
    code: str = strawberry.field(
        description="The code as the buyer typed it. Case and surrounding spaces do not matter."
    )
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description="`Cart.code`. Default: the viewer's active cart, or the cart of the cookie."
    )


@strawberry.input(description="A discount code, and the cart to remove it from.")
class RemoveDiscountCodeInput:
    code: str = strawberry.field(description="One of `Cart.discountCodes`.")
    cart_code: strawberry.ID | None = strawberry.field(
        default=None, description="`Cart.code`. Default: the viewer's active cart, or the cart of the cookie."
    )
