"""Prices in the shop's currency, and in the further ones that it offers."""

from collections.abc import Collection
from decimal import Decimal
from typing import ClassVar

from django.conf import settings

from domain.errors import DomainError
from domain.money import Exchange
from storefront.models import Cart, Currency, ProductVariant, VariantPrice


class CurrencyUnavailable(DomainError):
    """The shop does not sell in this currency (any more)."""

    code: ClassVar[str] = "CURRENCY_UNAVAILABLE"

    def __init__(self, code: str) -> None:
        super().__init__(f"The shop does not sell in {code or 'no currency'}.", field=["currency"])


def offered() -> list[str]:
    """The codes of all that can be bought in, the shop's own first."""
    return [settings.SHOP_CURRENCY, *Currency.objects.filter(is_active=True).values_list("code", flat=True)]


def named(code: str) -> Currency | None:
    """The further currency of that ISO 4217 code; None for the shop's own. Raises CurrencyUnavailable."""
    if code == settings.SHOP_CURRENCY:
        return None
    found = Currency.objects.filter(pk=code, is_active=True).first()
    if found is None:
        raise CurrencyUnavailable(code)
    return found


def exchange_to(currency: Currency | None) -> Exchange:
    return Exchange(currency.code, currency.rate) if currency else Exchange(settings.SHOP_CURRENCY)


def exchange_of(cart: Cart) -> Exchange:
    return exchange_to(cart.currency)


def unit_prices(variants: Collection[ProductVariant], exchange: Exchange) -> dict[int, Decimal]:
    """What one unit of each costs, by its key: as listed in that currency, or else converted."""
    prices = {variant.pk: exchange(variant.price) for variant in variants}
    if exchange.currency != settings.SHOP_CURRENCY:
        listed = VariantPrice.objects.filter(currency=exchange.currency, variant__in=prices).order_by()
        fixed = Exchange(exchange.currency)
        prices |= {pk: fixed(price) for pk, price in listed.values_list("variant_id", "price")}
    return prices
