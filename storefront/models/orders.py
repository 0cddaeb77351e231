import uuid
from decimal import Decimal
from typing import Any, Self

from django.db import models
from django.db.models import Q

from storefront.models.accounts import User
from storefront.models.cart import Cart
from storefront.models.catalog import ProductVariant
from storefront.models.fields import AddressField, amount_field, non_negative


class OrderState(models.TextChoices):
    AWAITING_PAYMENT = "AWAITING_PAYMENT", "awaiting payment"
    PAID = "PAID", "paid"
    SHIPPED = "SHIPPED", "shipped"
    DELIVERED = "DELIVERED", "delivered"
    CANCELLED = "CANCELLED", "cancelled"
    EXPIRED = "EXPIRED", "expired"
    REFUNDED = "REFUNDED", "refunded"


class OrderQuerySet(models.QuerySet["Order"]):
    def visible_to(self, viewer: User | None) -> Self:
        """The orders that the viewer may see: staff with the permission all, customers their own, guests none."""
        return self._allowed(viewer, "storefront.view_order")

    def changeable_by(self, viewer: User | None) -> Self:
        """The orders that the viewer may change: staff with the permission all, customers their own, guests none."""
        return self._allowed(viewer, "storefront.change_order")

    def _allowed(self, viewer: User | None, permission: str) -> Self:
        if viewer is None:
            return self.none()
        # Checks `is_staff` first, because `has_perm` runs SQL.
        return self if viewer.is_staff and viewer.has_perm(permission) else self.filter(user=viewer)


class Order(models.Model):
    """A placed order. Prices, names and addresses are copies and never change."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=20, unique=True, editable=False)
    state = models.CharField(max_length=20, choices=OrderState, default=OrderState.AWAITING_PAYMENT)
    cart = models.OneToOneField(Cart, on_delete=models.PROTECT, related_name="order")
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="orders")
    email = models.EmailField()
    currency = models.CharField(max_length=3)
    # The value of one unit of the shop's currency in the order's currency.
    exchange_rate: "models.DecimalField[Decimal, Decimal]" = models.DecimalField(
        max_digits=18, decimal_places=8, default=Decimal(1)
    )
    prices_include_tax = models.BooleanField(default=False)
    subtotal = amount_field()
    discount = amount_field(default=0)
    shipping = amount_field()
    net = amount_field(default=0)
    tax = amount_field(default=0)
    total = amount_field()
    price_trace: models.JSONField[Any, Any] = models.JSONField(
        default=list, help_text="How the total was calculated (`domain.sales.pricing.Step`)."
    )
    shipping_address = AddressField()
    billing_address = AddressField()
    shipping_method = models.CharField(max_length=100)
    note = models.TextField(blank=True)
    placed_at = models.DateTimeField()

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=non_negative("subtotal", "discount", "shipping", "net", "tax", "total"),
                name="order_amounts_are_not_negative",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-placed_at", "id"], name="order_history"),
            models.Index(fields=["-placed_at", "id"], name="order_newest"),
            models.Index(fields=["state", "-placed_at", "id"], name="order_of_state"),
            models.Index(fields=["email", "-placed_at", "id"], name="order_of_email"),
        ]
        permissions = [("view_sales", "Can view the report of sales")]

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    # PROTECT: a variant that was sold is withdrawn from sale, not deleted.
    variant = models.ForeignKey(ProductVariant, on_delete=models.PROTECT, related_name="order_lines")
    sku = models.CharField("SKU", max_length=100)
    title = models.CharField(max_length=300)
    variant_title = models.CharField(max_length=700, blank=True)
    quantity = models.PositiveIntegerField()
    unit_price = amount_field()
    total = amount_field()
    discount = amount_field(default=0)
    net = amount_field(default=0)
    tax = amount_field(default=0)
    position = models.PositiveIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gte=1) & non_negative("unit_price", "total", "discount", "net", "tax"),
                name="orderline_is_sane",
            ),
            models.UniqueConstraint(fields=["order", "variant"], name="orderline_variant_has_one_line"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class OrderEventKind(models.TextChoices):
    PLACED = "PLACED", "placed"
    PAYMENT_STARTED = "PAYMENT_STARTED", "payment started"
    PAYMENT_FAILED = "PAYMENT_FAILED", "payment failed"
    PAID = "PAID", "paid"
    SHIPPED = "SHIPPED", "shipped"
    DELIVERED = "DELIVERED", "delivered"
    CANCELLED = "CANCELLED", "cancelled"
    EXPIRED = "EXPIRED", "expired"
    REFUND_DUE = "REFUND_DUE", "refund due"
    REFUNDED = "REFUNDED", "refunded"


class OrderEvent(models.Model):
    """An event of an order's history."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=20, choices=OrderEventKind)
    message = models.TextField(blank=True)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.message}".strip()
