"""A clerk's morning in a real browser: what waits, a parcel that leaves, money that goes back; then on a phone."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from selenium.webdriver.common.by import By

from storefront import models
from tests.browser.page import PASSWORD, PHONE
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def order(paid_order):
    shirt = VariantFactory(product__title="Harbour Linen Shirt", sku="HLS-M", price=Decimal(60), stock__on_hand=5)
    return paid_order({shirt: 2})


@pytest.fixture
def clerk(db):
    user = models.User.objects.create_user("clara@example.com", PASSWORD, name="Clara Clerk", is_staff=True)
    codenames = ["view_order", "change_order", "add_refund", "view_stock", "view_gatewayevent"]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def test_a_clerk_ships_an_order_and_gives_some_of_its_money_back(page, clerk, order, delivered):
    # Clara comes in, and sees what waits.
    page.open("/admin/")
    page.type("username", "Clara@example.com")
    page.type("password", PASSWORD + "\n")
    page.reads("Orders to ship")
    page.reads("No problems with payments.")

    # She opens the order, and notes the parcel that she has just handed over. Her mouse is nervous.
    page.find(By.LINK_TEXT, order.number).click()
    page.reads("Harbour Linen Shirt")
    page.follow("/ship/")
    page.type("carrier", "DHL")
    page.type("tracking_number", "00340434")
    page.type("tracking_url", "https://dhl.example/00340434")
    page.double_click("Ship")
    page.reads("The parcel DHL 00340434 is recorded.")
    page.reads("clara@example.com")
    assert models.Shipment.objects.get().order == order
    assert models.Stock.objects.get().on_hand == 3
    assert [mail.to for mail in delivered() if "00340434" in mail.body] == [["ada@example.com"]]

    # One shirt had a stain: the buyer gets ten back, once.
    page.follow("/refund/")
    page.type("amount", "10")
    page.type("reason", "A stain")
    page.double_click("Refund")
    page.reads("10.00 EUR refunded.")
    page.reads("A stain")
    assert models.Refund.objects.get().amount == 10

    # More than there is left is refused beside the field.
    page.follow("/refund/")
    page.type("amount", "9999")
    page.button("Refund").click()
    page.reads("A refund is above 0 and at most 114.90 EUR")

    # In the evening it has arrived; she notes it on her phone, where every page fits.
    for path in ("/admin/", "/admin/storefront/order/", "/admin/storefront/stock/"):
        page.open(path, size=PHONE)
        assert page.fits(), path
    page.open(f"/admin/storefront/order/{order.pk}/change/", size=PHONE)
    assert page.fits()
    page.follow("/deliver/")
    page.button("Mark as delivered").click()
    page.reads("The order is marked as delivered.")
    order.refresh_from_db()
    assert order.state == models.OrderState.DELIVERED
    assert page.complaints() == []
