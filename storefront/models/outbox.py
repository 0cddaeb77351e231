from typing import Any

from django.db import models
from django.db.models import Q


class OutboxMessage(models.Model):
    """A side effect (a mail, a webhook), stored in the transaction that causes it.

    `domain.base.outbox` delivers it at least once. `kind` names the handler. `payload` must not contain secrets.
    """

    kind = models.CharField(max_length=50)
    payload: models.JSONField[Any, Any] = models.JSONField(default=dict)
    priority = models.PositiveSmallIntegerField(
        default=0, help_text="Due messages with a lower number are delivered first."
    )
    request_id = models.CharField(
        max_length=64, blank=True, help_text="The id of the request that caused it, as in the log."
    )
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="When it is tried next. Moved ahead while a worker tries.")
    attempts = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(
        null=True, blank=True, help_text="When it failed for good, after the last attempt."
    )
    error = models.TextField(blank=True, help_text="The error of the last attempt.")

    class Meta:
        verbose_name = "background job"
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["priority", "due_at", "id"], condition=Q(delivered_at=None, given_up_at=None), name="outbox_due"
            ),
            models.Index(fields=["delivered_at"], condition=~Q(delivered_at=None), name="outbox_delivered"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
