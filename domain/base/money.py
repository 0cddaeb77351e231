"""Amounts and currencies. All rounding of money happens here."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache
from typing import Any

from django.db.models import DecimalField
from django.db.models.expressions import Combinable
from django.db.models.functions import Round

ZERO = Decimal(0)
# Amounts must be below this limit of the columns (`storefront.models.fields.amount_field`).
MAX_AMOUNT = Decimal(10) ** 11

_COLUMN_UNIT = Decimal("0.001")

# ISO 4217, list one: the currencies whose minor unit is not 1/100.
_EXPONENTS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)  # noqa: SIM905 (a list that reads)
_EXPONENTS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)  # noqa: SIM905
# Decimal digits for intermediate results: enough for any amount times quantity times rate.
PRECISION = 60


@lru_cache(maxsize=64)
def smallest_unit(*, currency: str) -> Decimal:
    """The currency's minor unit: EUR 0.01, JPY 1, KWD 0.001."""
    return Decimal(1).scaleb(-exponent(currency=currency))


def exponent(*, currency: str) -> int:
    """The currency's number of decimals: EUR 2, JPY 0, KWD 3."""
    return _EXPONENTS.get(currency, 2)


def quantize(*, amount: Decimal, currency: str) -> Decimal:
    """Rounds half up to the currency's minor unit."""
    with localcontext(prec=PRECISION):
        return amount.quantize(smallest_unit(currency=currency), ROUND_HALF_UP)


class ExactAmount(Round):
    """Rounds an amount that the database computes to the three decimals of its columns.

    SQLite computes with floats, where 0.1 + 0.2 is more than 0.3. Use this for every sum or difference of amounts in
    SQL that is compared, stored or shown.
    """

    def __init__(self, amount: Combinable, **options: Any) -> None:
        super().__init__(amount, 3, output_field=DecimalField(max_digits=17, decimal_places=3), **options)

    @staticmethod
    def convert_value(value: Decimal | None, *_: Any) -> Decimal | None:
        return None if value is None else value.quantize(_COLUMN_UNIT)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Converts from the shop's currency to `currency`: one unit of the shop's currency is `rate` units of it."""

    currency: str
    rate: Decimal = Decimal(1)

    def __call__(self, amount: Decimal) -> Decimal:
        with localcontext(prec=PRECISION):
            return quantize(amount=amount * self.rate, currency=self.currency)

    def lower_bound(self, amount: Decimal) -> Decimal:
        """The lowest amount in the shop's currency, in steps of the columns, that converts to `amount` or more."""
        with localcontext(prec=PRECISION):
            shown = amount.quantize(smallest_unit(currency=self.currency), ROUND_CEILING)
            return ((shown - smallest_unit(currency=self.currency) / 2) / self.rate).quantize(
                _COLUMN_UNIT, ROUND_CEILING
            )

    def upper_bound(self, amount: Decimal) -> Decimal:
        """The highest amount in the shop's currency, in steps of the columns, that converts to `amount` or less."""
        with localcontext(prec=PRECISION):
            above = amount.quantize(smallest_unit(currency=self.currency), ROUND_FLOOR) + smallest_unit(
                currency=self.currency
            )
        return self.lower_bound(above) - _COLUMN_UNIT
