"""Prices in the shop's own currency and in the other currencies that it offers."""

from collections.abc import Collection
from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.db.models import QuerySet

from domain.base.errors import DomainError
from domain.base.money import Exchange, quantize
from storefront.models import Cart, Currency, ProductVariant, VariantPrice


class CurrencyUnavailable(DomainError):
    """The shop does not sell in this currency, or no longer does."""

    code: ClassVar[str] = "CURRENCY_UNAVAILABLE"

    def __init__(self, code: str) -> None:
        super().__init__(f"The shop does not sell in the currency {code!r}.", field=["currency"])


def offered() -> list[str]:
    """The ISO 4217 codes of all currencies that the shop sells in, its own first."""
    return [settings.SHOP_CURRENCY, *Currency.objects.filter(is_active=True).values_list("code", flat=True)]


def by_code(*, code: str) -> Currency | None:
    """The offered currency with this ISO 4217 code; None for the shop's own. Raises CurrencyUnavailable."""
    if code == settings.SHOP_CURRENCY:
        return None
    found = Currency.objects.filter(pk=code, is_active=True).first()
    if found is None:
        raise CurrencyUnavailable(code)
    return found


def exchange_to(*, currency: Currency | None) -> Exchange:
    return Exchange(currency.code, currency.rate) if currency else Exchange(settings.SHOP_CURRENCY)


def exchange_of(*, cart: Cart) -> Exchange:
    return exchange_to(currency=cart.currency)


def listed_in(*, exchange: Exchange) -> QuerySet[VariantPrice]:
    """The list prices in this currency, to prefetch as a variant's `prices`. Empty, without SQL, for the shop's own
    currency, whose prices are columns of the variant."""
    if exchange.currency == settings.SHOP_CURRENCY:
        # Not `none()`: querysets for two prefetches of one relation have to be equal, and those never are.
        return VariantPrice.objects.filter(pk__in=())
    return VariantPrice.objects.filter(currency=exchange.currency)


def price_of(*, variant: ProductVariant, exchange: Exchange) -> Decimal:
    """The price of one unit: the list price in this currency, else the converted one. Reads the variant's `prices`."""
    listed = _listed(variant, exchange)
    return quantize(amount=listed.price, currency=exchange.currency) if listed else exchange(variant.price)


def compare_at_price_of(*, variant: ProductVariant, exchange: Exchange) -> Decimal | None:
    """The compare-at price of one unit, from the same source as `price_of`; None if there is none."""
    listed = _listed(variant, exchange)
    before: Decimal | None = listed.compare_at_price if listed else variant.compare_at_price
    if before is None:
        return None
    return quantize(amount=before, currency=exchange.currency) if listed else exchange(before)


def _listed(variant: ProductVariant, exchange: Exchange) -> VariantPrice | None:
    if exchange.currency == settings.SHOP_CURRENCY:
        return None
    return next((each for each in variant.prices.all() if each.currency_id == exchange.currency), None)


def unit_prices(*, variants: Collection[ProductVariant], exchange: Exchange) -> dict[int, Decimal]:
    """The prices of one unit by variant key: the list price in this currency, else the converted one."""
    fixed = {}
    if exchange.currency != settings.SHOP_CURRENCY:
        listed = listed_in(exchange=exchange).filter(variant__in=[variant.pk for variant in variants]).order_by()
        fixed = {
            pk: quantize(amount=price, currency=exchange.currency)
            for pk, price in listed.values_list("variant_id", "price")
        }
    return {variant.pk: fixed.get(variant.pk, exchange(variant.price)) for variant in variants}
