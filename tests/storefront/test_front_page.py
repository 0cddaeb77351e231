"""The admin's first page and its way around: to each what they may see."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from domain.sales import orders
from storefront import models
from tests.factories import NOW, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

CARDS = ["Orders to ship", "Payments to check", "Low stock", "Failed jobs"]


@pytest.fixture
def owner(client):
    user = models.User.objects.create_superuser("owner@example.com", name="Olive Owner")
    client.force_login(user)
    return user


def front(client):
    return client.get("/admin/").text


def cards(text):
    return [card for card in CARDS if f"{card}\n" in text]


def test_an_empty_shop_has_nothing_to_complain_of(client, owner):
    text = front(client)
    assert cards(text) == CARDS
    assert text.count("check_circle") == len(CARDS)
    assert text.count('<rect class="shop-bar"') == 30
    assert "0.00 EUR" in text


def test_what_waits_is_shown_and_leads_to_where_it_is_done(client, owner, paid_order):
    variant = VariantFactory(product__title="Linen Shirt", stock__on_hand=2)
    order = paid_order({variant: 1})
    models.Order.objects.update(placed_at=timezone.now())
    orders.add_event(order=order, kind=models.OrderEventKind.REFUND_DUE, now=NOW)
    models.OutboxMessage.objects.update(given_up_at=NOW, error="No route to host")
    models.ClockRun.objects.create(clock="prune", failed_at=NOW, error="OperationalError: no disk")
    text = front(client)
    assert "check_circle" not in text
    assert text.count(f'<a href="/admin/storefront/order/{order.pk}/change/">') == 2
    for said in ("refund due", "Linen Shirt", "1 left", "No route to host", "Scheduled job prune", "24.80 EUR"):
        assert said in text


def test_a_day_of_more_refunds_than_sales_has_no_bar_below_the_ground(client, owner, paid_order):
    paid_order({VariantFactory(): 1})
    models.Order.objects.update(placed_at=timezone.now())
    heights = [float(height) for height in re.findall(r'shop-bar"[^>]*height="([^"]*)"', front(client))]
    assert heights == [0] * 29 + [100]


@pytest.mark.parametrize(
    ("permission", "seen"),
    [
        ("view_order", ["Orders to ship"]),
        ("view_gatewayevent", ["Payments to check"]),
        ("view_stock", ["Low stock"]),
        ("view_outboxmessage", ["Failed jobs"]),
        ("view_product", []),
    ],
)
def test_each_sees_what_they_may(client, permission, seen):
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    client.force_login(user)
    text = front(client)
    assert cards(text) == seen
    assert ("Last 30 days" in text) is (permission == "view_order")


def test_whoever_may_nothing_is_told_so(client):
    client.force_login(UserFactory(is_staff=True))
    assert "You do not have any permissions yet." in front(client)


def test_the_way_around_shows_what_may_be_opened_and_where_one_is(client, owner):
    def shown(address):
        links = re.findall(r'<a href="(/admin/[^"]*)" class="flex h-\[38px\][^"]*"', client.get(address).text)
        here = re.findall(r'<a href="(/admin/[^"]*)" class="flex h-\[38px\][^"]* active"', client.get(address).text)
        return [link.replace("&amp;", "&") for link in links], here

    links, here = shown("/admin/")
    assert here == ["/admin/"]
    for link in links:
        assert client.get(link).status_code == 200
        assert shown(link)[1] == [link], link
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_discount"))
    client.force_login(user)
    assert shown("/admin/")[0] == ["/admin/", "/admin/storefront/discount/"]


@pytest.mark.parametrize("name", ["Harbour & Loom", "os.getcwd", "...", "Shop."])
def test_the_shops_name_heads_each_page_whatever_it_is(client, owner, name, monkeypatch):
    monkeypatch.setattr("commercia.settings.SHOP_NAME", name)
    assert name.replace("&", "&amp;") in front(client)


def test_pages_load_nothing_from_elsewhere(client, owner, paid_order):
    order = paid_order({VariantFactory(): 1})
    for address in ("/admin/", "/admin/storefront/order/", f"/admin/storefront/order/{order.pk}/change/"):
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*?(?:src|href)="([^"]+)"', client.get(address).text)
        assert len(loaded) > 5
        assert [source for source in loaded if not source.startswith(("/static/", "/media/", "/admin/", "data:"))] == []
