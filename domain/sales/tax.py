"""Finds the tax rate of goods at their destination."""

from typing import TypeAlias

from django.conf import settings

from domain.sales.pricing import Rate
from storefront.models import Address, TaxRate

# By country, region ("": the whole country) and key of a tax class (None: standard).
RatesByPlace: TypeAlias = dict[tuple[str, str, int | None], Rate]


def rates() -> RatesByPlace:
    """All tax rates, read with one SQL statement."""
    return {
        (rate.country_code, rate.region, rate.tax_class_id): Rate(rate.name, rate.percent)
        for rate in TaxRate.objects.order_by()
    }


def rate(*, rates: RatesByPlace, address: Address | None, tax_class_id: int | None) -> Rate:
    """The rate for goods of a tax class at an address; without an address, in the shop's own country.

    A rate of the goods' class takes precedence over a standard one, and within each a region's over its country's.
    Without a matching rate, the rate is 0 %.
    """
    country, region = (address.country_code, address.region) if address else (settings.SHOP_COUNTRY, "")
    for class_id in (tax_class_id, None):
        for place in (region, ""):
            if found := rates.get((country, place, class_id)):
                return found
    return Rate()
