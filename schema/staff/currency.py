"""Further currencies and the prices that are set in them: for staff. `@inContext` shows them to buyers."""

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


@strawberry_django.type(models.Currency, description="A further currency to buy in.")
class Currency(ids.Versioned):
    code: str = strawberry_django.field(description="ISO 4217.")
    is_active: bool = strawberry_django.field(description="Whether it is offered.")

    @strawberry_django.field(description="What one unit of the shop's currency is in this one.")
    def rate(self: Any) -> Decimal:
        return plain(self.rate)


@strawberry_django.type(models.VariantPrice, description="A price that is set in a further currency, not converted.")
class VariantPrice(ids.Versioned):
    variant: ProductVariant = strawberry_django.field(description="Whose price it is.")

    @strawberry_django.field(description="Of one unit.")
    def price(self: Any) -> Money:
        return Money.of(self.price, self.currency_id)

    @strawberry_django.field(description="What it cost before; null when there is nothing to compare.")
    def compare_at_price(self: Any) -> Money | None:
        return None if self.compare_at_price is None else Money.of(self.compare_at_price, self.currency_id)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A currency. What is left out stays; a new one needs `code` and `rate`.")
class SaveCurrencyInput(crud.SaveInput):
    code: str | None = strawberry.field(default=strawberry.UNSET, description="ISO 4217; only for a new one.")
    rate: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="What one unit of the shop's currency is in this one."
    )
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether it is offered.")


@strawberry.input(description="A price. What is left out stays; a new one needs `variantId`, `currencyId` and `price`.")
class SaveVariantPriceInput(crud.SaveInput):
    variant_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`ProductVariant.id`; one price a variant and currency."
    )
    currency_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="`Currency.id`.")
    price: Decimal | None = strawberry.field(default=strawberry.UNSET, description="In that currency.")
    compare_at_price: Decimal | None = strawberry.field(default=strawberry.UNSET, description="In that currency.")


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CurrencyQuery:
    @strawberry.field(graphql_type=list[Currency], description="For staff who may view them: the further ones.")
    def currencies(self, info: Info) -> "QuerySet[models.Currency]":
        info.context.allow("view_currency")
        return load(models.Currency.objects.all(), info)


@strawberry.type
class CurrencyMutation:
    @strawberry.mutation(description="For staff: offers a currency, or changes its rate. Errors: INVALID, NOT_FOUND.")
    def save_currency(self, info: Info, input: SaveCurrencyInput) -> crud.SavePayload[Currency]:
        return crud.save(info, models.Currency, input)

    @strawberry.mutation(
        description="For staff: deletes a currency, with its prices, that no cart is in; else withdraw it by "
        "`isActive`. Errors: NOT_FOUND, IN_USE."
    )
    def delete_currency(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.Currency, input)

    @strawberry.mutation(
        description="For staff: sets a variant's price in a further currency. Errors: INVALID, NOT_FOUND."
    )
    def save_variant_price(self, info: Info, input: SaveVariantPriceInput) -> crud.SavePayload[VariantPrice]:
        return crud.save(info, models.VariantPrice, input)

    @strawberry.mutation(description="For staff: has a price be converted again. Errors: NOT_FOUND.")
    def delete_variant_price(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.VariantPrice, input)
