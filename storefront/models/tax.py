from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from storefront.models.fields import Versioned, check_countries, check_region


class TaxClass(Versioned):
    """Goods with other tax rates than the standard ones, such as books or food. No class means standard."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "tax classes"

    def __str__(self) -> str:
        return self.name


class TaxRate(Versioned):
    """A tax rate for goods sent to a country or region. `domain.sales.tax` selects the rate."""

    name = models.CharField(
        max_length=100, default="VAT", help_text='The name shown to buyers, for example "VAT" or "MwSt.".'
    )
    country_code = models.CharField("country", max_length=2, help_text="ISO 3166-1 alpha-2 code, for example DE.")
    region = models.CharField(
        max_length=50,
        blank=True,
        help_text="The code of a state or province, for example CA. Leave empty for the whole country.",
    )
    tax_class = models.ForeignKey(
        TaxClass,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="rates",
        help_text="Leave empty for standard goods, and for goods whose tax class has no rate of its own there.",
    )
    percent: "models.DecimalField[Decimal, Decimal]" = models.DecimalField(
        max_digits=7, decimal_places=4, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )

    class Meta:
        ordering = ["country_code", "region", "tax_class__name"]
        constraints = [
            models.CheckConstraint(condition=Q(percent__gte=0, percent__lte=100), name="taxrate_percent_is_sane"),
            models.UniqueConstraint(
                fields=["country_code", "region", "tax_class"], name="taxrate_is_one_a_place_and_class"
            ),
            models.UniqueConstraint(
                fields=["country_code", "region"], condition=Q(tax_class=None), name="taxrate_is_one_standard_a_place"
            ),
        ]

    def __str__(self) -> str:
        place = "-".join(filter(None, (self.country_code, self.region)))
        return f"{self.name} {self.percent.normalize():f} % in {place}"

    def clean(self) -> None:
        self.country_code, self.region = (self.country_code or "").upper(), self.region or ""
        try:
            check_countries([self.country_code])
        except ValidationError as error:
            raise ValidationError({"country_code": error.messages}) from None
        self.region = check_region(self.country_code, self.region)
