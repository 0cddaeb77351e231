"""Orders, their payments and parcels."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join

from domain import orders
from storefront import models
from storefront.admin.read_only import ReadOnlyAdmin, ReadOnlyInline


class OrderLineInline(ReadOnlyInline):
    model = models.OrderLine
    fields = ["sku", "title", "variant_title", "quantity", "unit_price", "total", "discount", "net", "tax"]


class PaymentInline(ReadOnlyInline):
    model = models.Payment
    fields = ["created_at", "provider", "state", "amount", "currency", "reference", "failure"]


@admin.register(models.GatewayEvent)
class GatewayEventAdmin(ReadOnlyAdmin):
    """What gateways told us. Those without a payment are about money that we know nothing of."""

    list_display = ["received_at", "provider", "kind", "reference", "payment", "processed_at"]
    list_filter = ["provider", ("payment", admin.EmptyFieldListFilter), ("processed_at", admin.EmptyFieldListFilter)]
    list_select_related = ["payment"]
    search_fields = ["reference", "event_id"]


@admin.register(models.Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "payment", "amount", "state", "reason", "failure", "actor"]
    list_filter = ["state"]
    search_fields = ["payment__order__number"]
    list_select_related = ["payment", "actor"]


class ShipmentInline(ReadOnlyInline):
    model = models.Shipment
    fields = ["shipped_at", "carrier", "tracking_number", "tracking_url"]
    readonly_fields = ["tracking_url"]  # A link, and no widget for one.


class OrderEventInline(ReadOnlyInline):
    model = models.OrderEvent
    fields = ["at", "kind", "message", "actor"]


@admin.register(models.Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ["number", "state", "email", "total", "currency", "placed_at"]
    list_filter = ["state", "events__kind"]
    search_fields = ["number", "email", "=discount_uses__discount__code"]
    ordering = ["-placed_at"]
    exclude = ["cart", "price_trace"]
    readonly_fields = ["how_the_total_came_about"]
    inlines = [OrderLineInline, PaymentInline, ShipmentInline, OrderEventInline]

    @admin.display
    def how_the_total_came_about(self, order: models.Order) -> str:
        rows = (
            (
                step.label,
                "" if step.rate is None else f"{step.rate.normalize():f} % of {step.base}",
                f"({step.amount} included)" if step.included else str(step.amount),
            )
            for step in orders.trace(order)
        )
        return format_html("<table>{}</table>", format_html_join("", "<tr><td>{}<td>{}<td>{}</tr>", rows))
