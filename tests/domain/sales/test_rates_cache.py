"""What a process remembers of taxes and shipping is what holds."""

from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from domain.sales import cart as carts
from domain.sales import checkout, rates_cache
from domain.sales.priced_cart import load_priced_cart
from storefront.models import ShippingMethod, ShippingZone, TaxRate
from tests.factories import ADDRESS, NOW, ShippingMethodFactory, TaxRateFactory, VariantFactory

# Each write is a transaction of its own, as it is in life.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cart(settings):
    """Goods for 10, sent for 3, of which 19 % are tax."""
    settings.PRICES_INCLUDE_TAX = False
    TaxRateFactory(country_code="DE", percent=19)
    line = carts.NewLine(VariantFactory(price=10).pk, 1)
    found = carts.add_lines(key=carts.CartKey(), lines=[line], now=NOW).cart
    return checkout.update(
        key=carts.CartKey(code=found.code),
        shipping_address=ADDRESS,
        shipping_method_id=ShippingMethodFactory(name="Post", price=3).pk,
        now=NOW,
    ).cart


def quote(cart):
    return load_priced_cart(cart=cart, now=NOW).quote


def total(cart):
    return quote(cart).totals.total


def test_they_are_read_once(cart, statements):
    assert float(total(cart)) == 15.47
    with statements() as counted:
        assert float(total(cart)) == 15.47
        assert [offer.method.name for offer in quote(cart).offers] == ["Post"]
    assert len(counted) == 4  # The cart and its lines, twice.


@pytest.mark.parametrize(
    ("write", "costs"),
    [
        (lambda: TaxRate.objects.update(percent=0), 13),
        (lambda: TaxRate.objects.all().delete(), 13),
        (lambda: ShippingMethod.objects.update(price=0), 11.9),
        (lambda: ShippingMethod.objects.get().bands.create(up_to_grams=1000, price=13), 27.37),
        (lambda: ShippingMethod.objects.update(is_active=False), 11.9),
        (lambda: ShippingMethod.objects.all().delete(), 11.9),
        (lambda: ShippingZone.objects.update(countries=["FR"]), 11.9),
    ],
)
def test_what_staff_change_holds_from_then_on(cart, write, costs):
    total(cart)
    write()
    assert float(total(cart)) == costs


def test_a_new_cart_is_taxed_by_them(settings, statements):
    settings.PRICES_INCLUDE_TAX, settings.SHOP_COUNTRY = False, "DE"
    line = carts.NewLine(VariantFactory(price=10).pk, 1)
    for percent, costs in ((19, 11.9), (7, 10.7)):
        TaxRate.objects.all().delete()
        TaxRateFactory(country_code="DE", percent=percent)
        for asked in (5, 3):
            with statements() as counted:
                begun = carts.add_lines(key=carts.CartKey(), lines=[line], now=NOW)
                assert float(begun.quote.totals.total) == costs
            assert len(counted) == asked


def test_what_a_transaction_undoes_was_never_remembered(cart):
    """SQLite cannot tell; there, nothing that changes terms asks for a quote."""
    if connection.vendor == "postgresql":
        with transaction.atomic():
            TaxRate.objects.update(percent=0)
            assert float(total(cart)) == 13
            transaction.set_rollback(True)
        TaxRate.objects.update(name="MwSt.")  # The version that would have been that one's.
        assert float(total(cart)) == 15.47


def test_whoever_asks_while_they_change_never_gets_older_ones_than_the_cart(cart):
    """Two threads read while a third writes: each total is one that held, and the last is that of the last write."""
    together, seen, is_over = Barrier(3), [], []

    def read():
        try:
            together.wait()
            while not is_over:
                before = len(written)
                seen.append((before, float(total(cart)), len(written)))
        finally:
            connection.close()

    written = [15.47]
    threads = [Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    together.wait()
    while len(written) <= 30 or len(seen) < 10:  # On a busy machine the readers start late.
        percent = len(written) % 90 + 1
        TaxRate.objects.update(percent=percent)
        written.append(round(13 + 13 * percent / 100, 2))
    is_over.append(True)
    for thread in threads:
        thread.join()
    assert seen
    # A write may be seen a moment before it is noted here.
    assert all(told in written[before - 1 : after + 1] for before, told, after in seen)
    assert float(total(cart)) == written[-1]
    changes = load_priced_cart(cart=cart, now=NOW).changes
    assert rates_cache.rates(changes=changes) is rates_cache.rates(changes=changes)
