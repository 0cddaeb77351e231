"""What holds for every cart until staff lay down something else: tax rates and ways of shipping.

A process reads them once for each version of the catalogue; which one that is comes with the cart, in its statement.
"""

from typing import NamedTuple

from domain.catalog import catalog_version
from domain.sales import shipping, tax
from storefront.models import Cart, ShippingMethod


class Terms(NamedTuple):
    """Shared by all that ask: never to be changed."""

    rates: tax.ByPlace
    methods: dict[int, ShippingMethod]


_kept: dict[int, Terms] = {}


def of(*, cart: Cart) -> Terms:
    """Those that held when the cart's `changes` were read, or later ones; without such, those that hold now."""
    known = vars(cart)
    changes = known["changes"] if "changes" in known else catalog_version.changes()
    if changes is None:  # Of a transaction that writes the catalogue itself, and may undo that.
        return _read()
    terms = _kept.get(changes)
    if terms is None:
        terms = _read()
        _kept.clear()
        _kept[changes] = terms
    return terms


def _read() -> Terms:
    return Terms(tax.rates(), shipping.methods())


def forget() -> None:
    """Begins anew, as a process does that has just started."""
    _kept.clear()
