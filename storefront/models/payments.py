import uuid

from django.db import models
from django.db.models import Q

from storefront.models.fields import amount_field, non_negative
from storefront.models.orders import Order


class PaymentProvider(models.TextChoices):
    TEST = "TEST", "test gateway (no money moves)"


class PaymentState(models.TextChoices):
    PENDING = "PENDING", "asked, no answer yet"
    REQUIRES_ACTION = "REQUIRES_ACTION", "the buyer has to confirm"
    SUCCEEDED = "SUCCEEDED", "succeeded"
    FAILED = "FAILED", "failed"
    CANCELLED = "CANCELLED", "cancelled"


OPEN_PAYMENT = Q(state__in=[PaymentState.PENDING, PaymentState.REQUIRES_ACTION])


class Payment(models.Model):
    """One attempt to take an order's money. Its id is the gateway's idempotency key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments")
    provider = models.CharField(max_length=20, choices=PaymentProvider)
    state = models.CharField(max_length=20, choices=PaymentState, default=PaymentState.PENDING)
    amount = amount_field()
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=200, blank=True, help_text="The gateway's own id.")
    client_secret = models.CharField(max_length=500, blank=True)
    redirect_url = models.URLField(max_length=2000, blank=True)
    failure = models.TextField(blank=True)
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField(help_text="When the gateway was last asked.")

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(fields=["order"], condition=OPEN_PAYMENT, name="payment_is_one_open_an_order"),
            models.UniqueConstraint(
                fields=["provider", "reference"],
                condition=~Q(reference=""),
                name="payment_reference_is_unique",
            ),
            models.CheckConstraint(condition=non_negative("amount"), name="payment_amount_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.get_provider_display()}: {self.get_state_display()}"
