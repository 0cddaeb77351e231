"""A clerk's morning in a real browser: what waits, a parcel that leaves, money that goes back; then on a phone."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as that
from selenium.webdriver.support.wait import WebDriverWait

from storefront import models
from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "demo-shop-1234"
WIDE, PHONE = (1400, 900), (390, 844)


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


class Page:
    """What a person does with a browser: reads, clicks, types."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def open(self, path, *, size=WIDE):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.browser.get(self.address + path)

    def find(self, how, what):
        return WebDriverWait(self.browser, 20).until(that.element_to_be_clickable((how, what)))

    def double_click(self, button):
        ActionChains(self.browser).double_click(self.button(button)).perform()

    def button(self, text):
        return self.find(By.XPATH, f"//button[normalize-space()='{text}']")

    def follow(self, part):
        self.find(By.CSS_SELECTOR, f"#main a[href*='{part}']").click()

    def type(self, field, text):
        self.find(By.NAME, field).send_keys(text)

    def reads(self, text):
        WebDriverWait(self.browser, 20).until(that.text_to_be_present_in_element((By.ID, "main"), text))

    def fits(self):
        return self.browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_clerk_ships_an_order_and_gives_some_of_its_money_back(browser, live_server, clerk, order, delivered):
    page = Page(browser, live_server.url)

    # Clara comes in, and sees what waits.
    page.open("/admin/")
    page.type("username", "Clara@example.com")
    page.type("password", PASSWORD + "\n")
    page.reads("Orders to ship")
    page.reads("All money is where it belongs.")

    # She opens the order, and notes the parcel that she has just handed over. Her mouse is nervous.
    page.find(By.LINK_TEXT, order.number).click()
    page.reads("Harbour Linen Shirt")
    page.follow("/ship/")
    page.type("carrier", "DHL")
    page.type("tracking_number", "00340434")
    page.type("tracking_url", "https://dhl.example/00340434")
    page.double_click("Ship")
    page.reads("DHL 00340434 is on its way.")
    page.reads("clara@example.com")
    assert models.Shipment.objects.get().order == order
    assert models.Stock.objects.get().on_hand == 3
    assert [mail.to for mail in delivered() if "00340434" in mail.body] == [["ada@example.com"]]

    # One shirt had a stain: the buyer gets ten back, once.
    page.follow("/refund/")
    page.type("amount", "10")
    page.type("reason", "A stain")
    page.double_click("Refund")
    page.reads("10.00 EUR went back.")
    page.reads("A stain")
    assert models.Refund.objects.get().amount == 10

    # More than there is left is refused beside the field.
    page.follow("/refund/")
    page.type("amount", "9999")
    page.button("Refund").click()
    page.reads("An amount in EUR, 114.90 at most.")

    # In the evening it has arrived; she notes it on her phone, where every page fits.
    for path in ("/admin/", "/admin/storefront/order/", "/admin/storefront/stock/"):
        page.open(path, size=PHONE)
        assert page.fits(), path
    page.open(f"/admin/storefront/order/{order.pk}/change/", size=PHONE)
    assert page.fits()
    page.follow("/deliver/")
    page.button("Mark as delivered").click()
    page.reads("The order is delivered.")
    order.refresh_from_db()
    assert order.state == models.OrderState.DELIVERED
    assert page.complaints() == []
