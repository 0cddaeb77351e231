"""Shipping methods for a parcel, and their prices. Prices are computed here, never taken from a client."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from django.conf import settings

from domain.base.errors import DomainError
from domain.base.money import ZERO, Exchange, quantize
from storefront.models import Address, CartLine, ShippingMethod


class ShippingUnavailable(DomainError):
    """No shipping method was chosen, or the chosen one is not available. `offers` can be chosen."""

    code: ClassVar[str] = "SHIPPING_UNAVAILABLE"

    def __init__(self, message: str, *, offers: Sequence["Offer"] = (), field: Sequence[str] = ()) -> None:
        super().__init__(message, field=field)
        self.offers = list(offers)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel to send. `worth` is the goods' price after discounts, in the exchange's currency."""

    address: Address
    grams: int
    worth: Decimal
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Offer:
    """A shipping method that takes the parcel, with its price in `currency`. `rule` explains the price."""

    method: ShippingMethod
    price: Decimal
    currency: str
    rule: str


def grams(*, lines: Iterable[CartLine]) -> int:
    """The total weight in grams. A variant without a weight counts as 0."""
    return sum((line.variant.weight_grams or 0) * line.quantity for line in lines)


def delivers_to(*, method: ShippingMethod, address: Address) -> bool:
    countries = method.zone.countries or settings.SHOP_COUNTRIES
    return method.is_active and address.country_code in countries and address.country_code in settings.SHOP_COUNTRIES


def methods() -> dict[int, ShippingMethod]:
    """All active methods with zone and weight bands, by key and in the shop's order. Takes two SQL statements."""
    offered = ShippingMethod.objects.filter(is_active=True)
    return {method.pk: method for method in offered.select_related("zone").prefetch_related("bands")}


def offer(*, method: ShippingMethod, parcel: Parcel) -> Offer | None:
    """The method's offer for the parcel; None if it does not deliver there or takes no parcel that heavy."""
    if not delivers_to(method=method, address=parcel.address):
        return None
    currency, bands = parcel.exchange.currency, method.bands.all()
    price, rule = method.price, method.name
    if bands:
        band = next((band for band in bands if parcel.grams <= band.up_to_grams), None)
        if band is None:
            return None
        price, rule = band.price, f"{method.name}, {parcel.grams} g, up to {band.up_to_grams} g"
    if method.free_from is not None and parcel.worth >= parcel.exchange(method.free_from):
        threshold = parcel.exchange(method.free_from)
        return Offer(
            method,
            quantize(amount=ZERO, currency=currency),
            currency,
            f"{method.name}, free from {threshold} {currency}",
        )
    return Offer(method, parcel.exchange(price), currency, rule)


def offers(*, parcel: Parcel, methods: Mapping[int, ShippingMethod]) -> list[Offer]:
    """The offers of all methods that take the parcel."""
    return [found for method in methods.values() if (found := offer(method=method, parcel=parcel))]
