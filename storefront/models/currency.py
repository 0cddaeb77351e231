from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from storefront.models.catalog import ProductVariant
from storefront.models.fields import Versioned, amount_field, non_negative


class Currency(Versioned):
    """Another currency that the shop sells in. Prices are converted at `rate`, except those of `VariantPrice`."""

    code = models.CharField(
        primary_key=True, max_length=3, validators=[RegexValidator(r"^[A-Z]{3}$", "An ISO 4217 code, such as USD.")]
    )
    rate: "models.DecimalField[Decimal, Decimal]" = models.DecimalField(
        max_digits=18,
        decimal_places=8,
        validators=[MinValueValidator(Decimal("0.00000001"))],
        help_text="How much one unit of the shop's currency is worth in this currency.",
    )
    is_active = models.BooleanField("active", default=True)

    class Meta:
        ordering = ["code"]
        verbose_name_plural = "currencies"
        constraints = [models.CheckConstraint(condition=Q(rate__gt=0), name="currency_rate_is_positive")]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        if self.code == settings.SHOP_CURRENCY:
            raise ValidationError({"code": "This is the shop's own currency."})


class VariantPrice(Versioned):
    """A variant's list price in another currency, instead of the converted price."""

    variant = models.ForeignKey(ProductVariant, on_delete=models.CASCADE, related_name="prices")
    currency = models.ForeignKey(Currency, on_delete=models.CASCADE, related_name="prices")
    price = amount_field()
    compare_at_price = amount_field(null=True, blank=True)

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.UniqueConstraint(fields=["variant", "currency"], name="variantprice_is_one_a_currency"),
            models.CheckConstraint(
                condition=non_negative("price") & (Q(compare_at_price=None) | non_negative("compare_at_price")),
                name="variantprice_is_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.price} {self.currency_id}"
