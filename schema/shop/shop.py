"""The settings of the shop that a front end needs."""

from typing import Annotated

import strawberry
from django.conf import settings

from domain.base import contact
from domain.payments import gateways
from domain.sales import currency as currencies
from schema.base.public import PUBLIC
from schema.shop.checkout import AddressRules
from storefront import models


@strawberry.type(description="The settings of the shop that a front end needs.")
class Shop:
    name: str = strawberry.field(description="The name of the shop.")
    currency: str = strawberry.field(description="ISO 4217 code of the shop's own currency. Prices are set in it.")
    prices_include_tax: bool = strawberry.field(
        description="Whether prices and shipping include tax. If not, tax is added."
    )
    countries: list[str] = strawberry.field(
        description="ISO 3166-1 alpha-2 codes of the countries that the shop ships to."
    )
    payment_providers: list[models.PaymentProvider] = strawberry.field(
        description="The enabled payment providers, preferred first."
    )

    @strawberry.field(description="ISO 4217 codes of the currencies that buyers can choose, the shop's own first.")
    def currencies(self) -> list[str]:
        return currencies.offered()

    @strawberry.field(
        graphql_type=AddressRules | None,
        description="The rules for addresses in a country; null if the shop does not ship there.",
    )
    def address_rules(
        self,
        country_code: Annotated[str, strawberry.argument(description="ISO 3166-1 alpha-2 country code.")],
        region: Annotated[
            str | None,
            strawberry.argument(
                description="Code or name of a region. Then the rules include the postal codes of the region."
            ),
        ] = None,
    ) -> contact.AddressRules | None:
        if country_code.upper() not in self.countries:
            return None
        rules = contact.address_rules(country_code=country_code.upper())
        chosen = rules.find_region(region) if region else None
        return contact.address_rules(country_code=country_code.upper(), region_code=chosen.code) if chosen else rules


@strawberry.type
class ShopQuery:
    @strawberry.field(metadata=PUBLIC, description="The settings of the shop.")
    def shop(self) -> Shop:
        return Shop(
            name=settings.SHOP_NAME,
            currency=settings.SHOP_CURRENCY,
            prices_include_tax=settings.PRICES_INCLUDE_TAX,
            countries=settings.SHOP_COUNTRIES,
            payment_providers=gateways.enabled(),
        )
