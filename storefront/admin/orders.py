"""Orders, gateway events and refunds."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path

from domain.sales import orders
from storefront import models
from storefront.admin import order_actions
from storefront.admin.read_only import ReadOnlyAdmin, presence_filter
from storefront.templatetags import display


@admin.register(models.GatewayEvent)
class GatewayEventAdmin(ReadOnlyAdmin):
    """Events that payment gateways sent. Those without a payment refer to an unknown payment."""

    list_display = ["received_at", "provider", "kind", "reference", "payment", "processed_at"]
    list_filter = [
        "provider",
        ("payment", presence_filter("payment", present="Known", absent="Unknown")),
        ("processed_at", presence_filter("processed", present="Processed", absent="Not processed")),
    ]
    list_select_related = ["payment"]
    search_fields = ["reference", "event_id"]


@admin.register(models.Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "order", "given", "how_it_went", "reason", "failure", "actor"]
    list_filter = ["state"]
    search_fields = ["payment__order__number"]
    list_select_related = ["payment__order", "actor"]

    @admin.display(description="order")
    def order(self, refund: models.Refund) -> str:
        return refund.payment.order.number

    @admin.display(description="amount", ordering="amount")
    def given(self, refund: models.Refund) -> str:
        return display.money(refund.amount, refund.payment.currency)

    @admin.display(description="state", ordering="state")
    def how_it_went(self, refund: models.Refund) -> str:
        return display.state(refund)


class EventFilter(admin.ChoicesFieldListFilter):
    """Filters by any event in the order's history."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = "event"


@admin.register(models.Order)
class OrderAdmin(ReadOnlyAdmin):
    """Shows the order with its history. `order_actions` has the actions of staff."""

    list_display = ["number", "where_it_is", "to_pay", "email", "placed"]
    list_per_page = 50
    list_filter = ["state", "placed_at", ("events__kind", EventFilter)]
    search_fields = ["number", "email", "=discount_uses__discount__code"]
    date_hierarchy = "placed_at"
    ordering = ["-placed_at"]
    fields = ()
    change_form_template = "admin/order.html"

    def get_urls(self) -> list[URLPattern]:
        actions = [
            path(
                f"<uuid:order_id>/{action.name}/",
                self.admin_site.admin_view(order_actions.view(action)),
                name=f"order_{action.name}",
            )
            for action in order_actions.ACTIONS
        ]
        return actions + super().get_urls()

    @admin.display(description="state", ordering="state")
    def where_it_is(self, order: models.Order) -> str:
        return display.state(order)

    @admin.display(description="total", ordering="total")
    def to_pay(self, order: models.Order) -> str:
        return display.money(order.total, order.currency)

    @admin.display(description="placed", ordering="placed_at")
    def placed(self, order: models.Order) -> str:
        return display.moment(order.placed_at)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[models.Order]":
        return super().get_queryset(request).defer("price_trace")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        order = (
            models.Order.objects.select_related("user")
            .prefetch_related("lines__variant", "payments__refunds__actor", "shipments", "events__actor")
            .get(pk=options["obj"].pk)
        )
        context |= {
            "order": order,
            "trace": orders.trace(order=order),
            "codes": orders.discount_codes(order=order),
            "actions": order_actions.offered(order, request.user),
        }
        return super().render_change_form(request, context, *args, **options)
