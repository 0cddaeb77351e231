"""Shipping an order over GraphQL, and how its customer sees it. Who may is in test_staff.py."""

import pytest
from django.contrib.auth.models import Permission

from domain.sales import orders
from schema.base import ids
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

SHIP = """mutation ($input: ShipOrderInput!) { shipOrder(input: $input) {
  order { state shipments { carrier trackingNumber trackingUrl } events { kind } } userErrors { code field } } }"""
DELIVERED = """mutation ($input: MarkOrderDeliveredInput!) { markOrderDelivered(input: $input) {
  order { state } userErrors { code field } } }"""


@pytest.fixture
def clerk(api):
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "change_order"]))
    api.client.force_login(user)


def test_staff_ship_an_order_and_its_buyer_follows_it(api, clerk, paid_order):
    order = paid_order({VariantFactory(): 1})
    given = {"orderId": ids.encode("Order", order.pk), "carrier": "DHL", "trackingNumber": "00340"}
    payload = api(SHIP, input=given)["shipOrder"]
    assert payload["userErrors"] == []
    assert payload["order"]["state"] == "SHIPPED"
    assert payload["order"]["shipments"] == [{"carrier": "DHL", "trackingNumber": "00340", "trackingUrl": None}]
    payload = api(DELIVERED, input={"orderId": given["orderId"]})["markOrderDelivered"]
    assert payload == {"order": {"state": "DELIVERED"}, "userErrors": []}
    api.client.logout()
    follow = "query ($receipt: String) { order(receipt: $receipt) { state shipments { trackingNumber } } }"
    seen = api(follow, receipt=orders.receipt(order=order))["order"]
    assert seen == {"state": "DELIVERED", "shipments": [{"trackingNumber": "00340"}]}


def test_refusals_are_typed(api, clerk, placed_order):
    order = ids.encode("Order", placed_order({VariantFactory(): 1}).pk)
    given = {"carrier": "DHL", "trackingNumber": "1"}
    for order_id, code in ((order, "ORDER_STATE"), (ids.encode("Order", "0" * 32), "NOT_FOUND"), ("x", "NOT_FOUND")):
        (error,) = api(SHIP, input={"orderId": order_id, **given})["shipOrder"]["userErrors"]
        assert error == {"code": code, "field": ["orderId"]}
        (error,) = api(DELIVERED, input={"orderId": order_id})["markOrderDelivered"]["userErrors"]
        assert error == {"code": code, "field": ["orderId"]}


def test_a_customer_cannot_ship_their_own_order(api, paid_order):
    user = UserFactory()
    order = paid_order({VariantFactory(): 1}, user)
    api.client.force_login(user)
    given = {"orderId": ids.encode("Order", order.pk), "carrier": "DHL", "trackingNumber": "1"}
    (error,) = api.errors(SHIP, input=given)
    assert error["extensions"]["code"] == "FORBIDDEN"
