from django.db import models

from storefront.models.cart import Cart
from storefront.models.fields import AddressField
from storefront.models.shipping import ShippingMethod


class Checkout(models.Model):
    """A cart's checkout data: e-mail, addresses and shipping method."""

    cart = models.OneToOneField(Cart, on_delete=models.CASCADE, primary_key=True, related_name="checkout")
    email = models.EmailField(blank=True)
    shipping_address = AddressField(null=True, blank=True)
    billing_address = AddressField(null=True, blank=True)
    shipping_method = models.ForeignKey(
        ShippingMethod, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.email or "checkout without an e-mail"
