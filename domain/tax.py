"""Which tax holds where goods are sent to."""

from django.conf import settings
from django.db.models import CharField

from domain.pricing import Rate
from domain.statements import Statement
from storefront.models import Address, TaxRate

_OF_PLACE = Statement(
    lambda country, regions: TaxRate.objects.filter(country_code=country, region__in=regions).order_by(),
    country=CharField(),
    regions=CharField(),
)


class Rates:
    """Those of one address, read in one statement; of the shop's own country as long as there is no address.

    The rate of a good's class comes before the standard one, and within each the region's before the country's.
    Where none is known, nothing is taken.
    """

    def __init__(self, address: Address | None) -> None:
        country = address.country_code if address else settings.SHOP_COUNTRY
        region = address.region if address else ""
        rates = _OF_PLACE.all(country=country, regions=["", region])
        self._by_place = {(rate.tax_class_id, rate.region): Rate(rate.name, rate.percent) for rate in rates}
        self._region = region

    def of(self, tax_class_id: int | None) -> Rate:
        for class_id in (tax_class_id, None):
            for region in (self._region, ""):
                if rate := self._by_place.get((class_id, region)):
                    return rate
        return Rate()
