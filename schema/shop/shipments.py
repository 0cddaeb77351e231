"""The parcels of an order."""

from datetime import datetime
from typing import Any

import strawberry_django

from schema.base import ids
from storefront import models


@strawberry_django.type(models.Shipment, description="A parcel that was sent.")
class Shipment(ids.Node):
    carrier: str = strawberry_django.field(description="The name of the carrier.")
    tracking_number: str = strawberry_django.field(description="The carrier's tracking number.")
    shipped_at: datetime = strawberry_django.field(description="When the parcel was sent.")

    @strawberry_django.field(description="The carrier's tracking page; null if there is none.")
    def tracking_url(self: Any) -> str | None:
        return self.tracking_url or None
