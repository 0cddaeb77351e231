"""Which tax holds where goods are sent to."""

from typing import TypeAlias

from django.conf import settings

from domain.sales.pricing import Rate
from storefront.models import Address, TaxRate

# By country, region ("": all of it) and the key of a tax class (None: standard).
ByPlace: TypeAlias = dict[tuple[str, str, int | None], Rate]


def rates() -> ByPlace:
    """All that the shop knows, in one statement."""
    return {
        (rate.country_code, rate.region, rate.tax_class_id): Rate(rate.name, rate.percent)
        for rate in TaxRate.objects.order_by()
    }


def rate(*, rates: ByPlace, address: Address | None, tax_class_id: int | None) -> Rate:
    """What is taken of goods of that class at the address; in the shop's own country as long as there is none.

    The rate of a good's class comes before the standard one, and within each the region's before the country's.
    Where none is known, nothing is taken.
    """
    country, region = (address.country_code, address.region) if address else (settings.SHOP_COUNTRY, "")
    for class_id in (tax_class_id, None):
        for place in (region, ""):
            if found := rates.get((country, place, class_id)):
                return found
    return Rate()
