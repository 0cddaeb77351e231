import uuid

from django.db import models
from django.db.models import F, Q

from storefront.models.accounts import User
from storefront.models.fields import amount_field, non_negative
from storefront.models.orders import Order


class PaymentProvider(models.TextChoices):
    TEST = "TEST", "test gateway (no money moves)"
    STRIPE = "STRIPE", "Stripe"
    PAYPAL = "PAYPAL", "PayPal"
    FLUTTERWAVE = "FLUTTERWAVE", "Flutterwave"


class PaymentState(models.TextChoices):
    PENDING = "PENDING", "pending"
    REQUIRES_ACTION = "REQUIRES_ACTION", "action required"
    SUCCEEDED = "SUCCEEDED", "succeeded"
    FAILED = "FAILED", "failed"
    CANCELLED = "CANCELLED", "cancelled"


OPEN_PAYMENT = Q(state__in=[PaymentState.PENDING, PaymentState.REQUIRES_ACTION])


class Payment(models.Model):
    """An attempt to charge an order's total. Its id is the idempotency key for the gateway."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments")
    provider = models.CharField(max_length=20, choices=PaymentProvider)
    state = models.CharField(max_length=20, choices=PaymentState, default=PaymentState.PENDING)
    amount = amount_field()
    refunded = amount_field(default=0, help_text="Refunded, or being refunded.")
    currency = models.CharField(max_length=3)
    reference = models.CharField(max_length=200, blank=True, help_text="The gateway's id.")
    client_secret = models.CharField(max_length=500, blank=True)
    redirect_url = models.URLField(max_length=2000, blank=True)
    failure = models.TextField(blank=True)
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField(help_text="When the gateway was last asked to charge.")
    check_at = models.DateTimeField(
        null=True, blank=True, help_text="When the payment is looked up next. Empty: never."
    )

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
            models.CheckConstraint(
                condition=non_negative("refunded") & Q(refunded__lte=F("amount")),
                name="payment_gives_back_no_more_than_it_took",
            ),
        ]
        indexes = [models.Index(fields=["check_at"], condition=Q(check_at__isnull=False), name="payment_to_check")]

    def __str__(self) -> str:
        return f"{self.get_provider_display()}: {self.get_state_display()}"


class Refund(models.Model):
    """A refund of a payment or of a part of it. Its id is the idempotency key for the gateway."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    request_id = models.CharField(max_length=100, help_text="Identifies retries.")
    amount = amount_field()
    state = models.CharField(max_length=20, choices=PaymentState, default=PaymentState.PENDING)
    reason = models.TextField(blank=True)
    restock = models.BooleanField(help_text="Whether the items are restocked.")
    reference = models.CharField(max_length=200, blank=True, help_text="The gateway's id.")
    failure = models.TextField(blank=True)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    ask_at = models.DateTimeField(help_text="When the gateway is asked next.")

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["payment", "request_id"], name="refund_is_requested_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_is_positive"),
        ]
        indexes = [
            models.Index(fields=["ask_at"], condition=Q(state=PaymentState.PENDING), name="refund_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.payment.currency}: {self.get_state_display()}"


class GatewayEvent(models.Model):
    """A gateway's webhook event, stored once. It does not say what happened: we look that up at the gateway."""

    provider = models.CharField(max_length=20, choices=PaymentProvider)
    event_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=100)
    reference = models.CharField(max_length=200, blank=True)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="gateway_events")
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-received_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["provider", "event_id"], name="gatewayevent_is_noted_once")]

    def __str__(self) -> str:
        return f"{self.get_provider_display()}: {self.kind}"


class UnverifiedEvent(models.Model):
    """A webhook request that only its gateway can verify, as it came. It is deleted once the gateway has answered."""

    provider = models.CharField(max_length=20, choices=PaymentProvider)
    signature_headers = models.JSONField(help_text="The headers that the gateway needs to verify the body.")
    body = models.TextField()
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.get_provider_display()}: {self.received_at}"


class TestCharge(models.Model):
    """The test gateway's own books: its charges."""

    __test__ = False

    key = models.UUIDField(primary_key=True)
    amount = amount_field()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=20, choices=PaymentState)
    failure = models.TextField(blank=True)
    refunded = amount_field(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(refunded__lte=F("amount")), name="testcharge_is_not_overdrawn"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}: {self.state}"


class TestRefund(models.Model):
    """The test gateway's own books: its refunds."""

    __test__ = False

    key = models.UUIDField(primary_key=True)
    charge = models.ForeignKey(TestCharge, on_delete=models.PROTECT, related_name="refunds")
    amount = amount_field()

    def __str__(self) -> str:
        return str(self.amount)
