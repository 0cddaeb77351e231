"""Formats values for the admin: amounts, states, images, links."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html

from domain.base.money import quantize
from domain.catalog import images, stock
from domain.catalog.renditions import ImageSize
from storefront import models

register = template.Library()

# Colours of states: good, todo (staff must act), waiting, bad (something failed), over (closed).
_TONES: dict[str, str] = {
    models.OrderState.AWAITING_PAYMENT: "waiting",
    models.OrderState.PAID: "todo",
    models.OrderState.SHIPPED: "good",
    models.OrderState.DELIVERED: "good",
    models.OrderState.CANCELLED: "over",
    models.OrderState.EXPIRED: "over",
    models.OrderState.REFUNDED: "bad",
    models.PaymentState.PENDING: "waiting",
    models.PaymentState.REQUIRES_ACTION: "waiting",
    models.PaymentState.SUCCEEDED: "good",
    models.PaymentState.FAILED: "bad",
}

_ICONS: dict[str, str] = {
    models.OrderEventKind.PLACED: "shopping_cart",
    models.OrderEventKind.PAYMENT_STARTED: "credit_card",
    models.OrderEventKind.PAYMENT_FAILED: "credit_card_off",
    models.OrderEventKind.PAID: "paid",
    models.OrderEventKind.SHIPPED: "local_shipping",
    models.OrderEventKind.DELIVERED: "where_to_vote",
    models.OrderEventKind.CANCELLED: "cancel",
    models.OrderEventKind.EXPIRED: "timer_off",
    models.OrderEventKind.REFUND_DUE: "error",
    models.OrderEventKind.REFUNDED: "undo",
}


@register.filter
def money(amount: Decimal, currency: str) -> str:
    """1,234.50 EUR"""
    return f"{quantize(amount=amount, currency=currency):,} {currency}"


@register.filter
def moment(at: datetime) -> str:
    """15 Jan 2030, 12:00"""
    return f"{timezone.localtime(at):%d %b %Y, %H:%M}".lstrip("0")


@register.filter
def percent(rate: Decimal) -> str:
    return f"{rate.normalize():f} %"


def badge(text: str, tone: str) -> str:
    return format_html('<span class="shop-badge shop-{}">{}</span>', tone, text)


@register.filter
def state(row: models.Order | models.Payment | models.Refund) -> str:
    """The row's state as a coloured badge."""
    return badge(row.get_state_display(), _TONES[row.state])


@register.filter
def icon(event: models.OrderEvent) -> str:
    return _ICONS[event.kind]


_IMPORT_STATES: dict[str, tuple[str, str]] = {
    models.ImportState.CHECKING: ("waiting", "Checking the file. Nothing is changed."),
    models.ImportState.CHECKED: ("todo", "Checked. The import would make these changes."),
    models.ImportState.RUNNING: ("waiting", "Importing."),
    models.ImportState.DONE: ("good", "Imported."),
}


@register.filter
def import_state(row: models.Import) -> str:
    return badge(row.get_state_display(), _IMPORT_STATES[row.state][0])


@register.filter
def import_heading(row: models.Import) -> str:
    return _IMPORT_STATES[row.state][1]


_ACTION_TONES: dict[str, str] = {
    models.ChangeAction.CREATED: "good",
    models.ChangeAction.UPDATED: "todo",
    models.ChangeAction.DELETED: "bad",
}


@register.filter
def change_action(change: models.Change) -> str:
    return badge(change.get_action_display(), _ACTION_TONES[change.action])


def thumbnail(image: models.Image | None) -> str:
    if image is None:
        return format_html('<span class="shop-thumbnail material-symbols-outlined">{}</span>', "image")
    return format_html(
        '<img class="shop-thumbnail" src="{}" alt="{}" loading="lazy">',
        images.url(image=image, size=ImageSize.THUMBNAIL),
        image.alt,
    )


def is_web_address(url: str) -> bool:
    """Whether the address is safe to link to. A `javascript:` link would run with the rights of the user."""
    return url.lower().startswith(("https://", "http://"))


@register.filter
def link(url: str, text: Any) -> str:
    """An external link, or only its text if the address is not safe."""
    if not is_web_address(url):
        return str(text)
    return format_html('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>', url, text)


_AVAILABILITY_TONES = {
    stock.Availability.LOW_STOCK: "waiting",
    stock.Availability.OUT_OF_STOCK: "bad",
    stock.Availability.BACKORDER: "waiting",
}


def units(row: models.Stock) -> str:
    """The available quantity, as a coloured badge if it is low."""
    if row.policy == models.StockPolicy.UNTRACKED:
        return "not tracked"
    tone = _AVAILABILITY_TONES.get(stock.availability(stock=row))
    return badge(f"{row.available} left", tone) if tone else f"{row.available:,}"
