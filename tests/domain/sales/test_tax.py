from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from domain.sales import tax
from storefront.models import TaxRate
from tests.factories import (
    ADDRESS,
    ProductFactory,
    ShippingMethodFactory,
    TaxClassFactory,
    TaxRateFactory,
    VariantFactory,
    totals,
)

pytestmark = pytest.mark.django_db

CALIFORNIA = replace(ADDRESS, country_code="US", region="CA")


def percent(address, tax_class=None):
    return tax.rate(rates=tax.rates(), address=address, tax_class_id=tax_class.pk if tax_class else None).percent


def test_country_without_a_rate_takes_nothing():
    TaxRateFactory(country_code="FR", percent=20)
    assert percent(ADDRESS) == 0


def test_goods_are_taxed_where_they_go_to():
    TaxRateFactory(country_code="DE", percent=19)
    TaxRateFactory(country_code="AT", percent=20)
    assert [percent(replace(ADDRESS, country_code=code)) for code in ("DE", "AT")] == [19, 20]


def test_as_long_as_nobody_knows_where_they_go_to_it_is_the_shops_own_country(settings):
    TaxRateFactory(country_code="DE", percent=19)
    settings.SHOP_COUNTRY = "DE"
    assert percent(None) == 19


def test_regions_rate_comes_before_the_countrys():
    TaxRateFactory(country_code="US", percent=0)
    TaxRateFactory(country_code="US", region="CA", percent="7.25")
    assert percent(CALIFORNIA) == Decimal("7.25")
    assert percent(replace(CALIFORNIA, region="OR")) == 0


def test_class_comes_before_the_place_and_standard_stands_in_for_a_class_without_a_rate():
    books, food = TaxClassFactory(), TaxClassFactory()
    TaxRateFactory(country_code="US", region="CA", percent=7)
    TaxRateFactory(country_code="US", tax_class=books, percent=1)
    assert [percent(CALIFORNIA, each) for each in (None, books, food)] == [7, 1, 7]


def test_class_may_be_taxed_at_nothing():
    books = TaxClassFactory()
    TaxRateFactory(percent=19)
    TaxRateFactory(tax_class=books, percent=0)
    assert percent(ADDRESS, books) == 0


def test_one_place_has_one_rate_a_class():
    books = TaxClassFactory()
    for tax_class in (None, books):
        TaxRateFactory(tax_class=tax_class)
        with pytest.raises(IntegrityError), transaction.atomic():
            TaxRateFactory(tax_class=tax_class)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"country_code": "XX"}, "country_code"),
        ({"country_code": "US", "region": "Bavaria"}, "region"),
        ({"percent": 101}, "percent"),
        ({"percent": -1}, "percent"),
    ],
    ids=["no country", "no region", "above all", "below nothing"],
)
def test_rate_that_cannot_be_is_refused(given, field):
    with pytest.raises(ValidationError) as refused:
        TaxRate(**{"country_code": "DE", "percent": 19, **given}).full_clean()
    assert field in refused.value.message_dict


def test_region_is_kept_by_its_code():
    rate = TaxRate(country_code="us", region="california", percent=7)
    rate.full_clean()
    assert (rate.country_code, rate.region) == ("US", "CA")


def test_cart_shows_the_tax_of_its_goods_and_of_shipping(ready_cart):
    books, post = TaxClassFactory(), TaxClassFactory()
    TaxRateFactory(percent=19)
    TaxRateFactory(tax_class=books, percent=7)
    TaxRateFactory(tax_class=post, percent=0)
    lamp = VariantFactory(price=Decimal(119))
    book = VariantFactory(price=Decimal("10.70"), product=ProductFactory(tax_class=books))
    found = totals(ready_cart({lamp: 1, book: 2}, shipping=ShippingMethodFactory(tax_class=post)))
    assert (found.lines[lamp.sku].tax, found.lines[book.sku].tax) == (19, Decimal("1.40"))
    assert (found.shipping_amounts.tax, found.tax, found.total) == (0, Decimal("20.40"), Decimal("145.30"))


def test_prices_without_tax_have_it_put_on_top(ready_cart, settings):
    settings.PRICES_INCLUDE_TAX = False
    TaxRateFactory(percent=19)
    found = totals(ready_cart({VariantFactory(price=Decimal(100)): 1}, shipping=ShippingMethodFactory(price=10)))
    assert (found.net, found.tax, found.total) == (110, Decimal("20.90"), Decimal("130.90"))


def test_order_keeps_its_tax_when_the_rate_changes(placed_order):
    TaxRateFactory(percent=19)
    order = placed_order({VariantFactory(price=Decimal(119)): 1}, shipping=ShippingMethodFactory(price=0))
    TaxRate.objects.update(percent=25)
    order.refresh_from_db()
    assert (order.net, order.tax, order.total, order.prices_include_tax) == (100, 19, 119, True)
    assert order.lines.get().tax == 19
