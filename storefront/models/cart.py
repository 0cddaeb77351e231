import secrets
import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from storefront.models.accounts import User
from storefront.models.catalog import ProductVariant
from storefront.models.currency import Currency
from storefront.models.fields import amount_field
from storefront.models.promotions import Discount


class CartState(models.TextChoices):
    ACTIVE = "ACTIVE", "active"
    MERGED = "MERGED", "merged into another cart"
    CONVERTED = "CONVERTED", "converted to an order"
    ABANDONED = "ABANDONED", "abandoned"


def new_cart_code() -> str:
    """A code of 192 random bits. Anyone who knows a guest cart's code can use the cart."""
    return secrets.token_urlsafe(24)


class Cart(models.Model):
    """A cart. A guest's cart is identified by its code, an account's by its user."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=64, unique=True, default=new_cart_code, editable=False)
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="carts")
    state = models.CharField(max_length=10, choices=CartState, default=CartState.ACTIVE)
    # None: the shop's own currency. PROTECT: a currency that carts use is deactivated, not deleted.
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    discounts = models.ManyToManyField(Discount, blank=True, related_name="carts")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(state=CartState.ACTIVE), name="cart_is_one_active_a_user"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()} cart of {self.user or 'a guest'}"


class CartLine(models.Model):
    MAX_QUANTITY = 9999

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="lines")
    variant = models.ForeignKey(ProductVariant, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MAX_QUANTITY)])
    # The unit price in the cart's currency when the buyer last added units; None: unknown.
    seen_price = amount_field(null=True, blank=True)
    position = models.PositiveIntegerField(help_text="Lines keep the order in which they were added.")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["cart", "variant"], name="cartline_variant_has_one_line"),
            models.CheckConstraint(condition=Q(quantity__gte=1, quantity__lte=9999), name="cartline_quantity_is_sane"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.variant}"
