"""Amounts and currencies: the one place where money is rounded."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache

ZERO = Decimal(0)
# Amounts stay below it: what the columns hold (`storefront.models.fields.amount_field`).
MAX_AMOUNT = Decimal(10) ** 11

_COLUMN_UNIT = Decimal("0.001")

# ISO 4217, list one: the currencies whose minor unit is not the hundredth.
_EXPONENTS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)  # noqa: SIM905 (a list that reads)
_EXPONENTS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)  # noqa: SIM905
# Enough for any amount times any number of units times any rate, before it is rounded.
PRECISION = 60


@lru_cache(maxsize=64)
def smallest_unit(*, currency: str) -> Decimal:
    """The currency's smallest coin: EUR 0.01, JPY 1, KWD 0.001."""
    return Decimal(1).scaleb(-exponent(currency=currency))


def exponent(*, currency: str) -> int:
    """How many decimals the currency has: EUR 2, JPY 0, KWD 3."""
    return _EXPONENTS.get(currency, 2)


def quantize(*, amount: Decimal, currency: str) -> Decimal:
    """Rounds half up to the currency's smallest unit."""
    with localcontext(prec=PRECISION):
        return amount.quantize(smallest_unit(currency=currency), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Exchange:
    """From the shop's currency into `currency`, one unit of the former being `rate` of the latter."""

    currency: str
    rate: Decimal = Decimal(1)

    def __call__(self, amount: Decimal) -> Decimal:
        with localcontext(prec=PRECISION):
            return quantize(amount=amount * self.rate, currency=self.currency)

    def least_that_shows(self, amount: Decimal) -> Decimal:
        """The least amount in the shop's currency, as columns hold it, that is shown as `amount` or more."""
        with localcontext(prec=PRECISION):
            shown = amount.quantize(smallest_unit(currency=self.currency), ROUND_CEILING)
            return ((shown - smallest_unit(currency=self.currency) / 2) / self.rate).quantize(
                _COLUMN_UNIT, ROUND_CEILING
            )

    def most_that_shows(self, amount: Decimal) -> Decimal:
        """The greatest amount in the shop's currency, as columns hold it, that is shown as `amount` or less."""
        with localcontext(prec=PRECISION):
            above = amount.quantize(smallest_unit(currency=self.currency), ROUND_FLOOR) + smallest_unit(
                currency=self.currency
            )
        return self.least_that_shows(above) - _COLUMN_UNIT
