"""The staff groups and their permissions. `manage.py migrate` creates missing groups.

Existing groups are not changed. Members also need `User.is_staff`.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission

_VIEW_CATALOGUE = ["view_product", "view_productvariant", "view_image", "view_category", "view_tag", "view_stock"]
_CATALOGUE_MODELS = ["product", "productvariant", "image", "category", "tag", "variantprice"]
_VIEW_ORDERS = ["view_order", "view_orderline", "view_orderevent", "view_shipment", "view_payment", "view_refund"]

# Permissions of this app by group name. None: all of them, and the permissions on groups.
GROUPS: dict[str, list[str] | None] = {
    # Counts, packs and ships.
    "clerk": [*_VIEW_CATALOGUE, "change_stock", "view_stockmovement", *_VIEW_ORDERS, "change_order"],
    # Creates, prices, counts and publishes products.
    "catalogue manager": [
        *_VIEW_CATALOGUE,
        *(f"{verb}_{model}" for model in _CATALOGUE_MODELS for verb in ("add", "change", "delete")),
        *("view_variantprice", "view_currency", "view_taxclass", "view_discount"),
        *("change_stock", "view_stockmovement", "view_change"),
    ],
    # Answers customers: looks up, cancels and refunds orders.
    "support": [*_VIEW_CATALOGUE, *_VIEW_ORDERS, "change_order", "add_refund", "view_user", "view_discount"],
    "owner": None,
}


def make_missing_groups(**_: Any) -> None:
    """Called after each migration, when the permissions exist."""
    existing = set(Group.objects.values_list("name", flat=True))
    shop_permissions = Permission.objects.filter(content_type__app_label="storefront")
    for name, codenames in GROUPS.items():
        if name in existing:
            continue
        group_permissions = Permission.objects.filter(content_type__app_label="auth", content_type__model="group")
        everything = shop_permissions | group_permissions
        permissions = everything if codenames is None else shop_permissions.filter(codename__in=codenames)
        Group.objects.create(name=name).permissions.set(permissions)
