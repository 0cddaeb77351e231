import pytest
from django.core.management import CommandError, call_command

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


def test_loading_the_demo_again_changes_nothing_and_says_how_to_log_in(demo_shop, settings, capsys):
    before = _everything(settings)
    settings.DEBUG = True
    capsys.readouterr()
    call_command("demo")
    assert _everything(settings) == before
    told = capsys.readouterr().out
    assert all(word in told for word in (STAFF, CUSTOMER, PASSWORD, "/admin/"))


def test_the_demo_has_every_part_of_a_shop(demo_shop, settings):
    rows, files = _everything(settings)
    assert all(rows.values())
    assert len(files) == len(rows["Image"])
    assert {order["state"] for order in rows["Order"]} == {"PAID", "CANCELLED", "AWAITING_PAYMENT"}
    assert {payment["state"] for payment in rows["Payment"]} == {"SUCCEEDED", "FAILED", "REQUIRES_ACTION"}
    assert not models.Product.objects.filter(images=None).exists()
    assert not models.ProductVariant.objects.filter(stock=None).exists()


def test_the_demos_owner_and_customer_can_log_in(demo_shop, client):
    for email, is_staff in ((STAFF, True), (CUSTOMER, False)):
        assert client.login(username=email, password=PASSWORD)
        assert models.User.objects.get(email=email).is_staff is is_staff
