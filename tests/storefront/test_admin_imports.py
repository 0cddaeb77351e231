"""The staff's pages about files: sent, looked at, taken, with the report of each."""

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http.multipartparser import MultiPartParser
from django.test import Client
from django.urls import reverse

from storefront import models
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/storefront/import/"
ADD = f"{LIST}add/"
PRODUCTS = b"Handle,Title,Variant SKU,Variant Price\nmug,Mug,MUG,14.50\ncup,<b>Cup</b>,CUP,<script>\n"


@pytest.fixture
def owner(client):
    user = UserFactory(is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.fixture
def send(client):
    def post(content=PRODUCTS, kind="PRODUCTS", **more):
        file = SimpleUploadedFile("export.csv", content)
        return client.post(ADD, {"kind": kind, "file": file, "dry_run": "on", **more})

    return post


def clerk(*permissions):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def test_a_file_is_sent_looked_at_and_taken(client, owner, send, delivered):
    assert "A CSV file in UTF-8, at most 47.7" in client.get(ADD).text
    response = send()
    row = models.Import.objects.get()
    address = reverse("admin:storefront_import_change", args=[row.pk])
    assert (response.status_code, response["Location"]) == (302, address)
    waiting = client.get(address).text
    assert 'http-equiv="refresh"' in waiting
    assert '<progress max="3" value="1">' in waiting
    assert "/run/" not in waiting

    delivered()
    checked = client.get(address).text
    assert 'http-equiv="refresh"' not in checked
    assert "Variant Price: &#x27;&lt;script&gt;&#x27; is not a number." in checked
    assert not models.Product.objects.exists()
    run = reverse("admin:storefront_import_run", args=[row.pk])
    assert run in checked
    assert client.get(run).status_code == 405
    assert client.post(run)["Location"] == address

    delivered()
    done = client.get(address).text
    assert models.Product.objects.count() == 2
    assert run not in done
    row.refresh_from_db()
    assert (row.state, row.actor) == ("DONE", owner)


def test_without_the_tick_a_file_is_taken_at_once(owner, send, delivered):
    send(dry_run="")
    delivered()
    assert models.Product.objects.count() == 2


def test_a_run_that_comes_too_early_is_told(client, owner, send):
    send()
    run = reverse("admin:storefront_import_run", args=[models.Import.objects.get().pk])
    assert "This import is still being checked." in client.post(run, follow=True).text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "The submitted file is empty."),
        (b"\x89PNG", "this is not a Shopify product export"),
        (b"SKU,Counted\n", "this is not a Shopify product export"),
    ],
)
def test_a_file_that_is_none_is_told(owner, send, content, told):
    response = send(content)
    assert response.status_code == 200
    assert told in response.text
    assert not models.Import.objects.exists()


def test_no_file_at_all_is_told(client, owner):
    assert "This field is required." in client.post(ADD, {"kind": "PRODUCTS"}).text


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def unread(monkeypatch):
    """No body may be read."""
    monkeypatch.setattr(MultiPartParser, "parse", lambda _: pytest.fail("The body was read."))


def test_nobody_elses_file_is_read(client, send, unread):
    assert send()["Location"].startswith("/admin/login/")
    client.force_login(UserFactory())
    assert send()["Location"].startswith("/admin/login/")
    client.force_login(clerk("view_product", "view_stock", "add_product"))
    assert send().status_code == 403


def test_a_file_beyond_the_limit_is_not_read(owner, send, unread, settings):
    settings.IMPORT_MAX_BYTES = 200_000
    response = send(b"x" * 200_000)
    assert response.status_code == 413
    assert "The file is larger than 195.3" in response.text


def test_another_site_cannot_send_a_file(owner):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    given = {"kind": "PRODUCTS", "file": SimpleUploadedFile("a.csv", PRODUCTS)}
    assert strict.post(ADD, given).status_code == 403
    assert not models.Import.objects.exists()
    strict.get(ADD)
    token = strict.cookies["csrftoken"].value
    assert (
        strict.post(
            ADD, given | {"csrfmiddlewaretoken": token, "file": SimpleUploadedFile("a.csv", PRODUCTS)}
        ).status_code
        == 302
    )
    run = reverse("admin:storefront_import_run", args=[models.Import.objects.get().pk])
    assert strict.post(run).status_code == 403


def test_clerks_who_may_count_see_and_send_counts_alone(client, owner, send):
    VariantFactory(sku="MUG")
    send()
    products = models.Import.objects.get()
    client.force_login(clerk("change_stock"))
    assert "products (Shopify CSV)" not in client.get(ADD).text
    assert "Select a valid choice" in send().text
    assert send(b"SKU,Counted\nMUG,1\n", "STOCK").status_code == 302
    assert client.get(LIST).context["cl"].result_count == 1
    assert client.get(reverse("admin:storefront_import_change", args=[products.pk])).status_code == 302
    assert client.post(reverse("admin:storefront_import_run", args=[products.pk])).status_code == 403


@pytest.mark.parametrize("key", ["abc", "0", "9" * 30])
def test_an_import_that_is_not_there_leads_back(client, owner, key):
    assert client.get(f"{LIST}{key}/change/")["Location"] == "/admin/"


def test_lists_lead_to_what_goes_out_and_in(client, owner):
    assert "/exports/products.csv" in client.get("/admin/storefront/product/").text
    assert "/exports/stock.csv" in client.get("/admin/storefront/stock/").text
    assert ADD in client.get("/admin/storefront/product/").text


def test_the_list_of_stock_leads_to_counts(client, owner):
    assert f'href="{ADD}?kind=STOCK"' in client.get("/admin/storefront/stock/").text
    assert '<option value="STOCK" selected>' in client.get(f"{ADD}?kind=STOCK").text


def test_nobody_is_led_where_they_may_not_go(client):
    client.force_login(clerk("view_product", "change_stock"))
    text = client.get("/admin/storefront/product/").text
    assert "/exports/" not in text
    assert ADD not in text
    assert LIST in text, "they may count"
    client.force_login(clerk("view_stock"))
    text = client.get("/admin/storefront/stock/").text
    assert "/exports/" not in text
    assert LIST not in text
