"""The sidebar: the pages that the user may open, grouped by area."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.urls import reverse

from storefront import models

# The pages of each group: model of the list, title, icon, and query string that filters the list.
_GROUPS: dict[str, list[tuple[Any, str, str, str]]] = {
    "Orders": [
        (models.Order, "To ship", "package_2", "state__exact=PAID"),
        (models.Order, "All orders", "receipt_long", ""),
        (models.Refund, "Refunds", "undo", ""),
        (models.GatewayEvent, "Gateway events", "account_balance", ""),
    ],
    "Catalogue": [
        (models.Product, "Products", "sell", ""),
        (models.Category, "Categories", "account_tree", ""),
        (models.Tag, "Tags", "label", ""),
        (models.VariantPrice, "Prices in other currencies", "currency_exchange", ""),
        (models.Import, "Import and export", "swap_vert", ""),
    ],
    "Stock": [
        (models.Stock, "Low stock", "production_quantity_limits", "left=low"),
        (models.Stock, "All stock", "inventory_2", ""),
    ],
    "Customers and staff": [
        (models.User, "Users", "person", ""),
        (Group, "Groups", "groups", ""),
    ],
    "Settings": [
        (models.Discount, "Discount codes", "percent", ""),
        (models.ShippingMethod, "Shipping methods", "local_shipping", ""),
        (models.ShippingZone, "Shipping zones", "public", ""),
        (models.TaxRate, "Tax rates", "request_quote", ""),
        (models.TaxClass, "Tax classes", "category", ""),
        (models.Currency, "Currencies", "euro", ""),
    ],
    "System": [
        (models.Change, "Activity log", "manage_history", ""),
        (models.OutboxMessage, "Failed jobs", "mail_off", "given_up_at__isempty=0"),
        (models.OutboxMessage, "Background jobs", "pending_actions", ""),
        (models.WebhookEndpoint, "Webhooks", "webhook", ""),
        (models.WebhookDelivery, "Webhook deliveries", "history", ""),
    ],
}


def list_page(model: Any, narrowed_to: str = "") -> str:
    """The URL of a model's list, optionally filtered by a query string."""
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{page}?{narrowed_to}" if narrowed_to else page


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """unfold's callback for the sidebar."""
    first = {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"title": "", "items": [first]}]
    for title, pages in _GROUPS.items():
        items = [
            {"title": name, "icon": icon, "link": list_page(model, query), "active": _is_open(request, model, query)}
            for model, name, icon, query in pages
            if admin.site.get_model_admin(model).has_view_permission(request)
        ]
        if items:
            groups.append({"title": title, "items": items})
    return groups


def _is_open(request: HttpRequest, model: Any, narrowed_to: str) -> bool:
    """Whether the current page is this entry: the list with this filter, or without a filter any page of the model."""
    current_query = request.GET.urlencode()
    if narrowed_to:
        return request.path == list_page(model) and current_query == narrowed_to
    has_other_entry = any(
        other is model and query and query == current_query
        for pages in _GROUPS.values()
        for other, _, _, query in pages
    )
    return request.path.startswith(list_page(model)) and not has_other_entry
