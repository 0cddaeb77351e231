"""What staff download: who may, and that it is what an import takes."""

import csv

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from domain.accounts import sessions
from schema.base import tokens
from storefront import models
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

PRODUCTS, STOCK = "/exports/products.csv", "/exports/stock.csv"
BOTH = pytest.mark.parametrize("address", [PRODUCTS, STOCK])


def staff(*permissions):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def downloaded(response):
    return b"".join(response).decode()


@pytest.fixture
def shop():
    VariantFactory(sku="MUG", product__title="Mug", product__slug="mug")
    VariantFactory(sku="CUP", product__title="Cup", product__slug="cup", product__published_at=None)


def test_products_are_downloaded_drafts_too(client, shop):
    client.force_login(staff("view_product", "view_stock"))
    response = client.get(PRODUCTS)
    assert (response.status_code, response["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert response["Content-Disposition"] == 'attachment; filename="products.csv"'
    assert "no-store" in response["Cache-Control"]
    rows = list(csv.DictReader(downloaded(response).removeprefix("\ufeff").splitlines()))
    assert [(row["Handle"], row["Published"]) for row in rows] == [("mug", "true"), ("cup", "false")]


def test_a_list_to_count_by_is_downloaded(client, shop):
    client.force_login(staff("view_product", "view_stock"))
    assert downloaded(client.get(STOCK)).splitlines()[1:] == ["CUP,Cup,10,0,10,", "MUG,Mug,10,0,10,"]


@BOTH
def test_an_access_token_is_as_good_as_the_admins_session(client, shop, address):
    user = staff("view_product", "view_stock")
    session = sessions.begin(user=user, user_agent="curl", now=timezone.now()).session
    token, _ = tokens.issue(session, now=timezone.now())
    assert client.get(address, headers={"Authorization": f"Bearer {token}"}).status_code == 200


@BOTH
def test_nobody_else_gets_any(client, address):
    assert client.get(address).status_code == 401
    assert client.get(address, headers={"Authorization": "Bearer junk"}).status_code == 401
    customer = UserFactory()
    customer.user_permissions.set(Permission.objects.all())
    for user in (customer, staff(), staff("view_product"), staff("view_stock"), staff("change_product")):
        client.force_login(user)
        assert client.get(address).status_code == 403


@pytest.mark.parametrize(
    "address", ["/exports/orders.csv", "/exports/products", "/exports/", "/exports/../products.csv"]
)
def test_there_is_nothing_else(client, address):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert client.get(address).status_code == 404


def test_an_export_is_only_read(client):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    assert client.post(PRODUCTS).status_code == 405
    assert client.head(PRODUCTS).status_code == 200


def test_an_export_is_not_written_before_it_is_read(client, shop, statements):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    with statements() as counted:
        response = client.get(PRODUCTS)
        before = len(counted)
        downloaded(response)
    assert before <= 2, "the session and who it is"
    assert len(counted) > before
    assert models.Product.objects.count() == 2
