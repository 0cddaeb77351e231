"""Rows to test with, one factory a model. A variant comes with stock, in a published product."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import factory
from factory.django import DjangoModelFactory

from domain.catalog import products
from domain.sales import pricing
from domain.sales.priced_cart import load_priced_cart
from storefront import models

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ADDRESS = models.Address(name="Ada", line1="Am Hafen 1", city="Hamburg", postal_code="20457", country_code="DE")


def totals(cart: models.Cart, now: datetime = NOW) -> pricing.Totals:
    """What a cart costs."""
    return load_priced_cart(cart=cart, now=now).quote.totals


class UserFactory(DjangoModelFactory):
    class Meta:
        model = models.User

    email = factory.Sequence(lambda n: f"buyer{n}@example.com")
    name = "Ada"


class CategoryFactory(DjangoModelFactory):
    class Meta:
        model = models.Category

    name = factory.Sequence(lambda n: f"Category {n}")
    slug = factory.Sequence(lambda n: f"category-{n}")


class ProductFactory(DjangoModelFactory):
    class Meta:
        model = models.Product

    slug = factory.Sequence(lambda n: f"product-{n}")
    title = factory.Sequence(lambda n: f"Product {n}")
    vendor = "Harrow"
    published_at = LONG_AGO


class VariantFactory(DjangoModelFactory):
    """Its stock is set by `stock__on_hand`, `stock__policy`; the product's price range and words follow."""

    class Meta:
        model = models.ProductVariant
        skip_postgeneration_save = True

    product = factory.SubFactory(ProductFactory)
    sku = factory.Sequence(lambda n: f"SKU-{n}")
    price = Decimal("19.90")

    @factory.post_generation
    def stock(self: Any, create: bool, extracted: Any, **values: Any) -> None:
        models.Stock.objects.create(variant_id=self.pk, **{"on_hand": 10, **values})
        self.refresh_from_db()
        products.refresh_derived(product=self.product)


class ImageFactory(DjangoModelFactory):
    class Meta:
        model = models.Image

    product = factory.SubFactory(ProductFactory)
    file = factory.Sequence(lambda n: f"products/{n}.png")
    width = 600
    height = 400
    position = factory.Sequence(int)


class ShippingZoneFactory(DjangoModelFactory):
    """Without countries, wherever the shop sells."""

    class Meta:
        model = models.ShippingZone

    name = factory.Sequence(lambda n: f"Zone of test {n}")
    countries = factory.LazyFunction(list)


class ShippingMethodFactory(DjangoModelFactory):
    """`countries=[…]` are its zone's; `bands={up_to_grams: price}`."""

    class Meta:
        model = models.ShippingMethod
        skip_postgeneration_save = True

    class Params:
        countries: list[str] = []

    zone = factory.SubFactory(ShippingZoneFactory, countries=factory.SelfAttribute("..countries"))
    name = factory.Sequence(lambda n: f"Method {n}")
    price = Decimal("4.90")

    @factory.post_generation
    def bands(self: Any, create: bool, extracted: dict[int, str] | None, **values: Any) -> None:
        for grams, price in (extracted or {}).items():
            models.WeightBand.objects.create(method=self, up_to_grams=grams, price=Decimal(price))


class TaxClassFactory(DjangoModelFactory):
    class Meta:
        model = models.TaxClass

    name = factory.Sequence(lambda n: f"Class {n}")


class TaxRateFactory(DjangoModelFactory):
    class Meta:
        model = models.TaxRate

    name = "VAT"
    country_code = "DE"
    percent = Decimal(19)


class DiscountFactory(DjangoModelFactory):
    class Meta:
        model = models.Discount

    code = factory.Sequence(lambda n: f"CODE{n}")
    kind = models.DiscountKind.PERCENTAGE
    value = Decimal(10)


class CurrencyFactory(DjangoModelFactory):
    class Meta:
        model = models.Currency

    code = "USD"
    rate = Decimal("1.25")


class VariantPriceFactory(DjangoModelFactory):
    class Meta:
        model = models.VariantPrice
