"""Background jobs (the outbox) and webhooks."""

from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold import widgets

from domain.base import outbox, public_http, webhooks
from storefront import models
from storefront.admin.base import ModelAdmin
from storefront.admin.read_only import ReadOnlyAdmin, presence_filter


@admin.register(models.OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """Background jobs. Failed jobs are not retried automatically: staff fix the cause, then retry them here."""

    list_display = ["kind", "created_at", "attempts", "next_attempt", "done_at", "failed_at", "error"]
    list_filter = [
        ("given_up_at", presence_filter("failed", present="Failed", absent="Not failed")),
        ("delivered_at", presence_filter("done", present="Done", absent="Not done")),
        "kind",
    ]
    actions = ["requeue"]

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("storefront.change_outboxmessage")

    @admin.display(description="next attempt", ordering="due_at")
    def next_attempt(self, message: models.OutboxMessage) -> datetime | None:
        return None if message.delivered_at or message.given_up_at else message.due_at

    @admin.display(description="done at", ordering="delivered_at")
    def done_at(self, message: models.OutboxMessage) -> datetime | None:
        return message.delivered_at

    @admin.display(description="failed at", ordering="given_up_at")
    def failed_at(self, message: models.OutboxMessage) -> datetime | None:
        return message.given_up_at

    @admin.action(description="Retry the selected failed jobs", permissions=["requeue"])
    def requeue(self, request: HttpRequest, messages: "QuerySet[models.OutboxMessage]") -> None:
        requeued = outbox.requeue(messages=list(messages.values_list("pk", flat=True)), now=timezone.now())
        self.message_user(request, f"{requeued} failed {'job' if requeued == 1 else 'jobs'} will be retried.")


class WebhookEndpointForm(forms.ModelForm[models.WebhookEndpoint]):
    url = forms.URLField(label="URL", max_length=500, assume_scheme="https", widget=widgets.UnfoldAdminURLInputWidget)
    topics = forms.MultipleChoiceField(
        label="Events",
        choices=[choice for choice in models.WebhookTopic.choices if choice[0] != models.WebhookTopic.TEST],
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
    )

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            public_http.check(url=url)
        except public_http.NotPublic as error:
            raise forms.ValidationError(str(error)) from None
        return url


@admin.register(models.WebhookEndpoint)
class WebhookEndpointAdmin(ModelAdmin[models.WebhookEndpoint]):
    """Systems that receive the shop's events: docs/webhooks.md."""

    form = WebhookEndpointForm
    list_display = ["__str__", "topics", "is_active"]
    change_form_template = "admin/webhook_endpoint.html"
    actions = ["send_test"]

    def get_fields(self, request: HttpRequest, obj: models.WebhookEndpoint | None = None) -> list[Any]:
        return ["url", "topics", "is_active", *(["signing_secret", "log"] if obj else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: models.WebhookEndpoint | None = None) -> list[str]:
        return ["signing_secret", "log"] if obj else []

    @admin.display(description="signing secret")
    def signing_secret(self, endpoint: models.WebhookEndpoint) -> str:
        return endpoint.secret

    @admin.display(description="delivery log")
    def log(self, endpoint: models.WebhookEndpoint) -> str:
        page = reverse("admin:storefront_webhookdelivery_changelist")
        number = endpoint.deliveries.count()
        return format_html('<a href="{}?endpoint__id__exact={}">{} events</a>', page, endpoint.pk, number)

    def response_change(self, request: HttpRequest, obj: models.WebhookEndpoint) -> HttpResponse:
        if "_test" not in request.POST:
            return super().response_change(request, obj)
        self.send_test(request, models.WebhookEndpoint.objects.filter(pk=obj.pk))
        return HttpResponseRedirect(request.path)

    def has_view_permission(self, request: HttpRequest, obj: models.WebhookEndpoint | None = None) -> bool:
        return self.has_change_permission(request, obj)  # Anyone who sees the secret can sign events as the shop.

    @admin.action(description="Send a test event to the selected endpoints", permissions=["change"])
    def send_test(self, request: HttpRequest, endpoints: "QuerySet[models.WebhookEndpoint]") -> None:
        for endpoint in endpoints:
            transaction.on_commit(partial(webhooks.queue_test, endpoint=endpoint, now=timezone.now()))
        self.message_user(request, "The test event will be sent now. The delivery log shows the result.")


@admin.register(models.WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "topic", "endpoint", "attempts", "status", "answer", "delivered_at"]
    list_filter = [
        "endpoint",
        "topic",
        ("delivered_at", presence_filter("delivered", present="Delivered", absent="Not delivered")),
    ]
    list_select_related = ["endpoint"]
    actions = ["send_again"]

    def has_send_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("storefront.change_webhookdelivery")

    @admin.action(description="Send the selected events again", permissions=["send"])
    def send_again(self, request: HttpRequest, deliveries: "QuerySet[models.WebhookDelivery]") -> None:
        webhooks.resend(deliveries=list(deliveries.values_list("pk", flat=True)), now=timezone.now())
        self.message_user(request, "The selected events will be sent again, with the same ids.")
