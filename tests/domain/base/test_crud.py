"""Staff who save and delete at once: real threads with connections of their own, on both databases."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from threading import Barrier

import pytest
from django.db import connections

from domain.base import crud
from domain.base.errors import InvalidInput, NotFound
from storefront.models import Currency, ShippingMethod, ShippingZone
from tests.factories import NOW, ShippingMethodFactory, ShippingZoneFactory

pytestmark = pytest.mark.django_db(transaction=True)


def together(*calls):
    start = Barrier(len(calls))

    def outcome(call):
        try:
            return call()
        except (InvalidInput, NotFound) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(start.parties, initializer=start.wait) as threads:
        return Counter(type(each) for each in threads.map(outcome, calls))


def test_one_of_many_who_make_the_same_zone_makes_it_and_the_others_are_told():
    make = partial(crud.save, actor=None, now=NOW, rows=ShippingZone.objects.all(), values={"name": "Nearby"})
    assert together(*[make] * 10) == {ShippingZone: 1, InvalidInput: 9}
    assert ShippingZone.objects.count() == 1


def test_one_of_many_who_offer_the_same_currency_offers_it_and_no_rate_is_overwritten():
    for number in range(5):
        Currency.objects.all().delete()
        makes = [
            partial(
                crud.save,
                actor=None,
                now=NOW,
                rows=Currency.objects.all(),
                values={"code": "USD", "rate": Decimal(rate)},
            )
            for rate in range(1, 9)
        ]
        assert together(*makes) == {Currency: 1, InvalidInput: 7}, number


def test_two_who_change_different_columns_lose_nothing():
    zone = ShippingZoneFactory()
    change = partial(crud.save, actor=None, now=NOW, rows=ShippingZone.objects.all(), key=zone.pk)
    for number in range(10):
        name = f"Zone {number} of two"
        together(partial(change, values={"name": name}), partial(change, values={"countries": ["DE"]}))
        zone.refresh_from_db()
        assert (zone.name, zone.countries) == (name, ["DE"])


def test_bands_that_are_replaced_by_many_at_once_are_those_of_one():
    method = ShippingMethodFactory()
    replace = partial(crud.save, actor=None, now=NOW, rows=ShippingMethod.objects.all(), key=method.pk, values={})
    sets = [[{"up_to_grams": grams, "price": number} for grams in (100, 200, 300)] for number in range(8)]
    assert together(*[partial(replace, parts={"bands": bands}) for bands in sets]) == {ShippingMethod: 8}
    bands = list(method.bands.all())
    assert ([band.up_to_grams for band in bands], len({band.price for band in bands})) == ([100, 200, 300], 1)


def test_what_is_deleted_by_many_at_once_is_deleted_once():
    zone = ShippingZoneFactory()
    delete = partial(crud.delete, actor=None, now=NOW, rows=ShippingZone.objects.all(), key=zone.pk)
    assert together(*[delete] * 5) == {type(None): 1, NotFound: 4}


def test_a_zone_that_is_deleted_while_a_method_is_put_into_it_keeps_the_method_or_is_gone():
    for number in range(10):
        zone = ShippingZoneFactory()
        values = {"zone_id": zone.pk, "name": f"Method {number}", "price": 1}
        make = partial(crud.save, actor=None, now=NOW, rows=ShippingMethod.objects.all(), values=values)
        try:
            together(make, partial(crud.delete, actor=None, now=NOW, rows=ShippingZone.objects.all(), key=zone.pk))
        except crud.InUse:
            assert zone.methods.count() == 1
        assert ShippingZone.objects.filter(pk=zone.pk).exists() == ShippingMethod.objects.filter(zone=zone.pk).exists()
