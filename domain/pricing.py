"""Totals, pure: the same lines always give the same cents. No database is needed or touched."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from domain.money import ZERO, quantize


@dataclass(frozen=True, slots=True)
class Totals:
    """A cart's or an order's amounts: `total` = `subtotal` - `discount` + `shipping` + `tax`."""

    subtotal: Decimal
    discount: Decimal
    shipping: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return self.subtotal - self.discount + self.shipping + self.tax


def line_total(*, unit_price: Decimal, quantity: int, currency: str) -> Decimal:
    """The unit price as it is shown, times the quantity: what a buyer can check."""
    return quantize(unit_price, currency) * quantity


def totals(*, lines: Iterable[tuple[Decimal, int]], shipping: Decimal, currency: str) -> Totals:
    """Adds up lines of (unit price, quantity) and the price of shipping, each rounded on its own."""
    subtotal = sum(
        (line_total(unit_price=price, quantity=quantity, currency=currency) for price, quantity in lines),
        quantize(ZERO, currency),
    )
    zero = quantize(ZERO, currency)
    return Totals(subtotal=subtotal, discount=zero, shipping=quantize(shipping, currency), tax=zero)
