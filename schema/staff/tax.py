"""Taxes, for staff. What they come to is in a cart's and an order's amounts."""

from decimal import Decimal
from typing import Any

import strawberry
import strawberry_django
from django.db.models import QuerySet

from schema.base import crud, ids
from schema.base.context import Info
from schema.base.loading import load
from schema.base.scalars import plain
from storefront import models

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.TaxClass, description="Goods that are taxed in another way than the standard one.")
class TaxClass(ids.Versioned):
    name: str = strawberry_django.field(description="For staff; unique.")


@strawberry_django.type(models.TaxRate, description="What a country, or a region of it, takes of goods sent there.")
class TaxRate(ids.Versioned):
    name: str = strawberry_django.field(description='What the buyer reads: "VAT".')
    country_code: str = strawberry_django.field(description="ISO 3166-1 alpha-2.")
    region: str = strawberry_django.field(description="Its code; empty: the whole country.")
    tax_class: TaxClass | None = strawberry_django.field(description="Null: standard goods.")

    @strawberry_django.field(description="Of the net price.")
    def percent(self: Any) -> Decimal:
        return plain(self.percent)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A class of goods. What is left out stays; a new one needs `name`.")
class SaveTaxClassInput(crud.SaveInput):
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Unique.")


@strawberry.input(description="A rate. What is left out stays; a new one needs `countryCode` and `percent`.")
class SaveTaxRateInput(crud.SaveInput):
    name: str | None = strawberry.field(default=strawberry.UNSET, description='"VAT" unless said.')
    country_code: str | None = strawberry.field(default=strawberry.UNSET, description="One of `shop.countries`.")
    region: str | None = strawberry.field(
        default=strawberry.UNSET, description="A code or name of `shop.addressRules`; empty: the whole country."
    )
    tax_class_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Null: standard goods.")
    percent: Decimal | None = strawberry.field(default=strawberry.UNSET, description="0 to 100, of the net price.")


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class TaxQuery:
    @strawberry.field(graphql_type=list[TaxClass], description="For staff who may view them.")
    def tax_classes(self, info: Info) -> "QuerySet[models.TaxClass]":
        info.context.allow("view_taxclass")
        return load(models.TaxClass.objects.all(), info)

    @strawberry.field(graphql_type=list[TaxRate], description="For staff who may view them, by country and region.")
    def tax_rates(self, info: Info) -> "QuerySet[models.TaxRate]":
        info.context.allow("view_taxrate")
        return load(models.TaxRate.objects.all(), info)


@strawberry.type
class TaxMutation:
    @strawberry.mutation(description="For staff: makes a class of goods, or renames one. Errors: INVALID, NOT_FOUND.")
    def save_tax_class(self, info: Info, input: SaveTaxClassInput) -> crud.SavePayload[TaxClass]:
        return crud.save(info, models.TaxClass, input)

    @strawberry.mutation(description="For staff: deletes a class that nothing is in. Errors: NOT_FOUND, IN_USE.")
    def delete_tax_class(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.TaxClass, input)

    @strawberry.mutation(description="For staff: makes a rate, or changes one. Errors: INVALID, NOT_FOUND.")
    def save_tax_rate(self, info: Info, input: SaveTaxRateInput) -> crud.SavePayload[TaxRate]:
        return crud.save(info, models.TaxRate, input)

    @strawberry.mutation(description="For staff: deletes a rate; orders keep what they were taxed. Errors: NOT_FOUND.")
    def delete_tax_rate(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.TaxRate, input)
