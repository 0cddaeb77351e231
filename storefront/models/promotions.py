from datetime import MAXYEAR, MINYEAR
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.timezone import is_naive

from storefront.models.accounts import User
from storefront.models.catalog import Category, Product
from storefront.models.fields import Versioned, amount_field


class DiscountKind(models.TextChoices):
    PERCENTAGE = "PERCENTAGE", "percentage of the goods"
    FIXED = "FIXED", "amount off the goods"
    FREE_SHIPPING = "FREE_SHIPPING", "free shipping"


def normalize_code(given: str) -> str:
    """The normalised discount code: buyers type codes in any case, with spaces around."""
    return given.strip().upper()


class Discount(Versioned):
    """A discount code: its effect, limits and covered goods. Amounts are in the shop's currency."""

    code = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[0-9A-Z_-]+$", "Letters, digits, - and _ only.")],
        help_text="The code that buyers type, in upper or lower case.",
    )
    kind = models.CharField(max_length=20, choices=DiscountKind)
    value: "models.DecimalField[Decimal, Decimal]" = models.DecimalField(
        max_digits=14,
        decimal_places=3,
        default=Decimal(0),
        help_text="A percentage or an amount, depending on the kind. 0 for free shipping.",
    )
    minimum_total = amount_field(
        null=True, blank=True, help_text="The goods in the cart must cost at least this much before discounts."
    )
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="The code is not valid from this time on.")
    products = models.ManyToManyField(
        Product,
        blank=True,
        related_name="discounts",
        help_text="Leave products and categories empty to discount all goods.",
    )
    categories = models.ManyToManyField(
        Category, blank=True, related_name="discounts", help_text="Includes their subcategories."
    )
    max_uses = models.PositiveIntegerField(
        null=True, blank=True, help_text="Number of orders in all. Leave empty for no limit."
    )
    max_uses_per_customer = models.PositiveIntegerField(
        null=True, blank=True, help_text="Number of orders per account or e-mail address. Leave empty for no limit."
    )
    is_active = models.BooleanField("active", default=True)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=DiscountKind.PERCENTAGE, value__gt=0, value__lte=100)
                | Q(kind=DiscountKind.FIXED, value__gt=0)
                | Q(kind=DiscountKind.FREE_SHIPPING, value=0),
                name="discount_value_is_sane",
                violation_error_message="A percentage is above 0 and at most 100, an amount above 0; free shipping "
                "has the value 0.",
            ),
            models.CheckConstraint(
                condition=Q(starts_at=None) | Q(ends_at=None) | Q(ends_at__gt=F("starts_at")),
                name="discount_ends_after_it_starts",
                violation_error_message="It has to end after it starts.",
            ),
            models.CheckConstraint(
                condition=Q(minimum_total=None) | Q(minimum_total__gte=0), name="discount_minimum_is_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    def clean(self) -> None:
        for name in ("starts_at", "ends_at"):
            moment = getattr(self, name)
            # Not the first and last year, because converting them to another time zone may overflow.
            if moment and (is_naive(moment) or not MINYEAR < moment.year < MAXYEAR):
                raise ValidationError({name: "Use a time with its time zone, such as 2030-06-01T00:00:00+02:00."})

    def clean_fields(self, exclude: object = None) -> None:
        self.code = normalize_code(self.code or "")
        super().clean_fields(exclude)  # type: ignore[arg-type]


class DiscountUse(models.Model):
    """An order's use of a discount. It counts towards the limits until it is released (`given_back_at`)."""

    discount = models.ForeignKey(Discount, on_delete=models.PROTECT, related_name="uses")
    order = models.ForeignKey("storefront.Order", on_delete=models.CASCADE, related_name="discount_uses")
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    email = models.EmailField()
    used_at = models.DateTimeField()
    given_back_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["discount", "order"], name="discountuse_is_one_an_order")]
        indexes = [models.Index(fields=["discount", "email"], name="discountuse_email")]

    def __str__(self) -> str:
        return f"{self.discount} by {self.email}"
