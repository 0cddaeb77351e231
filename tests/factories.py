"""Rows to test with, one factory a model. A variant comes with stock, in a published product."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import factory
from factory.django import DjangoModelFactory

from domain import catalog
from storefront import models

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ADDRESS = models.Address(name="Ada", line1="Am Hafen 1", city="Hamburg", postal_code="20457", country_code="DE")


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
        catalog.refresh(self.product)


class ImageFactory(DjangoModelFactory):
    class Meta:
        model = models.Image

    product = factory.SubFactory(ProductFactory)
    file = factory.Sequence(lambda n: f"products/{n}.png")
    width = 600
    height = 400
    position = factory.Sequence(int)


class ShippingMethodFactory(DjangoModelFactory):
    class Meta:
        model = models.ShippingMethod

    name = factory.Sequence(lambda n: f"Method {n}")
    price = Decimal("4.90")
