"""The demo shop: products with generated images, shipping methods, users and orders."""

import contextlib
import csv
import io
import tempfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from domain.catalog import images
from domain.importing.sheets import Note
from domain.importing.shopify_csv import import_products
from domain.payments import payments
from domain.sales import cart as carts
from domain.sales import checkout, orders
from storefront import demo
from storefront.demo.pictures import draw_all
from storefront.models import (
    Address,
    Currency,
    Discount,
    DiscountKind,
    Order,
    OutboxMessage,
    PaymentProvider,
    Product,
    ProductVariant,
    ShippingMethod,
    ShippingZone,
    TaxRate,
    User,
    WeightBand,
)

PRODUCTS = Path(demo.__file__).parent / "products.csv"
PASSWORD = "demo-shop-1234"  # noqa: S105 (public, but refused without DEBUG)
STAFF, CUSTOMER = "owner@example.com", "ada@example.com"

_ZONES: dict[str, list[str]] = {"Everywhere": [], "Nearby": ["DE", "AT", "NL", "BE"], "Home": ["DE"]}
_SHIPPING: dict[str, dict[str, Any]] = {
    "Standard": {"zone": "Everywhere", "price": "4.90", "free_from": "150", "estimate": "2-4 days", "position": 1},
    "Express": {"zone": "Nearby", "price": "12.50", "estimate": "the next day", "position": 2},
    "Pick-up in the shop": {"zone": "Home", "price": "0", "estimate": "today", "position": 3},
}
_EXPRESS_BANDS = {2_000: "12.50", 10_000: "19.50", 30_000: "29.50"}
_TAX = {"AT": "20", "BE": "21", "DE": "19", "FR": "20", "NL": "21"}
_CURRENCIES = {"USD": "1.10", "JPY": "165"}
_CODES: dict[str, dict[str, Any]] = {
    "WELCOME10": {"kind": DiscountKind.PERCENTAGE, "value": "10", "max_uses_per_customer": 1},
    "FREESHIP": {"kind": DiscountKind.FREE_SHIPPING, "value": "0", "minimum_total": "50"},
}
_ADDRESS = Address(name="Ada Example", line1="Am Hafen 1", postal_code="20457", city="Hamburg", country_code="DE")
# Quantities by SKU, the order's age in days, and the payment tokens. Orders without a token are cancelled.
_ORDERS: list[tuple[dict[str, int], float, list[str]]] = [
    ({"HLS-SAND-M": 1, "MUG-ENAMEL": 2}, 12, ["ok"]),
    ({"MUG-ENAMEL": 4}, 9, []),
    ({"HLS-INDIGO-S": 1}, 5, ["decline", "ok"]),
    ({"HLS-SAND-M": 2}, 0.5, ["decline"]),
    ({"MUG-ENAMEL": 1}, 0, ["action"]),
]


class Command(BaseCommand):
    help = "Loads the demo shop. Running it again adds what is missing and changes nothing else."

    def handle(self, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo shop needs DEBUG=true, because its passwords are public.")
        now = timezone.now()
        _load_terms()
        self._load_products(now - timedelta(days=30))
        if not User.objects.filter(email=STAFF).exists():
            User.objects.create_superuser(STAFF, PASSWORD, name="Olive Owner")
        customer = User.objects.filter(email=CUSTOMER).first() or User.objects.create_user(
            CUSTOMER, PASSWORD, name="Ada Example"
        )
        if not Order.objects.exists():
            for quantities, days_ago, tokens in _ORDERS:
                _buy(customer, quantities, tokens, now=now - timedelta(days=days_ago))
            # The demo orders send no mails.
            OutboxMessage.objects.exclude(kind=images.RENDER).delete()
        self.stdout.write(
            f"Demo shop: {Product.objects.count()} products, {ProductVariant.objects.count()} variants, "
            f"{Order.objects.count()} orders.\n"
            f"Log in at /admin/ as {STAFF} with the password {PASSWORD}. The orders belong to {CUSTOMER}."
        )

    def _load_products(self, now: datetime) -> None:
        with PRODUCTS.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        existing = set(Product.objects.values_list("slug", flat=True))
        missing = [row for row in rows if row["Handle"] not in existing]
        if not missing:
            return
        export = io.StringIO()
        writer = csv.DictWriter(export, rows[0].keys())
        writer.writeheader()
        writer.writerows(missing)
        export.seek(0)
        with tempfile.TemporaryDirectory() as pictures:
            draw_all(Path(pictures), missing)
            for outcome in import_products(lines=export, images=Path(pictures), dry_run=False, actor=None, now=now):
                if isinstance(outcome, Note):
                    raise CommandError(f"{PRODUCTS.name}, {outcome.handle}: {outcome.message}")


def _load_terms() -> None:
    """Shipping, taxes, currencies and discount codes. Changes that staff made are kept."""
    zones = {
        name: ShippingZone.objects.get_or_create(name=name, defaults={"countries": countries})[0]
        for name, countries in _ZONES.items()
    }
    for name, values in _SHIPPING.items():
        zone = zones[values["zone"]]
        method, is_new = ShippingMethod.objects.get_or_create(name=name, zone=zone, defaults={**values, "zone": zone})
        if is_new and name == "Express":
            WeightBand.objects.bulk_create(
                WeightBand(method=method, up_to_grams=grams, price=Decimal(price))
                for grams, price in _EXPRESS_BANDS.items()
            )
    for country, percent in _TAX.items():
        TaxRate.objects.get_or_create(
            country_code=country, region="", tax_class=None, defaults={"percent": Decimal(percent)}
        )
    for code, rate in _CURRENCIES.items() if settings.SHOP_CURRENCY == "EUR" else ():
        Currency.objects.get_or_create(code=code, defaults={"rate": Decimal(rate)})
    for code, values in _CODES.items():
        Discount.objects.get_or_create(code=code, defaults=values)


def _buy(customer: User, quantities: dict[str, int], tokens: list[str], *, now: datetime) -> None:
    """Places an order and pays it, through the same functions as any buyer."""
    ids = dict(ProductVariant.objects.filter(sku__in=quantities).values_list("sku", "pk"))
    key = carts.CartKey(user=customer)
    carts.add_lines(key=key, lines=[carts.NewLine(ids[sku], n) for sku, n in quantities.items()], now=now)
    priced = checkout.update(
        key=key,
        email=customer.email,
        shipping_address=_ADDRESS,
        shipping_method_id=ShippingMethod.objects.get(name="Standard", zone__name="Everywhere").pk,
        now=now,
    )
    total = priced.quote.totals.total
    order = orders.place(key=key, expected_total=total, now=now).order
    if not tokens:
        orders.cancel(order_id=order.pk, viewer=customer, reason="Ordered by mistake.", now=now)
    for token in tokens:
        with contextlib.suppress(payments.PaymentDeclined):  # Some demo payments are declined on purpose.
            payments.start(order_id=order.pk, viewer=customer, provider=PaymentProvider.TEST, method=token, now=now)
