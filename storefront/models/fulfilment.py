import uuid

from django.db import models

from storefront.models.orders import Order


class Shipment(models.Model):
    """A parcel that was sent, with its tracking data."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="shipments")
    carrier = models.CharField(max_length=100)
    tracking_number = models.CharField(max_length=100)
    tracking_url = models.URLField("tracking URL", max_length=500, blank=True)
    shipped_at = models.DateTimeField()

    class Meta:
        ordering = ["shipped_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["order", "carrier", "tracking_number"], name="shipment_is_told_once"),
        ]

    def __str__(self) -> str:
        return f"{self.carrier} {self.tracking_number}"
