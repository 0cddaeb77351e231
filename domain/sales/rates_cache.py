"""Tax rates and shipping methods, which are the same for every cart until staff change them.

A process reads them once for each version of the catalogue. A cart is read together with the version it belongs to.
"""

from typing import NamedTuple

from domain.sales import shipping
from domain.sales import tax as taxes
from storefront.models import ShippingMethod


class Rates(NamedTuple):
    """Shared by every request of this process: never change them."""

    tax: taxes.RatesByPlace
    shipping_methods: dict[int, ShippingMethod]


_cached: dict[int, Rates] = {}


def rates(*, changes: int | None) -> Rates:
    """The rates of the catalogue's version `changes`, or of a later one.

    None stands for a transaction that changes the catalogue itself and may be rolled back: nothing is cached for it.
    """
    if changes is None:
        return _read()
    found = _cached.get(changes)
    if found is None:
        found = _read()
        _cached.clear()
        _cached[changes] = found
    return found


def _read() -> Rates:
    return Rates(taxes.rates(), shipping.methods())


def clear() -> None:
    """Empties the cache, as in a process that has just started."""
    _cached.clear()
