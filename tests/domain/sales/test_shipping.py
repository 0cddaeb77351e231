from dataclasses import replace
from decimal import Decimal

import pytest

from domain.base.money import Exchange
from domain.sales import cart as carts
from domain.sales import checkout, shipping
from domain.sales.shipping import Parcel, ShippingUnavailable
from storefront.models import Cart, Checkout
from tests.factories import ADDRESS, NOW, DiscountFactory, ShippingMethodFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db

EUR = Exchange("EUR")


def parcel(address=ADDRESS, grams=0, worth="0", exchange=EUR):
    return Parcel(address, grams, Decimal(worth), exchange)


def offered(**given):
    return [
        (offer.method.name, offer.price)
        for offer in shipping.offers(parcel=parcel(**given), methods=shipping.methods())
    ]


def test_methods_of_every_zone_that_has_the_country_are_offered_in_the_shops_order():
    ShippingMethodFactory(name="Anywhere", position=2)
    ShippingMethodFactory(name="Nearby", countries=["DE", "AT"], position=1, price=3)
    ShippingMethodFactory(name="France", countries=["FR"])
    ShippingMethodFactory(name="No longer", is_active=False)
    assert offered() == [("Nearby", 3), ("Anywhere", Decimal("4.90"))]


def test_zone_without_countries_is_wherever_the_shop_sells(settings):
    ShippingMethodFactory()
    settings.SHOP_COUNTRIES = ["AT"]
    assert offered() == []


@pytest.mark.parametrize(
    ("grams", "price"), [(0, 3), (1000, 3), (1001, 5), (5000, 5), (5001, None)],
)  # fmt: skip
def test_price_is_that_of_the_lightest_band_the_parcel_fits_and_none_above_the_heaviest(grams, price):
    ShippingMethodFactory(name="Post", price=99, bands={5000: "5", 1000: "3"})
    assert offered(grams=grams) == ([("Post", price)] if price else [])


@pytest.mark.parametrize(("worth", "price"), [("49.99", Decimal("4.90")), ("50", 0), ("50.01", 0)])
def test_method_is_free_from_its_total_on(worth, price):
    ShippingMethodFactory(name="Post", free_from=50)
    assert offered(worth=worth) == [("Post", price)]


def test_free_or_not_a_parcel_that_is_too_heavy_is_not_taken():
    ShippingMethodFactory(free_from=50, bands={1000: "3"})
    assert offered(grams=1001, worth="60") == []


def test_prices_and_thresholds_are_converted():
    ShippingMethodFactory(name="Post", free_from=50)
    yen = Exchange("JPY", Decimal(160))
    assert offered(exchange=yen, worth="7999") == [("Post", 784)]
    assert offered(exchange=yen, worth="8000") == [("Post", 0)]


def test_units_weigh_together_and_what_is_not_known_weighs_nothing(ready_cart):
    stone, feather = VariantFactory(weight_grams=400), VariantFactory(weight_grams=None)
    cart = ready_cart({stone: 3, feather: 5})
    assert shipping.grams(lines=cart.lines.select_related("variant")) == 1200


def test_parcel_is_free_by_what_is_left_to_pay_for_the_goods(ready_cart):
    cart = ready_cart({VariantFactory(price=Decimal(50)): 1}, shipping=ShippingMethodFactory(free_from=50))
    assert totals(cart).shipping == 0
    cart.discounts.add(DiscountFactory(value=10))
    assert totals(cart).shipping == Decimal("4.90")


def test_cart_that_grew_too_heavy_has_to_choose_again_and_is_told_among_what(ready_cart):
    variant = VariantFactory(weight_grams=600)
    letter, van = ShippingMethodFactory(bands={1000: "3"}), ShippingMethodFactory(name="Van")
    cart = ready_cart({variant: 1}, shipping=letter)
    assert totals(cart).shipping == 3
    carts.add_lines(key=carts.CartKey(code=cart.code), lines=[carts.NewLine(variant.pk, 1)], now=NOW)
    assert totals(cart).shipping == 0
    with pytest.raises(ShippingUnavailable) as refused:
        checkout.update(key=carts.CartKey(code=cart.code), shipping_method_id=letter.pk, now=NOW)
    assert [offer.method for offer in refused.value.offers] == [van]


def test_method_that_no_longer_fits_a_new_address_is_forgotten_one_that_fits_stays(ready_cart):
    cart = ready_cart({VariantFactory(): 1}, shipping=ShippingMethodFactory(countries=["DE", "AT"]))
    for country, postal_code, kept in (("AT", "1010", True), ("FR", "75001", False)):
        address = replace(ADDRESS, country_code=country, postal_code=postal_code)
        checkout.update(key=carts.CartKey(code=cart.code), shipping_address=address, now=NOW)
        assert (Checkout.objects.get().shipping_method is not None) == kept


def test_price_is_never_the_clients(ready_cart):
    method = ShippingMethodFactory(price=5)
    cart = ready_cart({VariantFactory(): 1}, shipping=method)
    method.price = Decimal(7)
    method.save()
    assert totals(Cart.objects.get(pk=cart.pk)).shipping == 7
