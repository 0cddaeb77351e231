"""The groups of the shop's staff, and what each may do. `manage.py migrate` makes those that are missing.

A group that is there stays as the owner has made it. Whoever is in one also has to be of the staff (`User.is_staff`).
"""

from typing import Any

from django.contrib.auth.models import Group, Permission

_SEES_GOODS = ["view_product", "view_productvariant", "view_image", "view_category", "view_tag", "view_stock"]
_WRITES = ["product", "productvariant", "image", "category", "tag", "variantprice"]
_SEES_ORDERS = ["view_order", "view_orderline", "view_orderevent", "view_shipment", "view_payment", "view_refund"]

# By name, permissions of this app's models; None: all of them, and the right to put people into groups.
GROUPS: dict[str, list[str] | None] = {
    # Counts, packs and ships.
    "clerk": [*_SEES_GOODS, "change_stock", "view_stockmovement", *_SEES_ORDERS, "change_order"],
    # Puts goods in, prices, counts and publishes them.
    "catalogue manager": [
        *_SEES_GOODS,
        *(f"{verb}_{model}" for model in _WRITES for verb in ("add", "change", "delete")),
        *("view_variantprice", "view_currency", "view_taxclass", "view_discount"),
        *("change_stock", "view_stockmovement", "view_change"),
    ],
    # Answers customers: looks up, cancels, gives back.
    "support": [*_SEES_GOODS, *_SEES_ORDERS, "change_order", "add_refund", "view_user", "view_discount"],
    "owner": None,
}


def make_missing_groups(**_: Any) -> None:
    """Called after each migration, when the permissions are there."""
    present = set(Group.objects.values_list("name", flat=True))
    ours = Permission.objects.filter(content_type__app_label="storefront")
    for name, wanted in GROUPS.items():
        if name in present:
            continue
        allowed = ours | Permission.objects.filter(content_type__app_label="auth", content_type__model="group")
        Group.objects.create(name=name).permissions.set(allowed if wanted is None else ours.filter(codename__in=wanted))
