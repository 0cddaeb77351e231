"""What staff do about an order from its page: by the domain, once, by whoever may, and never with a 500."""

import re
from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from domain.payments import gateways
from domain.payments.gateways.test import TestGateway
from domain.sales import cart as carts
from domain.sales import fulfilment, orders
from storefront import models
from storefront.templatetags import display
from tests.factories import NOW, UserFactory, VariantFactory, totals

pytestmark = pytest.mark.django_db

PARCEL = {"carrier": "DHL", "tracking_number": "0034", "tracking_url": "https://dhl.example/0034"}
ACTIONS = pytest.mark.parametrize("action", ["ship", "deliver", "refund", "cancel"])


@pytest.fixture
def clerk(client):
    """Logs somebody in with these permissions: `clerk("view_order")`."""

    def log_in(*permissions):
        user = UserFactory(is_staff=True, name="Clara Clerk")
        user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return user

    return log_in


@pytest.fixture
def owner(client):
    user = models.User.objects.create_superuser("owner@example.com", name="Olive Owner")
    client.force_login(user)
    return user


@pytest.fixture
def variant():
    return VariantFactory(price=Decimal(20), stock__on_hand=10)


@pytest.fixture
def paid(paid_order, variant):
    return paid_order({variant: 2})


def page(order):
    return reverse("admin:storefront_order_change", args=[order.pk])


def address(order, action):
    return reverse(f"admin:order_{action}", args=[order.pk])


def asked(client, order, **given):
    """What a browser posts of the refund's page, with `given` filled in."""
    form = client.get(address(order, "refund")).context["form"]
    return {name: form[name].value() or "" for name in form.fields} | given


def chosen(client, order):
    """A refund's page as asked(), with the payment that a browser has chosen."""
    form = client.get(address(order, "refund")).context["form"]
    return asked(client, order, payment_id=form.fields["payment_id"].choices[0][0])


def offered(client, order):
    return re.findall(rf"/order/{order.pk}/(ship|deliver|refund|cancel)/", client.get(page(order)).text)


# ── what is offered, and to whom ─────────────────────────────────────────────────────────────────────


def test_what_is_offered_follows_the_order(client, owner, placed_order, paid, variant):
    assert offered(client, placed_order({variant: 1})) == ["cancel"]
    assert offered(client, paid) == ["ship", "refund"]
    fulfilment.ship(order_id=paid.pk, carrier="DHL", tracking_number="1", actor=None, now=NOW)
    assert offered(client, paid) == ["deliver", "ship", "refund"]
    fulfilment.mark_delivered(order_id=paid.pk, actor=None, now=NOW)
    assert offered(client, paid) == ["refund"]


def test_who_may_only_look_sees_no_buttons(client, clerk, paid):
    clerk("view_order")
    assert offered(client, paid) == []


def test_who_may_not_give_money_back_may_still_ship(client, clerk, paid):
    clerk("view_order", "change_order")
    assert offered(client, paid) == ["ship"]
    assert client.get(address(paid, "refund")).status_code == 403


@ACTIONS
@pytest.mark.parametrize("permissions", [(), ("view_order",), ("change_order", "add_refund")], ids=str)
def test_who_may_not_is_refused_however_they_ask(client, clerk, paid, action, permissions):
    clerk(*permissions)
    before = models.OrderEvent.objects.count()
    assert client.get(address(paid, action)).status_code == 403
    assert client.post(address(paid, action), PARCEL).status_code == 403
    assert models.OrderEvent.objects.count() == before


@ACTIONS
def test_a_stranger_and_a_customer_are_led_to_the_login(client, paid, action):
    assert client.post(address(paid, action))["Location"].startswith("/admin/login/")
    client.force_login(UserFactory())
    assert client.post(address(paid, action))["Location"].startswith("/admin/login/")


@ACTIONS
def test_a_page_of_another_site_does_nothing(client, owner, paid, action):
    client.handler.enforce_csrf_checks = True
    assert client.post(address(paid, action), PARCEL).status_code == 403


@ACTIONS
def test_an_order_that_is_not_there_is_told_so(client, owner, action):
    nowhere = address(models.Order(pk=uuid4()), action)
    assert client.get(nowhere).status_code == 404
    assert client.post(nowhere, PARCEL).status_code == 404


@ACTIONS
def test_looking_at_the_page_does_nothing(client, owner, paid, action):
    assert client.get(address(paid, action)).status_code == 200
    assert not paid.events.filter(actor=owner).exists()


# ── shipping ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_parcel_that_left_is_told_to_the_buyer_and_on_the_page(client, clerk, paid, delivered):
    actor = clerk("view_order", "change_order")
    assert client.post(address(paid, "ship"), PARCEL)["Location"] == page(paid)
    paid.refresh_from_db()
    assert paid.state == models.OrderState.SHIPPED
    assert paid.events.get(kind="SHIPPED").actor == actor
    text = client.get(page(paid)).text
    assert "The parcel DHL 0034 is recorded." in text
    assert '<a href="https://dhl.example/0034" target="_blank" rel="noopener noreferrer nofollow">0034</a>' in text
    assert any("0034" in mail.body for mail in delivered())


def test_a_double_click_ships_one_parcel(client, owner, paid):
    for _ in range(2):
        assert client.post(address(paid, "ship"), PARCEL).status_code == 302
    assert models.Shipment.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"carrier": ""}, "carrier"),
        ({"carrier": "x" * 101}, "carrier"),
        ({"carrier": "D\0HL"}, "carrier"),
        ({"tracking_number": "   "}, "tracking_number"),
        ({"tracking_url": "javascript:alert(1)"}, "tracking_url"),
        ({"tracking_url": "data:text/html,x"}, "tracking_url"),
        ({"tracking_url": "https://x.example/" + "x" * 500}, "tracking_url"),
    ],
)
def test_a_bad_parcel_is_told_beside_the_field(client, owner, paid, given, field):
    response = client.post(address(paid, "ship"), PARCEL | given)
    assert (response.status_code, list(response.context["form"].errors)) == (200, [field])
    assert not models.Shipment.objects.exists()


def test_what_the_order_does_not_allow_is_told_in_words(client, owner, placed_order, variant):
    order = placed_order({variant: 1})
    for action, sentence in (("ship", "cannot become shipped"), ("deliver", "cannot become delivered")):
        response = client.post(address(order, action), PARCEL)
        assert response.status_code == 200
        assert sentence in response.text
    order.refresh_from_db()
    assert order.state == models.OrderState.AWAITING_PAYMENT


def test_a_shipped_order_arrives_and_twice_is_once(client, owner, paid):
    client.post(address(paid, "ship"), PARCEL)
    for _ in range(2):
        assert client.post(address(paid, "deliver")).status_code == 302
    assert paid.events.filter(kind="DELIVERED").count() == 1


# ── refunds ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_part_goes_back_and_then_all_that_is_left(client, clerk, paid, variant):
    actor = clerk("view_order", "add_refund")
    response = client.post(address(paid, "refund"), chosen(client, paid) | {"amount": "5", "reason": "A scratch"})
    assert response["Location"] == page(paid)
    assert "5.00 EUR refunded." in client.get(page(paid)).text
    client.post(address(paid, "refund"), chosen(client, paid) | {"restock": "on"})
    paid.refresh_from_db()
    variant.stock.refresh_from_db()
    assert (paid.state, variant.stock.reserved) == (models.OrderState.REFUNDED, 0)
    first, rest = models.Refund.objects.all()
    assert (first.amount, first.reason, first.actor, first.amount + rest.amount) == (5, "A scratch", actor, paid.total)


@pytest.mark.parametrize("amount", ["5", ""], ids=["a part", "all of it"])
def test_a_double_click_gives_once(client, owner, paid, amount):
    form = chosen(client, paid) | {"amount": amount}
    for _ in range(2):
        assert client.post(address(paid, "refund"), form).status_code == 302
    assert models.Refund.objects.count() == 1


def test_two_pages_are_two_refunds(client, owner, paid):
    one, other = (chosen(client, paid) | {"amount": "5"} for _ in range(2))
    client.post(address(paid, "refund"), one)
    client.post(address(paid, "refund"), other)
    assert models.Refund.objects.count() == 2


def test_going_back_and_giving_another_amount_is_asked_once_more(client, owner, paid):
    form = chosen(client, paid)
    client.post(address(paid, "refund"), form | {"amount": "5"})
    response = client.post(address(paid, "refund"), form | {"amount": "7"})
    assert "already refunded another amount" in response.text
    assert models.Refund.objects.count() == 1
    again = {name: response.context["form"][name].value() for name in ("request_id", "payment_id", "amount")}
    assert client.post(address(paid, "refund"), again).status_code == 302
    assert [refund.amount for refund in models.Refund.objects.all()] == [5, 7]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "Infinity"}, "amount"),
        ({"amount": "1e999999"}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"amount": "1000000"}, "amount"),
        ({"payment_id": ""}, "payment_id"),
        ({"payment_id": "junk"}, "payment_id"),
        ({"payment_id": str(uuid4())}, "payment_id"),
        ({"reason": "x" * 2001}, "reason"),
        ({"request_id": ""}, "request_id"),
    ],
)
def test_a_bad_refund_is_told_beside_the_field(client, owner, paid, given, field):
    response = client.post(address(paid, "refund"), chosen(client, paid) | given)
    assert (response.status_code, list(response.context["form"].errors)) == (200, [field])
    assert not models.Refund.objects.exists()


def test_the_payment_of_another_order_is_not_given_back_from_here(client, owner, paid, paid_order):
    other = paid_order({VariantFactory(): 1}).payments.get()
    response = client.post(address(paid, "refund"), chosen(client, paid) | {"payment_id": str(other.pk)})
    assert list(response.context["form"].errors) == ["payment_id"]


def test_a_gateway_that_is_away_is_told_and_asked_again_later(client, owner, paid, monkeypatch):
    def away(*_):
        raise gateways.GatewayUnavailable

    monkeypatch.setattr(TestGateway, "refund", away)
    response = client.post(address(paid, "refund"), chosen(client, paid), follow=True)
    assert "is pending: the gateway has not answered yet" in response.text
    assert models.Refund.objects.get().state == models.PaymentState.PENDING


def test_a_refund_that_the_gateway_refuses_is_told_and_can_be_tried_again(client, owner, paid, monkeypatch):
    refused = gateways.Outcome(models.PaymentState.FAILED, reference="", failure="The account is closed.")
    monkeypatch.setattr(TestGateway, "refund", lambda *_: refused)
    form = chosen(client, paid)
    response = client.post(address(paid, "refund"), form)
    assert "could not be refunded: The account is closed." in response.text
    assert response.context["form"]["request_id"].value() != form["request_id"]


# ── cancelling ───────────────────────────────────────────────────────────────────────────────────────


def test_an_unpaid_order_is_cancelled_with_its_reason(client, clerk, placed_order, variant):
    clerk("view_order", "change_order")
    order = placed_order({variant: 2})
    assert client.post(address(order, "cancel"), {"reason": "The buyer called"}).status_code == 302
    order.refresh_from_db()
    variant.stock.refresh_from_db()
    assert (order.state, variant.stock.reserved) == (models.OrderState.CANCELLED, 0)
    assert "The buyer called" in client.get(page(order)).text


def test_a_paid_order_is_not_cancelled(client, owner, paid):
    response = client.post(address(paid, "cancel"), {"reason": ""})
    assert (response.status_code, "cannot become cancelled" in response.text) == (200, True)


# ── the page ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_tells_the_whole_story_in_order(client, owner, paid):
    client.post(address(paid, "ship"), PARCEL)
    client.post(address(paid, "deliver"))
    client.post(address(paid, "refund"), chosen(client, paid) | {"reason": "Too small"})
    text = client.get(page(paid)).text
    steps = ["Am Hafen 1", "44.90 EUR", "payment started", "DHL 0034", "delivered", "Too small", "owner@example.com"]
    for step in steps:
        assert step in text
    story = text[text.index("Order history") :]
    kinds = ["placed", "payment started", "paid", "shipped", "delivered", "refunded"]
    assert re.findall(r"<b>(.*?)</b>", story) == kinds


def test_what_a_buyer_wrote_is_shown_and_never_run(client, owner, ready_cart, variant):
    cart = ready_cart({variant: 1})
    evil = "<script>alert(1)</script>"
    models.Checkout.objects.update(
        shipping_address=models.Address(
            name=evil, line1='"><img src=x onerror=alert(1)>', city="Hamburg", postal_code="20457", country_code="DE"
        )
    )
    models.Product.objects.update(title=evil)
    key = carts.CartKey(code=cart.code)
    order = orders.place(key=key, expected_total=totals(cart).total, note=evil, now=NOW).order
    for shown in (page(order), address(order, "cancel"), "/admin/", "/admin/storefront/order/"):
        text = client.get(shown).text
        assert evil not in text
        assert "<img src=x" not in text
    assert client.get(page(order)).text.count("&lt;script&gt;") >= 3


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "data:text/html,x"]
)
def test_a_parcel_whose_address_is_no_web_page_is_no_link(client, owner, paid, url):
    fulfilment.ship(order_id=paid.pk, **PARCEL, actor=None, now=NOW)
    models.Shipment.objects.update(tracking_url=url)
    text = client.get(page(paid)).text
    assert url.strip() not in text
    assert "0034" in text


def test_a_free_order_and_one_without_a_payment_have_their_page(client, owner, placed_order, variant):
    order = placed_order({variant: 1})
    assert "No payment yet." in client.get(page(order)).text
    models.Order.objects.update(total=0)
    assert "Nothing to pay." in client.get(page(order)).text


def test_orders_of_a_currency_without_cents_show_none(client, owner, paid):
    models.Order.objects.update(currency="JPY")
    assert ">45 JPY<" in client.get(page(paid)).text
    assert "45 JPY" in client.get("/admin/storefront/order/").text


@pytest.mark.parametrize("kind", models.OrderEventKind)
def test_every_kind_of_event_has_its_sign(kind):
    assert display.icon(models.OrderEvent(kind=kind))


@pytest.mark.parametrize("row", [models.Order, models.Payment, models.Refund])
def test_every_state_has_its_colour(row):
    for state, label in row._meta.get_field("state").choices:
        assert label in display.state(row(state=state))
