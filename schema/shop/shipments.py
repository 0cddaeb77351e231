"""The parcels of an order."""

from datetime import datetime
from typing import Any

import strawberry_django

from schema.base import ids
from storefront import models


@strawberry_django.type(models.Shipment, description="A parcel that left.")
class Shipment(ids.Node):
    carrier: str = strawberry_django.field(description="Who carries it.")
    tracking_number: str = strawberry_django.field(description="The carrier's number of the parcel.")
    shipped_at: datetime = strawberry_django.field(description="When it left.")

    @strawberry_django.field(description="The carrier's page about the parcel; null when there is none.")
    def tracking_url(self: Any) -> str | None:
        return self.tracking_url or None
