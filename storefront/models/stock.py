from typing import Any

from django.db import models
from django.db.models import F, Q

from storefront.models.accounts import User
from storefront.models.catalog import ProductVariant
from storefront.models.orders import Order


class StockPolicy(models.TextChoices):
    DENY = "DENY", "stop selling when out of stock"
    BACKORDER = "BACKORDER", "keep selling when out of stock"
    UNTRACKED = "UNTRACKED", "not tracked (a voucher, a service)"


class Stock(models.Model):
    """A variant's stock: `on_hand` units in the warehouse, of which `reserved` are reserved by orders."""

    variant = models.OneToOneField(ProductVariant, on_delete=models.CASCADE, primary_key=True, related_name="stock")
    policy = models.CharField(max_length=10, choices=StockPolicy, default=StockPolicy.DENY)
    on_hand = models.IntegerField(default=0)
    reserved = models.IntegerField(default=0)

    class Meta:
        verbose_name_plural = "stock"
        constraints = [
            models.CheckConstraint(condition=Q(on_hand__gte=0, reserved__gte=0), name="stock_is_not_negative"),
            models.CheckConstraint(
                condition=~Q(policy=StockPolicy.DENY) | Q(reserved__lte=F("on_hand")),
                name="stock_is_not_oversold",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.on_hand} on hand, {self.reserved} reserved"

    @property
    def available(self) -> int:
        """The units that can still be sold, at least 0."""
        return max(self.on_hand - self.reserved, 0)


class MovementReason(models.TextChoices):
    COUNTED = "COUNTED", "counted"
    RESERVED = "RESERVED", "reserved by an order"
    RELEASED = "RELEASED", "released by an order"
    SHIPPED = "SHIPPED", "shipped"
    RETURNED = "RETURNED", "returned"
    ADJUSTED = "ADJUSTED", "adjusted by staff"


class StockAdjustment(models.Model):
    """A stock adjustment by staff. `request_id` identifies retries."""

    request_id = models.CharField(max_length=100, unique=True)
    asked: "models.JSONField[Any, Any]" = models.JSONField(help_text="What a retry must ask for too.")
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.request_id


class StockMovement(models.Model):
    """A change of a variant's stock. A variant's movements add up to its stock."""

    variant = models.ForeignKey(ProductVariant, on_delete=models.PROTECT, related_name="stock_movements")
    on_hand_change = models.IntegerField(default=0)
    reserved_change = models.IntegerField(default=0)
    reason = models.CharField(max_length=10, choices=MovementReason)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="stock_movements")
    adjustment = models.ForeignKey(
        StockAdjustment, on_delete=models.PROTECT, null=True, blank=True, related_name="movements"
    )
    note = models.CharField(
        max_length=200, blank=True, db_default="", help_text="The reason, in the words of the user."
    )
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.on_hand_change:+d} / {self.reserved_change:+d}"
