import base64
import secrets
import uuid
from typing import Any

from django.db import models


class WebhookTopic(models.TextChoices):
    ORDER_PLACED = "order.placed", "order placed"
    ORDER_PAID = "order.paid", "order paid"
    ORDER_SHIPPED = "order.shipped", "order shipped"
    ORDER_DELIVERED = "order.delivered", "order delivered"
    ORDER_CANCELLED = "order.cancelled", "order cancelled"
    ORDER_EXPIRED = "order.expired", "order expired"
    ORDER_REFUNDED = "order.refunded", "order refunded"
    STOCK_LOW = "stock.low", "low stock"
    TEST = "test", "test event"


def new_secret() -> str:
    """A secret of 32 random bytes, in the form of https://www.standardwebhooks.com."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


class WebhookEndpoint(models.Model):
    """A system of the shop's owner that receives webhooks."""

    url = models.URLField("URL", max_length=500)
    topics: models.JSONField[Any, Any] = models.JSONField(default=list)
    secret = models.CharField(max_length=100, default=new_secret, editable=False)
    is_active = models.BooleanField("active", default=True)
    resting_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.url.partition("?")[0]


class WebhookDelivery(models.Model):
    """An event for an endpoint, and the result of sending it. Receivers identify the event by its id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    topic = models.CharField(max_length=50, choices=WebhookTopic)
    body = models.TextField()
    created_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    status = models.PositiveIntegerField(null=True, blank=True, help_text="HTTP status of the last answer.")
    answer = models.CharField(
        max_length=500, blank=True, help_text="The beginning of the last answer, or why there was none."
    )
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ["-created_at", "id"]
        indexes = [models.Index(fields=["-created_at", "id"], name="webhook_log")]

    def __str__(self) -> str:
        return f"{self.topic} {self.pk}"
