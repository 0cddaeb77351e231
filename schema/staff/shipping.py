"""Where the shop sends to, how, and at which price: for staff. A buyer chooses in `schema.shop.checkout`."""

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


@strawberry_django.type(models.WeightBand, description="What a method costs up to a weight.")
class WeightBand:
    up_to_grams: int = strawberry_django.field(description="The heaviest parcel, included.")

    @strawberry_django.field(description="In the shop's currency.")
    def price(self: Any) -> Money:
        return _money(self.price)


@strawberry_django.type(models.ShippingMethod, description="A way to send a parcel to a zone.")
class ShippingMethod(ids.Versioned):
    name: str = strawberry_django.field(description="What the buyer reads.")
    estimate: str = strawberry_django.field(description='"2-3 days"; may be empty.')
    zone: "ShippingZone" = strawberry_django.field(description="Where to.")
    tax_class: TaxClass | None = strawberry_django.field(description="Null: standard.")
    position: int = strawberry_django.field(description="The lower, the earlier it is shown.")
    is_active: bool = strawberry_django.field(description="Whether it is offered.")
    bands: list[WeightBand] = strawberry_django.field(
        description="Prices by weight, the lightest first; a parcel above the heaviest cannot be sent. Empty: `price`."
    )

    @strawberry_django.field(description="In the shop's currency, for any weight; `bands` come before it.")
    def price(self: Any) -> Money:
        return _money(self.price)

    @strawberry_django.field(description="From which total of goods on it is free; null: never.")
    def free_from(self: Any) -> Money | None:
        return None if self.free_from is None else _money(self.free_from)


@strawberry_django.type(models.ShippingZone, description="Countries that cost the same to send to.")
class ShippingZone(ids.Versioned):
    name: str = strawberry_django.field(description="For staff; unique.")
    methods: list[ShippingMethod] = strawberry_django.field(description="In the shop's order.")

    @strawberry_django.field(description="ISO 3166-1 alpha-2 codes; empty: wherever the shop sells.")
    def countries(self: Any) -> list[str]:
        return list(self.countries)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="A zone. What is left out stays as it was; a new one needs `name`.")
class SaveShippingZoneInput(crud.SaveInput):
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Unique.")
    countries: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="Of `shop.countries`; empty: all of them."
    )


@strawberry.input(description="A price up to a weight.")
class WeightBandInput:
    up_to_grams: int = strawberry.field(description="From 1 on.")
    price: Decimal = strawberry.field(description="In the shop's currency.")


@strawberry.input(description="A method. What is left out stays; a new one needs `name`, `zoneId` and `price`.")
class SaveShippingMethodInput(crud.SaveInput):
    zone_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="`ShippingZone.id`.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="What the buyer reads.")
    price: Decimal | None = strawberry.field(default=strawberry.UNSET, description="In the shop's currency.")
    free_from: Decimal | None = strawberry.field(default=strawberry.UNSET, description="Null: never free.")
    estimate: str | None = strawberry.field(default=strawberry.UNSET, description='"2-3 days".')
    tax_class_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Null: standard.")
    position: int | None = strawberry.field(default=strawberry.UNSET, description="From 0 on.")
    is_active: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether it is offered.")
    bands: list[WeightBandInput] | None = strawberry.field(
        default=strawberry.UNSET, description="All that it shall have; empty: none."
    )


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ShippingQuery:
    @strawberry.field(graphql_type=list[ShippingZone], description="For staff who may view zones and methods.")
    def shipping_zones(self, info: Info) -> "QuerySet[models.ShippingZone]":
        info.context.allow("view_shippingzone", "view_shippingmethod")
        return load(models.ShippingZone.objects.all(), info)


@strawberry.type
class ShippingMutation:
    @strawberry.mutation(description="For staff: makes a zone, or changes one. Errors: INVALID, NOT_FOUND.")
    def save_shipping_zone(self, info: Info, input: SaveShippingZoneInput) -> crud.SavePayload[ShippingZone]:
        return crud.save(info, models.ShippingZone, input)

    @strawberry.mutation(description="For staff: deletes a zone that has no methods. Errors: NOT_FOUND, IN_USE.")
    def delete_shipping_zone(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.ShippingZone, input)

    @strawberry.mutation(description="For staff: makes a method, or changes one. Errors: INVALID, NOT_FOUND.")
    def save_shipping_method(self, info: Info, input: SaveShippingMethodInput) -> crud.SavePayload[ShippingMethod]:
        return crud.save(info, models.ShippingMethod, input, parts=("bands",))

    @strawberry.mutation(
        description="For staff: deletes a method; carts that chose it have to choose again. Errors: NOT_FOUND."
    )
    def delete_shipping_method(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        return crud.delete(info, models.ShippingMethod, input)
