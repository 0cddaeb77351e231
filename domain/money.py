"""Amounts and currencies: the one place where money is rounded."""

from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

ZERO = Decimal(0)
# Amounts stay below it: what the columns hold (`storefront.models.fields.amount_field`).
MAX_AMOUNT = Decimal(10) ** 11

# ISO 4217, list one: the currencies whose minor unit is not the hundredth.
_EXPONENTS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)  # noqa: SIM905 (a list that reads)
_EXPONENTS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)  # noqa: SIM905


@lru_cache(maxsize=64)
def _smallest_unit(currency: str) -> Decimal:
    return Decimal(1).scaleb(-_EXPONENTS.get(currency, 2))


def quantize(amount: Decimal, currency: str) -> Decimal:
    """Rounds half up to the currency's smallest unit: EUR 0.01, JPY 1, KWD 0.001."""
    return amount.quantize(_smallest_unit(currency), ROUND_HALF_UP)
