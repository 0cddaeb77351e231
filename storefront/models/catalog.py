from datetime import datetime
from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from storefront.models.fields import Versioned, amount_field, non_negative
from storefront.models.tax import TaxClass


class Category(Versioned):
    """A node of the category tree. A product may be in several categories."""

    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    slug = models.SlugField(max_length=100, unique=True, allow_unicode=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position", "name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        above = self.parent
        while above is not None:
            if above.pk == self.pk:
                raise ValidationError({"parent": "A category cannot be below itself."})
            above = above.parent


class Tag(models.Model):
    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProductQuerySet(models.QuerySet["Product"]):
    def published(self, *, now: datetime) -> Self:
        """The products that buyers see, without drafts (no date) and scheduled products (a later date)."""
        return self.filter(published_at__lte=now)


class Product(Versioned):
    """A product. Its variants differ in up to three options (Size, Colour …)."""

    slug = models.SlugField(max_length=200, unique=True, allow_unicode=True)
    title = models.CharField(max_length=300)
    description_html = models.TextField(blank=True)
    vendor = models.CharField(max_length=200, blank=True)
    product_type = models.CharField(max_length=200, blank=True)
    option1_name = models.CharField(max_length=100, blank=True)
    option2_name = models.CharField(max_length=100, blank=True)
    option3_name = models.CharField(max_length=100, blank=True)
    categories = models.ManyToManyField(Category, related_name="products", blank=True)
    tags = models.ManyToManyField(Tag, related_name="products", blank=True)
    tax_class = models.ForeignKey(
        TaxClass,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="products",
        help_text="Leave empty for the standard rate.",
    )
    published_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(
        null=True, blank=True, help_text="Hidden from buyers and from the staff's lists."
    )
    # The range of the variants' prices, so that lists can sort and filter by an index. Kept by domain.catalog.products.
    min_price = amount_field(default=0, editable=False)
    max_price = amount_field(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=non_negative("min_price") & Q(max_price__gte=F("min_price")),
                name="product_price_range_is_ordered",
            ),
            models.CheckConstraint(
                condition=Q(archived_at=None) | Q(published_at=None),
                name="product_archived_is_not_published",
                violation_error_message="What is archived is not published.",
            ),
        ]
        # Each serves a sort of `products`, walked by keyset; docs/indexes.md names the queries.
        indexes = [
            models.Index(fields=["-published_at", "id"], name="product_newest"),
            models.Index(fields=["min_price", "id"], name="product_price"),
            models.Index(fields=["title", "id"], name="product_title"),
            models.Index(fields=["-updated_at", "id"], name="product_changed"),
            models.Index(fields=["vendor", "-published_at", "id"], name="product_vendor"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def option_names(self) -> list[str]:
        return [name for name in (self.option1_name, self.option2_name, self.option3_name) if name]


class ImageUpload(models.Model):
    """The key of an original in the private storage and of its renditions in the public storage.

    The row is created before the files and deleted after them, so that `domain.catalog.images` finds all files that no
    image refers to.
    """

    key = models.CharField(max_length=32, primary_key=True)
    filename = models.CharField(max_length=255, blank=True, help_text="The original file name. Never used as a path.")
    created_at = models.DateTimeField()
    discarded_at = models.DateTimeField(null=True, blank=True, help_text="From then on it cannot be attached.")

    def __str__(self) -> str:
        return self.filename or self.key


class Image(models.Model):
    """A product image. `width` and `height` are the original's, after rotation by its EXIF data."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="images")
    upload = models.OneToOneField(
        ImageUpload,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="image",
        help_text="The upload with the original file.",
    )
    # The file for all sizes, until each size is rendered.
    file = models.FileField(upload_to="products/", max_length=300)
    rendered_at = models.DateTimeField(null=True, blank=True)
    alt = models.CharField(max_length=500, blank=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    position = models.PositiveIntegerField(default=0)
    source = models.CharField(max_length=1000, blank=True, help_text="The address in the imported file.")

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["product", "source"], condition=~Q(source=""), name="image_source_is_taken_once"
            ),
        ]

    def __str__(self) -> str:
        return self.alt or self.file.name or ""


class ProductVariant(models.Model):
    """A variant: one combination of the product's options, with its SKU and price. Carts contain variants."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="variants")
    sku = models.CharField("SKU", max_length=100, unique=True)
    option1 = models.CharField(max_length=200, blank=True)
    option2 = models.CharField(max_length=200, blank=True)
    option3 = models.CharField(max_length=200, blank=True)
    price = amount_field()
    compare_at_price = amount_field(null=True, blank=True)
    weight_grams = models.PositiveIntegerField(null=True, blank=True)
    barcode = models.CharField(max_length=50, blank=True)
    image = models.ForeignKey(Image, on_delete=models.SET_NULL, null=True, blank=True, related_name="variants")
    position = models.PositiveIntegerField(default=0)
    is_withdrawn = models.BooleanField(
        "withdrawn", default=False, db_default=False, help_text="Not shown and not sold."
    )

    class Meta:
        ordering = ["position", "id"]
        constraints = [
            models.CheckConstraint(
                condition=non_negative("price") & (Q(compare_at_price=None) | non_negative("compare_at_price")),
                name="productvariant_price_is_not_negative",
            ),
            models.UniqueConstraint(
                fields=["product", "option1", "option2", "option3"], name="productvariant_options_are_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.sku

    @property
    def option_values(self) -> list[str]:
        return [value for value in (self.option1, self.option2, self.option3) if value]

    @property
    def title(self) -> str:
        """The options as a buyer reads them: "M / Sand"; empty for a product without options."""
        return " / ".join(self.option_values)

    @property
    def full_title(self) -> str:
        """The product's title and the options: "T-shirt, M / Sand"."""
        return ", ".join(filter(None, (self.product.title, self.title)))


class SearchDocument(models.Model):
    """The words that a product is found by, in three columns by weight. Used by `domain.catalog.search`.

    Each database derives its own full-text index from these columns (migration 0002).
    """

    product = models.OneToOneField(Product, on_delete=models.CASCADE, primary_key=True, related_name="search_document")
    title = models.TextField()
    keywords = models.TextField()
    body = models.TextField()

    def __str__(self) -> str:
        return self.title


class CatalogueVersion(models.Model):
    """Counts the transactions that changed the public catalogue. The count is the sum of all rows, and only grows.

    A transaction increments a row that no other transaction has locked, or adds a row, so that writers never wait for
    each other (docs/adr/0023). Triggers on the catalogue's tables do this (`domain.catalog.version_triggers`), and
    `domain.catalog.stock` does it for changes of availability.
    """

    changes = models.PositiveBigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.changes)
