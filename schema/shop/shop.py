"""The shop itself: what a front end has to know before it sells anything."""

from typing import Annotated

import strawberry
from django.conf import settings

from domain.base import contact
from domain.payments import gateways
from domain.sales import currency as currencies
from schema.base.public import PUBLIC
from schema.shop.checkout import AddressRules
from storefront import models


@strawberry.type(description="The shop itself: what a front end needs before anything else.")
class Shop:
    name: str = strawberry.field(description="What it calls itself.")
    currency: str = strawberry.field(description="ISO 4217 code of its own currency, in which it sets prices.")
    prices_include_tax: bool = strawberry.field(
        description="Whether unit prices and shipping hold the tax already, or it is put on top."
    )
    countries: list[str] = strawberry.field(description="ISO 3166-1 alpha-2 codes of where it sells to.")
    payment_providers: list[models.PaymentProvider] = strawberry.field(description="The enabled ones, preferred first.")

    @strawberry.field(description="ISO 4217 codes of what can be bought in, its own first.")
    def currencies(self) -> list[str]:
        return currencies.offered()

    @strawberry.field(
        graphql_type=AddressRules | None,
        description="What to ask for in an address; null for a country that the shop does not sell to.",
    )
    def address_rules(
        self,
        country_code: Annotated[str, strawberry.argument(description="ISO 3166-1 alpha-2.")],
        region: Annotated[
            str | None, strawberry.argument(description="A region's code or name: its postal codes are told then.")
        ] = None,
    ) -> contact.AddressRules | None:
        if country_code.upper() not in self.countries:
            return None
        rules = contact.address_rules(country_code=country_code.upper())
        chosen = rules.region(region) if region else None
        return contact.address_rules(country_code=country_code.upper(), region_code=chosen.code) if chosen else rules


@strawberry.type
class ShopQuery:
    @strawberry.field(metadata=PUBLIC, description="The shop itself.")
    def shop(self) -> Shop:
        return Shop(
            name=settings.SHOP_NAME,
            currency=settings.SHOP_CURRENCY,
            prices_include_tax=settings.PRICES_INCLUDE_TAX,
            countries=settings.SHOP_COUNTRIES,
            payment_providers=gateways.enabled(),
        )
