from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from storefront.models.accounts import User


class ChangeAction(models.TextChoices):
    CREATED = "CREATED", "created"
    UPDATED = "UPDATED", "updated"
    DELETED = "DELETED", "deleted"


class Change(models.Model):
    """An entry of the change log: who changed what, with the values before and after. It is never changed itself."""

    at = models.DateTimeField()
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    action = models.CharField(max_length=10, choices=ChangeAction)
    kind = models.CharField(max_length=50, help_text="The name of the model.")
    key = models.CharField(max_length=50)
    label = models.CharField(max_length=300, help_text="The name of the object at that time.")
    fields: "models.JSONField[Any, Any]" = models.JSONField(
        encoder=DjangoJSONEncoder, help_text="The values before and after, by field name."
    )

    class Meta:
        verbose_name = "activity"
        verbose_name_plural = "activity log"
        ordering = ["-id"]
        indexes = [models.Index(fields=["kind", "key", "-id"], name="change_of")]

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.label}"
