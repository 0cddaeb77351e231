import pytest
from django.core.management import CommandError, call_command

from domain.catalog import images
from storefront import models
from storefront.management.commands.demo import CUSTOMER, PASSWORD, STAFF

pytestmark = pytest.mark.django_db

ROWS = [
    models.Product,
    models.ProductVariant,
    models.Image,
    models.Category,
    models.Tag,
    models.Stock,
    models.StockMovement,
    models.ShippingMethod,
    models.User,
    models.Cart,
    models.Order,
    models.Payment,
    models.OrderEvent,
]


def test_the_demo_refuses_to_load_into_a_real_shop(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="passwords are public"):
        call_command("demo")
    assert not models.User.objects.exists()


def _everything(settings):
    rows = {model.__name__: list(model.objects.order_by("pk").values()) for model in ROWS}
    return rows, sorted(path.name for path in settings.MEDIA_ROOT.rglob("*.*"))


def _catalogue():
    """What the shop sells, told without the keys of its rows."""
    variants = models.ProductVariant.objects.order_by("sku").select_related("stock")
    products = models.Product.objects.order_by("slug")
    return (
        [(variant.sku, variant.price, variant.stock.on_hand) for variant in variants],
        [(each.slug, each.title, each.variants.count(), each.images.count(), each.tags.count()) for each in products],
    )


def test_a_demo_that_was_interrupted_is_completed_and_the_rest_stays(demo_shop, settings):
    whole = _catalogue()
    unsold = models.Product.objects.exclude(variants__order_lines__isnull=False).order_by("slug")
    lost = [product.pk for product in unsold[:3]]
    models.StockMovement.objects.filter(variant__product__in=lost).delete()
    models.Product.objects.filter(pk__in=lost).delete()
    assert _catalogue() != whole
    before = {model: list(model.objects.order_by("pk").values()) for model in ROWS}
    settings.DEBUG = True
    call_command("demo")
    assert _catalogue() == whole
    for model, rows in before.items():
        kept = model.objects.filter(pk__in=[row[model._meta.pk.attname] for row in rows])
        assert list(kept.order_by("pk").values()) == rows
    for model in (models.Order, models.User, models.ShippingMethod, models.Category, models.Tag):
        assert model.objects.count() == len(before[model])
    assert all((settings.MEDIA_ROOT / image.file.name).exists() for image in models.Image.objects.all())


def test_the_demo_is_a_whole_shop(demo_shop, client, settings, capsys, subtests):
    rows, files = _everything(settings)
    with subtests.test("it has every part"):
        assert all(rows.values())
        assert len(files) == len(rows["Image"])  # Each in DETAIL; the other sizes are owed.
        assert models.OutboxMessage.objects.filter(kind=images.RENDER).count() == len(files)
        assert {order["state"] for order in rows["Order"]} == {"PAID", "CANCELLED", "AWAITING_PAYMENT"}
        assert {payment["state"] for payment in rows["Payment"]} == {"SUCCEEDED", "FAILED", "REQUIRES_ACTION"}
        assert not models.Product.objects.filter(images=None).exists()
        assert not models.ProductVariant.objects.filter(stock=None).exists()
    capsys.readouterr()
    with subtests.test("its books balance"):
        call_command("audit", "--gateway-days", "100000")
        assert capsys.readouterr().out == "The books balance.\n"
    settings.DEBUG = True
    with subtests.test("loading it again changes nothing and says how to log in"):
        call_command("demo")
        assert _everything(settings) == (rows, files)
        told = capsys.readouterr().out
        assert all(word in told for word in (STAFF, CUSTOMER, PASSWORD, "/admin/"))
    for email, is_staff in ((STAFF, True), (CUSTOMER, False)):
        with subtests.test("they can log in", email=email):
            assert client.login(username=email, password=PASSWORD)
            assert models.User.objects.get(email=email).is_staff is is_staff
