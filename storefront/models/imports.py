from typing import Any

from django.db import models
from django.db.models import F, Q

from storefront.models.accounts import User


class ImportKind(models.TextChoices):
    PRODUCTS = "PRODUCTS", "products (Shopify CSV)"
    STOCK = "STOCK", "stock count"


class ImportState(models.TextChoices):
    CHECKING = "CHECKING", "checking"
    CHECKED = "CHECKED", "checked"
    RUNNING = "RUNNING", "importing"
    DONE = "DONE", "imported"


class Import(models.Model):
    """A file that staff import, processed in slices by `domain.importing.imports`.

    `done` of its `total` lines are processed; the first `header_lines` are the header. The counts are of products (or
    of variants in a stock count) and of failed lines. They restart when the import follows the check.
    """

    kind = models.CharField(max_length=10, choices=ImportKind)
    state = models.CharField(max_length=10, choices=ImportState)
    file_name = models.CharField("file", max_length=200, blank=True)
    columns: models.JSONField[Any, Any] = models.JSONField(editable=False)
    header_lines = models.PositiveIntegerField(editable=False)
    total = models.PositiveIntegerField("lines", default=0)
    done = models.PositiveIntegerField("lines done", default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField("lines that failed", default=0)
    pictures_left = models.PositiveIntegerField("pictures left out", default=0)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    # A worker has claimed the import until then.
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()  # See `domain.importing.imports.REQUIRED_PERMISSIONS`.
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="import_is_done_at_its_end"),
        ]

    def __str__(self) -> str:
        return f"{self.file_name or self.kind} {self.pk}"


class ImportPart(models.Model):
    """Some lines of an import's file, unchanged. Deleted after the import."""

    parent = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="parts")
    first_line = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["parent", "first_line"], name="importpart_is_one_a_line"),
        ]

    def __str__(self) -> str:
        return f"{self.parent_id} from line {self.first_line}"


class ImportRow(models.Model):
    """A line of an import's report."""

    parent = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="rows")
    line = models.PositiveIntegerField()
    handle = models.CharField(max_length=200, blank=True)
    message = models.CharField(max_length=1000)
    failed = models.BooleanField()

    class Meta:
        default_permissions = ()
        ordering = ["line", "id"]

    def __str__(self) -> str:
        return f"{self.line}: {self.message}"
