"""The first page: how the shop sells, and what waits for somebody. Each sees of it what they may."""

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
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Row:
    """A thing that waits: what it is, a word about it, and the page where something can be done."""

    name: str
    about: str
    page: str


@dataclass(frozen=True, slots=True)
class Card:
    """So many things that wait, the first few of them, and the page with all; `nothing` is said when there are none."""

    title: str
    icon: str
    count: int
    rows: list[Row]
    page: str
    nothing: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart, in its units: 0 to 100 up."""

    x: float
    height: float
    label: str


def with_numbers(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's callback: the context of the first page, with what the viewer may see."""
    may = request.user.has_perm
    now = timezone.now()
    cards = []
    if may("storefront.view_order"):
        context |= _sales(dashboard.sales(days=_DAYS, now=now))
        cards.append(_to_ship())
    if may("storefront.view_gatewayevent"):
        cards.append(_payments(now))
    if may("storefront.view_stock"):
        cards.append(_low())
    if may("storefront.view_outboxmessage"):
        cards.append(_background())
    return context | {"cards": cards}


def _sales(days: list[dashboard.Day]) -> dict[str, Any]:
    most = max(day.revenue for day in days)
    bars = [
        Bar(
            x=index * 100 / len(days),
            height=float(day.revenue / most * 100) if most > 0 and day.revenue > 0 else 0,
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
    return {"figures": figures, "bars": bars, "bar_width": 100 / len(days) * 0.7, "dates": dates, "most": most}


def _card(title: str, icon: str, *, found: QuerySet[Any], rows: Any, page: str, nothing: str) -> Card:
    return Card(title, icon, found.count(), [rows(row) for row in found[:_SHOWN]], page, nothing)


def _order_page(order: models.Order) -> str:
    return reverse("admin:storefront_order_change", args=[order.pk])


def _to_ship() -> Card:
    return _card(
        "Orders to ship",
        "package_2",
        found=dashboard.orders_to_ship(),
        rows=lambda order: Row(
            order.number,
            f"{order.shipping_address.name} · {order.shipping_method} · {display.moment(order.placed_at)}",
            _order_page(order),
        ),
        page=list_page(models.Order, "state__exact=PAID"),
        nothing="No orders to ship.",
    )


def _payments(now: Any) -> Card:
    """Four kinds of trouble with money in one card, since whoever looks into one looks into all."""
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
    rows = [row(found) for rows, row in kinds for found in rows[:_SHOWN]]
    return Card(
        "Payments to check",
        "account_balance",
        sum(found.count() for found, _ in kinds),
        rows[:_SHOWN],
        list_page(models.Order, "events__kind__exact=REFUND_DUE"),
        "No problems with payments.",
    )


def _low() -> Card:
    return _card(
        "Low stock",
        "production_quantity_limits",
        found=dashboard.low_stock(),
        rows=lambda stock: Row(
            f"{stock.variant.product.title} {stock.variant.title}".strip(),
            f"{stock.available} left · {stock.variant.sku}",
            reverse("admin:storefront_product_change", args=[stock.variant.product_id]),
        ),
        page=list_page(models.Stock, "left=low"),
        nothing="No product is low on stock.",
    )


def _background() -> Card:
    dead, clocks = dashboard.failed_messages(), dashboard.failing_clocks()
    page = list_page(models.OutboxMessage, "given_up_at__isempty=0")
    rows: Iterable[Row] = [
        *(Row(f"Scheduled job {run.clock}", run.error, page) for run in clocks[:_SHOWN]),
        *(Row(str(letter), letter.error, page) for letter in dead[:_SHOWN]),
    ]
    return Card(
        "Failed jobs",
        "mail_off",
        clocks.count() + dead.count(),
        list(rows)[:_SHOWN],
        page,
        "No failed jobs.",
    )
