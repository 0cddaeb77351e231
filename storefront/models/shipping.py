from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from storefront.models.fields import Versioned, amount_field, check_countries, non_negative
from storefront.models.tax import TaxClass


class ShippingZone(Versioned):
    """Countries with the same shipping methods. A country in several zones has the methods of each."""

    name = models.CharField(max_length=100, unique=True)
    countries: models.JSONField[Any, Any] = models.JSONField(
        default=list,
        blank=True,
        help_text='ISO 3166-1 alpha-2 codes, for example ["DE", "AT"]. Leave empty for all countries of the shop.',
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        self.countries = self.countries or []
        try:
            check_countries(self.countries)
        except ValidationError as error:
            raise ValidationError({"countries": error.messages}) from None


class ShippingMethod(Versioned):
    """A shipping method of a zone, with one price or with prices by weight (`WeightBand`).

    Prices are in the shop's currency, and include tax or not like all of its prices.
    """

    zone = models.ForeignKey(ShippingZone, on_delete=models.PROTECT, related_name="methods")
    name = models.CharField(max_length=100)
    price = amount_field(help_text="For parcels of any weight. If there are weight bands, their prices apply instead.")
    free_from = amount_field(
        null=True, blank=True, help_text="Shipping is free if the goods cost at least this much after discounts."
    )
    estimate = models.CharField(
        max_length=100, blank=True, help_text='Delivery time shown to buyers, for example "2-3 days".'
    )
    tax_class = models.ForeignKey(
        TaxClass,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Leave empty for the standard rate.",
    )
    position = models.PositiveIntegerField(default=0)
    is_active = models.BooleanField("active", default=True)

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(
                condition=non_negative("price") & (Q(free_from=None) | non_negative("free_from")),
                name="shippingmethod_price_is_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WeightBand(models.Model):
    """A method's price up to a weight. The method does not take parcels above its heaviest band."""

    method = models.ForeignKey(ShippingMethod, on_delete=models.CASCADE, related_name="bands")
    up_to_grams = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    price = amount_field()

    class Meta:
        ordering = ["up_to_grams"]
        constraints = [
            models.UniqueConstraint(fields=["method", "up_to_grams"], name="weightband_is_one_a_weight"),
            models.CheckConstraint(
                condition=Q(up_to_grams__gte=1) & non_negative("price"), name="weightband_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"up to {self.up_to_grams} g: {self.price}"
