from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from storefront.models.cart import Cart
from storefront.models.fields import AddressField, amount_field, non_negative


class ShippingMethod(models.Model):
    """A way to send a parcel, at one price in the shop's currency."""

    name = models.CharField(max_length=100)
    price = amount_field()
    estimate = models.CharField(max_length=100, blank=True, help_text='What the buyer reads: "2-3 days".')
    countries: models.JSONField[Any, Any] = models.JSONField(
        default=list,
        blank=True,
        help_text="ISO 3166-1 alpha-2 codes it delivers to; empty: wherever the shop sells.",
    )
    position = models.PositiveIntegerField(default=0)
    is_active = models.BooleanField("offered", default=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(condition=non_negative("price"), name="shippingmethod_price_is_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.countries = self.countries or []
        if not isinstance(self.countries, list) or set(map(str, self.countries)) - set(settings.SHOP_COUNTRIES):
            known = ", ".join(settings.SHOP_COUNTRIES)
            raise ValidationError(
                {"countries": f'A list such as ["DE", "AT"] of countries the shop sells to: {known}.'}
            )


class Checkout(models.Model):
    """What a cart still needs to become an order: who, where to, and how."""

    cart = models.OneToOneField(Cart, on_delete=models.CASCADE, primary_key=True, related_name="checkout")
    email = models.EmailField(blank=True)
    shipping_address = AddressField(null=True, blank=True)
    billing_address = AddressField(null=True, blank=True)
    shipping_method = models.ForeignKey(
        ShippingMethod, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.email or "checkout without an e-mail"
