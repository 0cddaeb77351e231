"""The staff's pages: each opens for the owner, none for a customer, and what they write has its consequences."""

import tomllib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.forms import MultiWidget
from django.urls import reverse
from django.utils import timezone

from domain.accounts import sessions
from domain.base import change_log
from domain.importing import imports
from domain.payments import payments, refunds
from domain.reporting import dashboard
from domain.sales import cart as carts
from domain.sales import checkout, orders
from storefront import models
from tests.factories import (
    ADDRESS,
    LONG_AGO,
    NOW,
    CategoryFactory,
    CurrencyFactory,
    DiscountFactory,
    ImageFactory,
    ProductFactory,
    ShippingMethodFactory,
    ShippingZoneFactory,
    TaxClassFactory,
    TaxRateFactory,
    UserFactory,
    VariantFactory,
    VariantPriceFactory,
    totals,
)

pytestmark = pytest.mark.django_db

# Each model that has a page of its own.
PAGES = list(admin.site._registry)
# What has rules is changed by the domain alone.
READ_ONLY = [
    models.Order,
    models.Stock,
    models.OutboxMessage,
    models.WebhookDelivery,
    models.Refund,
    models.GatewayEvent,
    models.Change,
]


def page(model, kind, *arguments):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=arguments)


@pytest.fixture
def owner(client):
    user = models.User.objects.create_superuser("owner@example.com", name="Olive Owner")
    client.force_login(user)
    return user


@pytest.fixture
def shop(ready_cart):
    """A row of everything that has a page, and an order that was declined once and then paid."""
    product = ProductFactory(slug="shirt", option1_name="Size", vendor="Harrow")
    image = ImageFactory(product=product)
    small = VariantFactory(product=product, option1="S", price=Decimal(10), image=image)
    VariantFactory(product=product, option1="M", price=Decimal(20))
    product.categories.add(CategoryFactory(parent=CategoryFactory()))
    product.tags.add(models.Tag.objects.create(name="new"))
    Group.objects.create(name="Clerks")
    TaxRateFactory(tax_class=TaxClassFactory())
    VariantPriceFactory(variant=small, currency=CurrencyFactory(), price=Decimal(11))
    DiscountFactory(code="TEN").categories.add(product.categories.get())
    models.WebhookEndpoint.objects.create(url="https://erp.example/hooks", topics=["order.paid"])
    models.GatewayEvent.objects.create(
        provider=models.PaymentProvider.STRIPE, event_id="evt_1", kind="charge.refunded", received_at=NOW
    )
    renamed = {"title": ("Blouse", "Shirt")}
    change_log.entry(row=product, action=models.ChangeAction.UPDATED, fields=renamed, actor=None, now=NOW).save()
    counts = ContentFile(b"SKU,Counted\nnone,1\n", "counts.csv")
    imports.begin(kind=models.ImportKind.STOCK, file=counts, dry_run=True, actor=None, now=NOW)
    customer = UserFactory()
    cart = ready_cart({small: 2}, user=customer, shipping=ShippingMethodFactory(bands={1000: "4.90"}))
    key = carts.CartKey(code=cart.code, user=customer)
    checkout.apply_code(key=key, code="ten", now=NOW)
    order = orders.place(key=key, expected_total=totals(cart).total, now=NOW).order
    paying = {"order_id": order.pk, "viewer": customer, "provider": models.PaymentProvider.TEST, "now": NOW}
    with pytest.raises(payments.PaymentDeclined):
        payments.start(**paying, method="decline")
    payment = payments.start(**paying, method="ok")
    refunds.refund(payment_id=payment.pk, request_id="1", amount=Decimal(1), actor=None, now=NOW)
    return product


def filled(response):
    """What a browser would post of a change page if nothing were changed."""
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    fields = {}
    for field in (field for form in forms for field in form):
        widget, value = field.field.widget, field.value()
        parts = {"": value}
        if isinstance(widget, MultiWidget):
            parts = {f"_{index}": part for index, part in enumerate(widget.decompress(value))}
        fields |= {field.html_name + suffix: "" if part is None else part for suffix, part in parts.items()}
    return fields


def test_the_front_page_opens(client, owner):
    assert client.get("/admin/").status_code == 200


def test_every_list_opens_and_is_searched(client, subtests, owner, shop):
    for model in PAGES:
        with subtests.test(model.__name__):
            response = client.get(page(model, "changelist"))
            assert (response.status_code, response.context["cl"].result_count > 0) == (200, True)
            if admin.site._registry[model].search_fields:
                assert client.get(page(model, "changelist"), {"q": "a"}).status_code == 200


def test_every_row_opens(client, subtests, owner, shop):
    for model in PAGES:
        with subtests.test(model.__name__):
            for row in model.objects.all():
                assert client.get(page(model, "change", row.pk)).status_code == 200


def test_every_page_to_add_something_opens_or_is_closed(client, subtests, owner, shop):
    closed = [models.Product, *READ_ONLY]
    for model in PAGES:
        with subtests.test(model.__name__):
            assert client.get(page(model, "add")).status_code == (403 if model in closed else 200)


def test_a_list_costs_no_more_statements_for_more_rows(client, owner, shop, statements):
    def costs():
        found = {}
        for model in PAGES:
            with statements() as counted:
                client.get(page(model, "changelist"))
            found[model.__name__] = len(counted)
        return found

    costs()  # A process looks up once what kinds of things there are.
    before = costs()
    for number in range(5):
        VariantFactory(product__vendor="Harrow", sku=f"MORE-{number}")
        CategoryFactory(parent=CategoryFactory())
        UserFactory()
        ShippingMethodFactory(bands={1000: "4.90"})
        TaxRateFactory(tax_class=TaxClassFactory())
        VariantPriceFactory(variant=VariantFactory(), currency=CurrencyFactory(code=f"XA{number}"), price=1)
        DiscountFactory().products.add(ProductFactory())
        change_log.entry(row=shop, action=models.ChangeAction.UPDATED, fields={}, actor=UserFactory(), now=NOW).save()
    assert costs() == before


def many(number, *, of):
    """So many products with a variant, stock and a picture each, and so many orders that are paid, of one of them."""
    products = models.Product.objects.bulk_create(
        models.Product(slug=f"bulk-{of}-{n}", title=f"Bulk {n}", vendor=f"Vendor {n % 7}", published_at=LONG_AGO)
        for n in range(number)
    )
    models.Image.objects.bulk_create(
        models.Image(product=product, file="products/1.png", width=1, height=1) for product in products
    )
    variants = models.ProductVariant.objects.bulk_create(
        models.ProductVariant(product=product, sku=product.slug, price=1) for product in products
    )
    models.Stock.objects.bulk_create(models.Stock(variant=variant, on_hand=1) for variant in variants)
    carts = models.Cart.objects.bulk_create(models.Cart(state="CONVERTED", updated_at=NOW) for _ in range(number))
    sold = models.Order.objects.bulk_create(
        models.Order(
            number=f"{of}{n}",
            cart=cart,
            state="PAID",
            email=f"{n}@example.com",
            currency="EUR",
            subtotal=1,
            shipping=0,
            total=1,
            shipping_address=ADDRESS,
            billing_address=ADDRESS,
            placed_at=timezone.now() - timedelta(minutes=n),
        )
        for n, cart in enumerate(carts)
    )
    paid = {"provider": "TEST", "amount": 1, "currency": "EUR", "created_at": NOW, "asked_at": NOW}
    models.Payment.objects.bulk_create(models.Payment(order=order, state="PENDING", **paid) for order in sold)
    return sold


BUDGETS = tomllib.loads((Path(__file__).parent.parent / "budgets.toml").read_text())["admin"]


def test_lists_and_the_front_page_cost_the_same_for_ten_and_for_a_thousand_rows(client, owner, statements):
    def costs():
        measured = {}
        for name, model in (("products", models.Product), ("orders", models.Order), ("stock", models.Stock)):
            with statements() as counted:
                client.get(page(model, "changelist"))
            measured[name] = len(counted)
        with statements() as counted:
            client.get("/admin/")
        return measured | {"the front page": len(counted)}

    many(10, of="A")
    few = costs()
    many(1000, of="B")
    assert costs() == few == {name: BUDGETS[name] for name in few}


def test_an_orders_page_costs_the_same_for_one_of_everything_and_for_a_hundred(client, owner, statements, placed_order):
    order = placed_order({VariantFactory(): 1})
    paid = {"order": order, "provider": "TEST", "amount": 1, "currency": "EUR", "created_at": NOW, "asked_at": NOW}

    def cost_with_more(numbers):
        clerks = [UserFactory() for _ in numbers]
        payments = models.Payment.objects.bulk_create(models.Payment(state="SUCCEEDED", **paid) for _ in clerks)
        models.Refund.objects.bulk_create(
            models.Refund(payment=payment, amount=1, restock=False, actor=clerk, created_at=NOW, ask_at=NOW)
            for payment, clerk in zip(payments, clerks, strict=True)
        )
        models.OrderLine.objects.bulk_create(
            models.OrderLine(order=order, variant=VariantFactory(), quantity=1, position=n, unit_price=1, total=1)
            for n in numbers
        )
        models.Shipment.objects.bulk_create(
            models.Shipment(order=order, carrier="DHL", tracking_number=str(n), shipped_at=NOW) for n in numbers
        )
        models.OrderEvent.objects.bulk_create(
            models.OrderEvent(order=order, kind="REFUNDED", at=NOW, actor=clerk) for clerk in clerks
        )
        with statements() as counted:
            client.get(page(models.Order, "change", order.pk))
        return len(counted)

    cost_with_more(range(1))  # A process looks up once what kind of thing an order is.
    assert cost_with_more(range(1, 2)) == cost_with_more(range(2, 100)) == BUDGETS["an order"]


@pytest.mark.parametrize("staff", [False, True], ids=["a customer", "staff without permissions"])
def test_nobody_else_opens_any(client, subtests, shop, staff):
    client.force_login(UserFactory(is_staff=staff))
    for model in PAGES:
        with subtests.test(model.__name__):
            for address in (
                page(model, "changelist"),
                page(model, "change", model.objects.first().pk),
                page(model, "add"),
            ):
                assert client.get(address).status_code == (403 if staff else 302)


def test_failed_jobs_are_retried_by_whoever_may(client, owner, shop):
    dead, alive = models.OutboxMessage.objects.all()[:2]
    models.OutboxMessage.objects.filter(pk=dead.pk).update(given_up_at=NOW, attempts=12)
    chosen = {"action": "requeue", "_selected_action": [dead.pk, alive.pk]}
    address = page(models.OutboxMessage, "changelist")
    assert "1 failed job will be retried." in client.post(address, chosen, follow=True).content.decode()
    dead.refresh_from_db()
    assert (dead.given_up_at, dead.attempts) == (None, 0)


def test_a_stranger_is_led_to_the_login(client):
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_the_owner_logs_in_by_email_in_any_case(client):
    models.User.objects.create_superuser("owner@example.com", "correct horse battery")
    given = {"username": "Owner@Example.com", "password": "correct horse battery"}
    assert client.post("/admin/login/?next=/admin/", given)["Location"] == "/admin/"


def test_a_customer_does_not_get_in_with_a_password(client):
    models.User.objects.create_user("ada@example.com", "correct horse battery")
    given = {"username": "ada@example.com", "password": "correct horse battery"}
    assert client.post("/admin/login/", given).status_code == 200


def test_saving_a_product_as_it_is_changes_nothing(client, owner, shop):
    before = models.Product.objects.filter(pk=shop.pk).values().get()
    address = page(models.Product, "change", shop.pk)
    assert client.post(address, filled(client.get(address))).status_code == 302
    after = models.Product.objects.filter(pk=shop.pk).values().get()
    assert after | {"updated_at": None} == before | {"updated_at": None}


def test_a_price_changed_here_moves_the_products_range_and_what_lists_show(client, owner, shop, api):
    address = page(models.Product, "change", shop.pk)
    given = filled(client.get(address))
    (price,) = [name for name, value in given.items() if name.endswith("-price") and value == 10]
    assert client.post(address, given | {price: "3.50"}).status_code == 302
    shop.refresh_from_db()
    assert (shop.min_price, shop.max_price) == (Decimal("3.50"), Decimal(20))
    (listed,) = api('{ products(filter: {price: {lte: "3.50"}}) { nodes { priceRange { min { amount } } } } }')[
        "products"
    ]["nodes"]
    assert listed == {"priceRange": {"min": {"amount": "3.50"}}}


def test_a_title_changed_here_is_found_by_search(client, owner, shop, api):
    address = page(models.Product, "change", shop.pk)
    client.post(address, filled(client.get(address)) | {"title": "Kaftan"})
    assert api('{ products(search: "kaftan") { totalCount } }')["products"] == {"totalCount": 1}


def test_a_tag_and_a_category_given_here_are_found_by_search(client, owner, shop, api):
    linen = CategoryFactory(name="Linen things")
    summer = models.Tag.objects.create(name="summer")
    address = page(models.Product, "change", shop.pk)
    client.post(address, filled(client.get(address)) | {"categories": [linen.pk], "tags": [summer.pk]})
    for word in ("linen", "summer"):
        assert api(f'{{ products(search: "{word}") {{ totalCount }} }}')["products"] == {"totalCount": 1}


@pytest.mark.parametrize("kind", [models.Category, models.Tag])
def test_a_category_or_tag_renamed_here_is_found_by_its_new_name(client, owner, shop, api, kind):
    def found(word):
        return api(f'{{ products(search: "{word}") {{ totalCount }} }}')["products"]["totalCount"]

    row = kind.objects.get(products=shop)
    address = page(kind, "change", row.pk)
    for name, former in (("Velvet", "Zebra"), ("Zebra", "Velvet")):
        assert client.post(address, filled(client.get(address)) | {"name": name}).status_code == 302
        assert (found(name), found(former)) == (1, 0)


def test_a_product_is_withdrawn_and_published_here(client, owner, shop, api):
    address = page(models.Product, "change", shop.pk)
    client.post(address, filled(client.get(address)) | {"published_at_0": "", "published_at_1": ""})
    assert api("{ products { totalCount } }")["products"] == {"totalCount": 0}
    date = LONG_AGO.date().isoformat()
    client.post(address, filled(client.get(address)) | {"published_at_0": date, "published_at_1": "00:00:00"})
    assert api("{ products { totalCount } }")["products"] == {"totalCount": 1}


def test_products_are_published_and_withdrawn_many_at_once(client, owner, shop):
    draft, coming = ProductFactory(published_at=None), ProductFactory(published_at=NOW + timedelta(days=9999))
    chosen = {"_selected_action": [shop.pk, draft.pk, coming.pk]}
    address = page(models.Product, "changelist")
    told = client.post(address, chosen | {"action": "publish"}, follow=True).text
    assert "Published: 1." in told
    shop.refresh_from_db()
    assert shop.published_at == LONG_AGO, "what is in the shop keeps its date"
    assert models.Product.objects.published(now=timezone.now()).count() == 2, "what is scheduled keeps its day"
    assert "Unpublished: 3." in client.post(address, chosen | {"action": "withdraw"}, follow=True).text
    assert not models.Product.objects.exclude(published_at=None).exists()


@pytest.mark.parametrize("action", ["publish", "withdraw"])
def test_who_may_only_look_publishes_nothing(client, shop, action):
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_product"))
    client.force_login(user)
    models.Product.objects.filter(pk=shop.pk).update(published_at=None if action == "publish" else LONG_AGO)
    address = page(models.Product, "changelist")
    assert f'value="{action}"' not in client.get(address).text
    client.post(address, {"action": action, "_selected_action": [shop.pk]})
    shop.refresh_from_db()
    assert (shop.published_at is None) is (action == "publish")


def test_the_list_of_products_tells_what_a_clerk_asks_first(client, owner):
    rich = ProductFactory(title="Shirt")
    VariantFactory(product=rich, option1="S", price=Decimal(10), stock__on_hand=7, stock__reserved=2)
    VariantFactory(product=rich, option1="M", price=Decimal("12.50"), stock__on_hand=1200)
    ImageFactory(product=rich, file="products/first.png", position=0)
    ImageFactory(product=rich, file="products/second.png", position=1)
    gone = VariantFactory(product__title="Mug", product__published_at=None, stock__on_hand=0).product
    voucher = VariantFactory(product__title="Voucher", stock__policy="UNTRACKED").product
    text = client.get(page(models.Product, "changelist")).text
    for told in (
        "10.00 – 12.50 EUR",
        "1,205",
        "products/first.png",
        "out of stock",
        "draft",
        "published",
        "not tracked",
    ):
        assert told in text
    assert "second.png" not in text
    listed = {}
    for part in ("yes", "no", "later"):
        response = client.get(page(models.Product, "changelist"), {"published": part})
        listed[part] = [product.pk for product in response.context["cl"].result_list]
    assert listed == {"yes": [voucher.pk, rich.pk], "no": [gone.pk], "later": []}


def test_little_stock_is_found(client, owner):
    low = VariantFactory(product__title="Mug", stock__on_hand=1)
    VariantFactory(stock__on_hand=50)
    found = client.get(page(models.Stock, "changelist"), {"left": "low"}).context["cl"].result_list
    assert [stock.variant for stock in found] == [low]


def test_orders_are_found_by_number_email_state_and_day(client, owner, shop, placed_order):
    paid = models.Order.objects.get()
    waiting = placed_order({VariantFactory(): 1})
    models.Order.objects.filter(pk=waiting.pk).update(email="grace@example.com", placed_at=timezone.now())

    def found(**asked):
        return set(client.get(page(models.Order, "changelist"), asked).context["cl"].result_list)

    assert found(q=paid.number) == {paid}
    assert found(q="GRACE@example.com") == {waiting}
    assert found(q="TEN") == {paid}
    assert found(state__exact="PAID") == {paid}
    assert found(events__kind__exact="PAYMENT_FAILED") == {paid}
    assert found(placed_at__year="2030", placed_at__month="1", placed_at__day="15") == {paid}
    today = f"{timezone.now():%Y-%m-%d 00:00:00+00:00}"
    assert found(placed_at__gte=today, placed_at__lt="2029-01-01 00:00:00+00:00") == {waiting}


def test_amounts_are_edited_with_the_decimals_they_have(client, owner, shop):
    given = filled(client.get(page(models.Product, "change", shop.pk)))
    prices = {str(value) for name, value in given.items() if name.endswith("-price")}
    assert prices == {"10.00", "20.00"}
    models.ProductVariant.objects.update(price=Decimal("9.905"))
    given = filled(client.get(page(models.Product, "change", shop.pk)))
    assert {str(value) for name, value in given.items() if name.endswith("-price")} == {"9.905"}


def test_html_written_here_is_as_safe_as_imported(client, owner, shop):
    address = page(models.Product, "change", shop.pk)
    html = "<p onclick=x()>Nice</p><script>alert(1)</script>"
    client.post(address, filled(client.get(address)) | {"description_html": html})
    shop.refresh_from_db()
    assert shop.description_html == "<p>Nice</p>"


@pytest.mark.parametrize("price", ["-1", "", "abc", "NaN"])
def test_a_bad_price_is_told_not_saved(client, owner, shop, price):
    address = page(models.Product, "change", shop.pk)
    given = filled(client.get(address))
    (field,) = [name for name, value in given.items() if name.endswith("-price") and value == 10]
    response = client.post(address, given | {field: price})
    assert response.status_code == 200
    shop.refresh_from_db()
    assert shop.min_price == 10


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_has_rules_is_not_written_here(client, owner, shop, model):
    row = model.objects.first()
    assert client.post(page(model, "change", row.pk), {}).status_code == 403
    assert client.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_a_product_is_not_deleted_be_it_sold_or_not(client, owner, shop):
    for product in (shop, VariantFactory().product):
        assert client.post(page(models.Product, "delete", product.pk), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [product.pk], "post": "yes"}
        client.post(page(models.Product, "changelist"), chosen)
        assert models.Product.objects.filter(pk=product.pk).exists()


@pytest.mark.parametrize("chosen", [["DE", "AT"], []], ids=["two", "none"])
def test_countries_of_a_zone_are_chosen(client, owner, chosen):
    zone = ShippingZoneFactory(countries=["FR"])
    address = page(models.ShippingZone, "change", zone.pk)
    assert "Germany (DE)" in client.get(address).content.decode()
    assert client.post(address, filled(client.get(address)) | {"countries": chosen}).status_code == 302
    zone.refresh_from_db()
    assert zone.countries == chosen


@pytest.mark.parametrize("posted", ["de", "ZZ", "Germany", '["DE"]', "null"])
def test_countries_that_the_shop_does_not_know_are_told_not_saved(client, owner, posted):
    zone = ShippingZoneFactory(countries=["FR"])
    address = page(models.ShippingZone, "change", zone.pk)
    response = client.post(address, filled(client.get(address)) | {"countries": [posted]})
    assert (response.status_code, set(response.context["adminform"].form.errors)) == (200, {"countries"})
    zone.refresh_from_db()
    assert zone.countries == ["FR"]


@pytest.mark.parametrize("kept", [["de"], ["DE", "ZZ"], "DE", {"DE": 1}, [["DE"]], [None], 1, True], ids=str)
def test_a_zone_of_other_countries_is_no_zone(kept):
    zone = ShippingZoneFactory.build(countries=kept)
    with pytest.raises(ValidationError) as refused:
        zone.full_clean()
    assert set(refused.value.message_dict) == {"countries"}


def test_a_zone_without_countries_is_cleaned_to_an_empty_list():
    zone = ShippingZoneFactory.build(countries=None)
    zone.full_clean()
    assert zone.countries == []


def test_a_tax_rate_is_set_for_a_country_that_is_chosen(client, owner):
    response = client.post(
        page(models.TaxRate, "add"), {"name": "VAT", "country_code": "US", "region": "texas", "percent": "6.25"}
    )
    assert response.status_code == 302
    assert models.TaxRate.objects.get().region == "TX"


def test_a_discount_is_made_with_a_code_in_any_case(client, owner):
    given = {"code": "summer", "kind": "PERCENTAGE", "value": "10", "is_active": "on"}
    assert client.post(page(models.Discount, "add"), given).status_code == 302
    assert models.Discount.objects.get().code == "SUMMER"
    response = client.post(page(models.Discount, "add"), given | {"code": "winter", "value": "101"})
    assert (response.status_code, models.Discount.objects.count()) == (200, 1)


@pytest.mark.parametrize("email", ["new@example.com", "New@Example.com"])
def test_a_user_is_added_with_an_email_in_any_case(client, owner, email):
    password = "correct horse battery"
    given = {"email": email, "name": "", "usable_password": "true"}
    response = client.post(page(models.User, "add"), given | {"password1": password, "password2": password})
    assert response.status_code == 302
    assert models.User.objects.filter(email="new@example.com").exists()


def test_a_user_is_not_added_twice_in_another_case(client, owner):
    password = "correct horse battery"
    given = {"email": "Owner@Example.com", "name": "", "usable_password": "true"}
    response = client.post(page(models.User, "add"), given | {"password1": password, "password2": password})
    assert (response.status_code, set(response.context["adminform"].form.errors)) == (200, {"email"})
    assert models.User.objects.count() == 1


@pytest.mark.parametrize("email", ["olive@example.com", "Olive@Example.com"])
def test_a_users_email_is_changed_in_any_case(client, owner, email):
    address = page(models.User, "change", owner.pk)
    given = filled(client.get(address)) | {"email": email}
    assert client.post(address, given).status_code == 302
    owner.refresh_from_db()
    assert owner.email == "olive@example.com"


def test_a_category_is_no_ancestor_of_itself(client, owner, shop):
    child = models.Category.objects.exclude(parent=None).get()
    address = page(models.Category, "change", child.parent_id)
    response = client.post(address, filled(client.get(address)) | {"parent": child.pk})
    assert response.status_code == 200
    assert models.Category.objects.get(pk=child.parent_id).parent is None


def test_people_are_forgotten_not_deleted(client, owner, shop):
    customer = models.Order.objects.get().user
    chosen = {"action": "forget", "_selected_action": [customer.pk, owner.pk]}
    client.post(page(models.User, "changelist"), chosen)
    customer.refresh_from_db()
    owner.refresh_from_db()
    assert (customer.email, customer.name, customer.is_active) == (None, "", False)
    assert customer.orders.count() == 1
    assert owner.is_active, "whoever clicks does not lock themself out"
    assert client.post(page(models.User, "delete", customer.pk), {"post": "yes"}).status_code == 403


def test_a_password_that_staff_set_ends_the_customers_sessions(client, owner, shop):
    customer = models.Order.objects.get().user
    sessions.begin(user=customer, user_agent="a phone", now=NOW)
    new = {"password1": "a better password", "password2": "a better password", "usable_password": "true"}
    client.post(reverse("admin:auth_user_password_change", args=[customer.pk]), new)
    customer.refresh_from_db()
    assert customer.check_password("a better password")
    assert not sessions.active(now=NOW).exists()


def test_an_account_that_may_log_in_keeps_an_email(client, owner, shop):
    customer = models.Order.objects.get().user
    form = filled(client.get(page(models.User, "change", customer.pk)))
    response = client.post(page(models.User, "change", customer.pk), form | {"email": ""})
    assert "An account that may log in needs an e-mail." in response.content.decode()


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", ["http://erp.example/", "https://127.0.0.1/", "https://me:word@erp.example/", "junk"])
def test_an_endpoint_is_never_a_private_address(client, owner, url):
    response = client.post(page(models.WebhookEndpoint, "add"), {"url": url, "topics": ["order.paid"]})
    assert list(response.context["adminform"].form.errors) == ["url"]
    assert not models.WebhookEndpoint.objects.exists()


def test_the_test_button_saves_and_sends_an_event(client, owner, django_capture_on_commit_callbacks):
    url = "https://93.184.216.34/hooks"
    client.post(page(models.WebhookEndpoint, "add"), {"url": url, "topics": ["order.paid"], "is_active": "on"})
    endpoint = models.WebhookEndpoint.objects.get()
    change = page(models.WebhookEndpoint, "change", endpoint.pk)
    assert endpoint.secret in client.get(change).text
    given = {"url": url, "topics": ["order.placed", "stock.low"], "is_active": "on", "_test": "1"}
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(change, given, follow=True)
    assert "The test event will be sent now." in response.text
    delivery = models.WebhookDelivery.objects.get()
    assert (delivery.endpoint.topics, delivery.topic) == (["order.placed", "stock.low"], "test")
    listing = page(models.WebhookDelivery, "changelist")
    client.post(listing, {"action": "send_again", "_selected_action": [delivery.pk]})
    assert models.OutboxMessage.objects.count() == 2


def test_who_may_only_look_does_not_see_the_secret(client):
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_webhookendpoint"))
    client.force_login(user)
    endpoint = models.WebhookEndpoint.objects.create(url="https://erp.example/", topics=[])
    assert client.get(page(models.WebhookEndpoint, "change", endpoint.pk)).status_code == 403


def test_what_was_changed_is_read_as_a_person_writes_it(client, owner):
    product = ProductFactory(title="Shirt")
    fields = {
        "published_at": (None, NOW),
        "options": (["S", "M"], []),
        "is_active": (True, False),
        "description_html": ("<b>a</b>", ""),
    }
    row = change_log.entry(row=product, action=models.ChangeAction.UPDATED, fields=fields, actor=owner, now=NOW)
    row.save()
    response = client.get(page(models.Change, "change", row.pk))
    assert response.context["fields"] == [
        ("description html", "<b>a</b>", "–"),
        ("is active", "yes", "no"),
        ("options", "S, M", "–"),
        ("published at", "–", "15 Jan 2030, 12:00"),
    ]
    assert "&lt;b&gt;a&lt;/b&gt;" in response.text
    assert "Olive Owner" in response.text or owner.email in response.text


def test_what_is_written_here_is_told_as_what_is_written_over_graphql(client, owner, shop):
    address = page(models.Product, "change", shop.pk)
    fields, version = filled(client.get(address)), shop.version
    price = next(name for name in fields if name.startswith("variants-") and name.endswith("-price"))
    client.post(address, fields | {"title": "Renamed", price: "77.00"})
    client.post(page(models.TaxClass, "add"), {"name": "Books"})
    books = models.TaxClass.objects.get(name="Books")
    client.post(page(models.TaxClass, "changelist"), {
        "action": "delete_selected", "_selected_action": [books.pk], "post": "yes",
    })  # fmt: skip
    shop.refresh_from_db()
    assert (shop.title, shop.version > version) == ("Renamed", True)
    told = {(row.kind, row.action): row for row in models.Change.objects.filter(actor=owner)}
    assert told.keys() == {
        ("Product", "UPDATED"), ("ProductVariant", "UPDATED"), ("TaxClass", "CREATED"), ("TaxClass", "DELETED"),
    }  # fmt: skip
    assert told["Product", "UPDATED"].fields["title"][1] == "Renamed"
    assert told["ProductVariant", "UPDATED"].fields.keys() == {"price"}
    assert told["TaxClass", "DELETED"].key == str(books.pk)


def test_what_is_withdrawn_is_not_low_on_stock(shop):
    variant = shop.variants.first()
    models.Stock.objects.filter(pk=variant.pk).update(on_hand=0, reserved=0, policy="DENY")
    assert dashboard.low_stock().filter(pk=variant.pk).exists()
    models.ProductVariant.objects.filter(pk=variant.pk).update(is_withdrawn=True)
    assert not dashboard.low_stock().filter(pk=variant.pk).exists()
