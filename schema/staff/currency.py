"""Additional currencies and the prices that are set in them, for staff. Buyers see them with `@inContext`."""

from decimal import Decimal
from typing import Any

import strawberry
import strawberry_django
from django.db.models import QuerySet

from schema.base import crud, ids
from schema.base.context import Info
from schema.base.loading import load
from schema.base.scalars import Money, plain
from schema.shop.catalog import ProductVariant
from storefront import models

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Currency, description="An additional currency that buyers can choose.")
class Currency(ids.Versioned):
    code: str = strawberry_django.field(description="ISO 4217 code.")
    is_active: bool = strawberry_django.field(description="Whether buyers can choose it.")

    @strawberry_django.field(description="The value of one unit of the shop's currency in this currency.")
    def rate(self: Any) -> Decimal:
        return plain(self.rate)


@strawberry_django.type(
    models.VariantPrice, description="A price of a variant that is set in an additional currency, instead of converted."
)
class VariantPrice(ids.Versioned):
    variant: ProductVariant = strawberry_django.field(description="The variant.")

    @strawberry_django.field(description="Price of one unit.")
    def price(self: Any) -> Money:
        return Money.of(self.price, self.currency_id)

    @strawberry_django.field(description="Earlier or recommended price of one unit; null if there is none.")
    def compare_at_price(self: Any) -> Money | None:
        return None if self.compare_at_price is None else Money.of(self.compare_at_price, self.currency_id)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A currency. Omitted fields stay unchanged. A new currency needs `code` and `rate`.")
class SaveCurrencyInput(crud.SaveInput):
    code: str | None = strawberry.field(default=strawberry.UNSET, description="ISO 4217 code; only for a new currency.")
    rate: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="The value of one unit of the shop's currency in this currency."
    )
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether buyers can choose it.")


@strawberry.input(
    description="A price. Omitted fields stay unchanged. A new price needs `variantId`, `currencyId` and `price`."
)
class SaveVariantPriceInput(crud.SaveInput):
    variant_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`ProductVariant.id`. A variant has at most one price per currency."
    )
    currency_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="`Currency.id`.")
    price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Price of one unit, in that currency."
    )
    compare_at_price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Earlier or recommended price, in that currency; null for none."
    )


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CurrencyQuery:
    @strawberry.field(
        graphql_type=list[Currency], description="For staff who may view currencies: the additional currencies."
    )
    def currencies(self, info: Info) -> "QuerySet[models.Currency]":
        info.context.allow("view_currency")
        return load(models.Currency.objects.all(), info)


@strawberry.type
class CurrencyMutation:
    @strawberry.mutation(description="For staff: adds a currency, or changes it. Errors: INVALID, NOT_FOUND.")
    def save_currency(self, info: Info, input: SaveCurrencyInput) -> crud.SavePayload[Currency]:
        return crud.save(info, models.Currency, input)

    @strawberry.mutation(
        description="For staff: deletes a currency and its prices, if no cart uses it. Otherwise set `isActive` to "
        "false. Errors: NOT_FOUND, IN_USE."
    )
    def delete_currency(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.Currency, input)

    @strawberry.mutation(
        description="For staff: sets the price of a variant in an additional currency. Errors: INVALID, NOT_FOUND."
    )
    def save_variant_price(self, info: Info, input: SaveVariantPriceInput) -> crud.SavePayload[VariantPrice]:
        return crud.save(info, models.VariantPrice, input)

    @strawberry.mutation(
        description="For staff: deletes a price that was set, so that the price is converted again. Errors: NOT_FOUND."
    )
    def delete_variant_price(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.VariantPrice, input)
