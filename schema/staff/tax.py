"""Tax classes and rates, for staff. The amounts are part of carts and orders."""

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


@strawberry_django.type(models.TaxClass, description="Goods with another tax rate than standard goods.")
class TaxClass(ids.Versioned):
    name: str = strawberry_django.field(description="A name for staff; unique.")


@strawberry_django.type(
    models.TaxRate, description="The tax rate of a country or region, for goods that are sent there."
)
class TaxRate(ids.Versioned):
    name: str = strawberry_django.field(description='The name that buyers see: "VAT".')
    country_code: str = strawberry_django.field(description="ISO 3166-1 alpha-2 country code.")
    region: str = strawberry_django.field(description="The code of the region; empty for the whole country.")
    tax_class: TaxClass | None = strawberry_django.field(description="The tax class; null for standard goods.")

    @strawberry_django.field(description="Percent of the net price.")
    def percent(self: Any) -> Decimal:
        return plain(self.percent)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A tax class. Omitted fields stay unchanged. A new class needs `name`.")
class SaveTaxClassInput(crud.SaveInput):
    name: str | None = strawberry.field(default=strawberry.UNSET, description="A name for staff; unique.")


@strawberry.input(
    description="A tax rate. Omitted fields stay unchanged. A new rate needs `countryCode` and `percent`."
)
class SaveTaxRateInput(crud.SaveInput):
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description='The name that buyers see. Default: "VAT".'
    )
    country_code: str | None = strawberry.field(default=strawberry.UNSET, description="One of `shop.countries`.")
    region: str | None = strawberry.field(
        default=strawberry.UNSET, description="A code or name from `shop.addressRules`; empty for the whole country."
    )
    tax_class_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`TaxClass.id`; null for standard goods."
    )
    percent: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Percent of the net price, 0 to 100."
    )


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class TaxQuery:
    @strawberry.field(graphql_type=list[TaxClass], description="For staff who may view tax classes: all tax classes.")
    def tax_classes(self, info: Info) -> "QuerySet[models.TaxClass]":
        info.context.allow("view_taxclass")
        return load(models.TaxClass.objects.all(), info)

    @strawberry.field(
        graphql_type=list[TaxRate], description="For staff who may view tax rates: all rates, by country and region."
    )
    def tax_rates(self, info: Info) -> "QuerySet[models.TaxRate]":
        info.context.allow("view_taxrate")
        return load(models.TaxRate.objects.all(), info)


@strawberry.type
class TaxMutation:
    @strawberry.mutation(description="For staff: creates or renames a tax class. Errors: INVALID, NOT_FOUND.")
    def save_tax_class(self, info: Info, input: SaveTaxClassInput) -> crud.SavePayload[TaxClass]:
        return crud.save(info, models.TaxClass, input)

    @strawberry.mutation(description="For staff: deletes a tax class that nothing uses. Errors: NOT_FOUND, IN_USE.")
    def delete_tax_class(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.TaxClass, input)

    @strawberry.mutation(description="For staff: creates or changes a tax rate. Errors: INVALID, NOT_FOUND.")
    def save_tax_rate(self, info: Info, input: SaveTaxRateInput) -> crud.SavePayload[TaxRate]:
        return crud.save(info, models.TaxRate, input)

    @strawberry.mutation(description="For staff: deletes a tax rate. Orders keep their tax. Errors: NOT_FOUND.")
    def delete_tax_rate(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.TaxRate, input)
