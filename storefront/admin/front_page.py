"""The dashboard: sales figures and open tasks, limited to what the user may view."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from domain.reporting import dashboard
from storefront import models
from storefront.admin.navigation import list_page
from storefront.templatetags import display

_DAYS = 30
_MAX_ROWS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """An open task: its name, a short note, and the page to handle it."""

    name: str
    about: str
    page: str


@dataclass(frozen=True, slots=True)
class Card:
    """Open tasks of one kind: number, first few, and the page with all. `nothing` is the text for an empty card."""

    title: str
    icon: str
    count: int
    rows: list[Row]
    page: str
    nothing: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart. Width and height of the chart are 100 units."""

    x: float
    height: float
    label: str


def with_numbers(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's callback: adds the figures and cards that the user may view to the context of the dashboard."""
    has_perm = request.user.has_perm
    now = timezone.now()
    cards = []
    if has_perm("storefront.view_order"):
        context |= _sales(dashboard.sales(days=_DAYS, now=now))
        cards.append(_orders_to_ship())
    if has_perm("storefront.view_gatewayevent"):
        cards.append(_payments_to_check(now))
    if has_perm("storefront.view_stock"):
        cards.append(_low_stock())
    if has_perm("storefront.view_outboxmessage"):
        cards.append(_failed_jobs())
    return context | {"cards": cards}


def _sales(days: list[dashboard.Day]) -> dict[str, Any]:
    highest = max(day.revenue for day in days)
    bars = [
        Bar(
            x=index * 100 / len(days),
            height=float(day.revenue / highest * 100) if highest > 0 and day.revenue > 0 else 0,
            label=f"{day.date:%a %d %b}: {display.money(day.revenue, settings.SHOP_CURRENCY)}, "
            f"{day.orders} order{'' if day.orders == 1 else 's'}",
        )
        for index, day in enumerate(days)
    ]
    orders, revenue = sum(day.orders for day in days), sum((day.revenue for day in days), Decimal(0))
    figures = {
        "Revenue": display.money(revenue, settings.SHOP_CURRENCY),
        "Orders": f"{orders:,}",
        "Average order value": display.money(revenue / orders, settings.SHOP_CURRENCY) if orders else "–",
        "Revenue today": display.money(days[-1].revenue, settings.SHOP_CURRENCY),
    }
    dates = [days[0].date, days[len(days) // 2].date, days[-1].date]
    return {"figures": figures, "bars": bars, "bar_width": 100 / len(days) * 0.7, "dates": dates, "most": highest}


def _card(title: str, icon: str, *, queryset: QuerySet[Any], row: Any, page: str, nothing: str) -> Card:
    return Card(title, icon, queryset.count(), [row(each) for each in queryset[:_MAX_ROWS]], page, nothing)


def _order_page(order: models.Order) -> str:
    return reverse("admin:storefront_order_change", args=[order.pk])


def _orders_to_ship() -> Card:
    return _card(
        "Orders to ship",
        "package_2",
        queryset=dashboard.orders_to_ship(),
        row=lambda order: Row(
            order.number,
            f"{order.shipping_address.name} · {order.shipping_method} · {display.moment(order.placed_at)}",
            _order_page(order),
        ),
        page=list_page(models.Order, "state__exact=PAID"),
        nothing="No orders to ship.",
    )


def _payments_to_check(now: Any) -> Card:
    """All payment problems in one card, because staff check them together."""
    kinds: list[tuple[QuerySet[Any], Any]] = [
        (
            dashboard.orders_with_refund_due(),
            lambda order: Row(order.number, "refund due", _order_page(order)),
        ),
        (
            dashboard.unanswered_payments(now=now),
            lambda payment: Row(
                payment.order.number,
                f"no answer from {payment.get_provider_display()} since {display.moment(payment.asked_at)}",
                _order_page(payment.order),
            ),
        ),
        (
            dashboard.unanswered_refunds(now=now),
            lambda refund: Row(
                refund.payment.order.number,
                f"refund without an answer since {display.moment(refund.created_at)}",
                _order_page(refund.payment.order),
            ),
        ),
        (
            dashboard.unmatched_gateway_events(now=now),
            lambda event: Row(
                str(event),
                f"unknown payment, {display.moment(event.received_at)}",
                reverse("admin:storefront_gatewayevent_change", args=[event.pk]),
            ),
        ),
    ]
    rows = [row(each) for queryset, row in kinds for each in queryset[:_MAX_ROWS]]
    return Card(
        "Payments to check",
        "account_balance",
        sum(queryset.count() for queryset, _ in kinds),
        rows[:_MAX_ROWS],
        list_page(models.Order, "events__kind__exact=REFUND_DUE"),
        "No problems with payments.",
    )


def _low_stock() -> Card:
    return _card(
        "Low stock",
        "production_quantity_limits",
        queryset=dashboard.low_stock(),
        row=lambda stock: Row(
            f"{stock.variant.product.title} {stock.variant.title}".strip(),
            f"{stock.available} left · {stock.variant.sku}",
            reverse("admin:storefront_product_change", args=[stock.variant.product_id]),
        ),
        page=list_page(models.Stock, "left=low"),
        nothing="No product is low on stock.",
    )


def _failed_jobs() -> Card:
    failed, clocks = dashboard.failed_messages(), dashboard.failing_clocks()
    page = list_page(models.OutboxMessage, "given_up_at__isempty=0")
    rows: Iterable[Row] = [
        *(Row(f"Scheduled job {run.clock}", run.error, page) for run in clocks[:_MAX_ROWS]),
        *(Row(str(message), message.error, page) for message in failed[:_MAX_ROWS]),
    ]
    return Card(
        "Failed jobs",
        "mail_off",
        clocks.count() + failed.count(),
        list(rows)[:_MAX_ROWS],
        page,
        "No failed jobs.",
    )
