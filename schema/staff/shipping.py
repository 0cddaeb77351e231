"""Shipping zones, methods and prices, for staff. Buyers choose an option in `schema.shop.checkout`."""

from decimal import Decimal
from typing import Any

import strawberry
import strawberry_django
from django.conf import settings
from django.db.models import QuerySet

from schema.base import crud, ids
from schema.base.context import Info
from schema.base.loading import load
from schema.base.scalars import Money
from schema.staff.tax import TaxClass
from storefront import models


def _money(amount: Decimal) -> Money:
    return Money.of(amount, settings.SHOP_CURRENCY)


# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.WeightBand, description="The price of a shipping method up to a weight.")
class WeightBand:
    up_to_grams: int = strawberry_django.field(description="The maximum weight, included.")

    @strawberry_django.field(description="Price in the shop's currency.")
    def price(self: Any) -> Money:
        return _money(self.price)


@strawberry_django.type(models.ShippingMethod, description="A shipping method for a zone.")
class ShippingMethod(ids.Versioned):
    name: str = strawberry_django.field(description="The name that buyers see.")
    estimate: str = strawberry_django.field(description='Delivery time, for people: "2-3 days"; may be empty.')
    zone: "ShippingZone" = strawberry_django.field(description="The zone that it ships to.")
    tax_class: TaxClass | None = strawberry_django.field(description="The tax class; null for the standard one.")
    position: int = strawberry_django.field(description="Position in the list, lowest first.")
    is_active: bool = strawberry_django.field(description="Whether buyers can choose it.")
    bands: list[WeightBand] = strawberry_django.field(
        description="Prices by weight, lightest first. Heavier parcels cannot be sent. If empty, `price` applies to "
        "any weight."
    )

    @strawberry_django.field(
        description="Price for any weight, in the shop's currency. It is not used if there are `bands`."
    )
    def price(self: Any) -> Money:
        return _money(self.price)

    @strawberry_django.field(description="The subtotal from which shipping is free; null for never.")
    def free_from(self: Any) -> Money | None:
        return None if self.free_from is None else _money(self.free_from)


@strawberry_django.type(models.ShippingZone, description="Countries with the same shipping methods.")
class ShippingZone(ids.Versioned):
    name: str = strawberry_django.field(description="A name for staff; unique.")
    methods: list[ShippingMethod] = strawberry_django.field(description="The shipping methods, in the shop's order.")

    @strawberry_django.field(description="ISO 3166-1 alpha-2 codes; empty for all countries that the shop ships to.")
    def countries(self: Any) -> list[str]:
        return list(self.countries)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A zone. Omitted fields stay unchanged. A new zone needs `name`.")
class SaveShippingZoneInput(crud.SaveInput):
    name: str | None = strawberry.field(default=strawberry.UNSET, description="A name for staff; unique.")
    countries: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Some of `shop.countries`; empty for all of them."
    )


@strawberry.input(description="A price up to a weight.")
class WeightBandInput:
    up_to_grams: int = strawberry.field(description="The maximum weight, included; at least 1.")
    price: Decimal = strawberry.field(description="Price in the shop's currency.")


@strawberry.input(
    description="A shipping method. Omitted fields stay unchanged. A new method needs `name`, `zoneId` and `price`."
)
class SaveShippingMethodInput(crud.SaveInput):
    zone_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="`ShippingZone.id`.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="The name that buyers see.")
    price: Decimal | None = strawberry.field(default=strawberry.UNSET, description="Price in the shop's currency.")
    free_from: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="The subtotal from which shipping is free; null for never."
    )
    estimate: str | None = strawberry.field(
        default=strawberry.UNSET, description='Delivery time, for people: "2-3 days".'
    )
    tax_class_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`TaxClass.id`; null for the standard class."
    )
    position: int | None = strawberry.field(
        default=strawberry.UNSET, description="Position in the list, lowest first; at least 0."
    )
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether buyers can choose it.")
    bands: list[WeightBandInput] | None = strawberry.field(
        default=strawberry.UNSET, description="All prices by weight. They replace the earlier ones; empty for none."
    )


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ShippingQuery:
    @strawberry.field(
        graphql_type=list[ShippingZone], description="For staff who may view zones and methods: all shipping zones."
    )
    def shipping_zones(self, info: Info) -> "QuerySet[models.ShippingZone]":
        info.context.allow("view_shippingzone", "view_shippingmethod")
        return load(models.ShippingZone.objects.all(), info)


@strawberry.type
class ShippingMutation:
    @strawberry.mutation(description="For staff: creates or changes a shipping zone. Errors: INVALID, NOT_FOUND.")
    def save_shipping_zone(self, info: Info, input: SaveShippingZoneInput) -> crud.SavePayload[ShippingZone]:
        return crud.save(info, models.ShippingZone, input)

    @strawberry.mutation(description="For staff: deletes a zone without shipping methods. Errors: NOT_FOUND, IN_USE.")
    def delete_shipping_zone(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.ShippingZone, input)

    @strawberry.mutation(description="For staff: creates or changes a shipping method. Errors: INVALID, NOT_FOUND.")
    def save_shipping_method(self, info: Info, input: SaveShippingMethodInput) -> crud.SavePayload[ShippingMethod]:
        return crud.save(info, models.ShippingMethod, input, parts=("bands",))

    @strawberry.mutation(
        description="For staff: deletes a shipping method. Buyers who chose it have to choose again. Errors: NOT_FOUND."
    )
    def delete_shipping_method(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.ShippingMethod, input)
