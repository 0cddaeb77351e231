"""What staff look up over the wire: stock and its ledger, orders, customers, sales, changes."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schema.base import ids
from storefront import models
from tests.factories import LONG_AGO, NOW, ProductFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def owner(api):
    user = UserFactory(email="olive@example.com", is_staff=True, is_superuser=True)
    api.client.force_login(user)
    return user


def id_of(row, kind=None):
    return ids.encode(kind or type(row).__name__, row.pk)


# ── stock ────────────────────────────────────────────────────────────────────────────────────────────

ADJUST = """mutation ($input: AdjustStockInput!) { adjustStock(input: $input) {
    replayed
    movements { at reason note actor orderNumber onHandChange reservedChange variant { sku stock { onHand policy } } }
    userErrors { __typename code field ... on InsufficientStock { requested available variant { sku } } }
} }"""


@pytest.fixture
def adjust(api):
    return lambda **given: api(ADJUST, input={"requestId": "1", **given})["adjustStock"]


def test_a_list_is_adjusted_once_and_answered_alike_again(adjust):
    tee, mug = VariantFactory(sku="TEE", stock__on_hand=5), VariantFactory(sku="MUG", stock__on_hand=5)
    lines = [
        {"variantId": id_of(tee), "delta": 3, "reason": "found"},
        {"variantId": id_of(mug), "delta": -5, "policy": "BACKORDER"},
    ]
    first, again = adjust(lines=lines), adjust(lines=lines)
    assert (first["userErrors"], first["replayed"], again["replayed"]) == ([], False, True)
    assert first["movements"] == again["movements"]
    found, gone = first["movements"]
    assert found == {
        "at": found["at"],
        "reason": "ADJUSTED",
        "note": "found",
        "actor": "olive@example.com",
        "orderNumber": None,
        "onHandChange": 3,
        "reservedChange": 0,
        "variant": {"sku": "TEE", "stock": {"onHand": 8, "policy": "DENY"}},
    }
    assert gone["variant"]["stock"] == {"onHand": 0, "policy": "BACKORDER"}
    (reused,) = adjust(lines=lines[:1])["userErrors"]
    assert (reused["code"], reused["field"]) == ("REQUEST_ID_REUSED", ["requestId"])


def test_an_adjustment_that_cannot_be_says_where_and_how_many_there_are(adjust):
    tee = VariantFactory(sku="TEE", stock__on_hand=5, stock__reserved=3)
    (short,) = adjust(lines=[{"variantId": id_of(tee), "delta": -3}])["userErrors"]
    assert short == {
        "__typename": "InsufficientStock",
        "code": "INSUFFICIENT_STOCK",
        "field": ["lines", "0", "delta"],
        "requested": 3,
        "available": 2,
        "variant": {"sku": "TEE"},
    }
    for unknown in ("junk", ids.encode("ProductVariant", 10**9)):
        (error,) = adjust(lines=[{"variantId": unknown, "delta": 1}])["userErrors"]
        assert (error["code"], error["field"]) == ("NOT_FOUND", ["lines", "0", "variantId"])
    assert not models.StockMovement.objects.exists()


def test_the_ledger_is_walked_from_the_last_move_on(api, adjust, placed_order):
    tee, mug = VariantFactory(), VariantFactory()
    adjust(lines=[{"variantId": id_of(tee), "delta": 1}, {"variantId": id_of(mug), "delta": 1}])
    order = placed_order({tee: 2})
    document = """query ($variant: ID, $after: String) { stockMovements(variantId: $variant, first: 1, after: $after) {
        totalCount nodes { reason orderNumber reservedChange } pageInfo { endCursor hasNextPage }
    } }"""
    page = api(document, variant=id_of(tee))["stockMovements"]
    assert page["nodes"] == [{"reason": "RESERVED", "orderNumber": order.number, "reservedChange": 2}]
    assert page["totalCount"] == 2
    rest = api(document, variant=id_of(tee), after=page["pageInfo"]["endCursor"])["stockMovements"]
    assert [node["reason"] for node in rest["nodes"]] == ["ADJUSTED"]
    assert api(document)["stockMovements"]["totalCount"] == 3
    (error,) = api.errors(document, variant=ids.encode("Order", tee.pk))
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


def test_what_there_is_little_of_comes_with_the_least_first(api, settings):
    settings.SHOP_LOW_STOCK = 3
    for left in (3, 0, 4, 1):
        VariantFactory(sku=f"LEFT-{left}", stock__on_hand=left + 2, stock__reserved=2)
    document = "query ($atMost: Int, $after: String) { lowStock(first: 2, atMost: $atMost, after: $after) { %s } }"
    document %= "nodes { sku } pageInfo { endCursor }"
    page = api(document)["lowStock"]
    rest = api(document, after=page["pageInfo"]["endCursor"])["lowStock"]
    assert [node["sku"] for node in page["nodes"] + rest["nodes"]] == ["LEFT-0", "LEFT-1", "LEFT-3"]
    assert [node["sku"] for node in api(document, atMost=0)["lowStock"]["nodes"]] == ["LEFT-0"]


# ── orders and customers ─────────────────────────────────────────────────────────────────────────────

ORDERS = """query ($filter: OrderFilter, $after: String) { orders(first: 2, filter: $filter, after: $after) {
    totalCount nodes { number lines { sku } payments { state } } pageInfo { endCursor }
} }"""


@pytest.fixture
def numbers(api):
    return lambda **filter: [node["number"] for node in api(ORDERS, filter=filter)["orders"]["nodes"]]


def test_orders_are_listed_the_last_first_and_narrowed_by_each_part(numbers, placed_order, paid_order):
    ada = UserFactory(email="ada@example.com")
    old, new = placed_order({VariantFactory(): 1}, ada), paid_order({VariantFactory(): 1})
    models.Order.objects.filter(pk=old.pk).update(placed_at=LONG_AGO)
    models.Order.objects.filter(pk=new.pk).update(email="bob@example.com")
    assert numbers() == [new.number, old.number]
    assert numbers(state=["PAID"]) == [new.number]
    assert numbers(email=" ADA@example.com ") == numbers(customerId=ids.encode("Customer", ada.pk)) == [old.number]
    assert numbers(number=new.number.lower()) == [new.number]
    assert numbers(placed={"gte": (NOW - timedelta(days=1)).isoformat()}) == [new.number]
    assert numbers(placed={"lte": LONG_AGO.isoformat()}, state=["PAID", "AWAITING_PAYMENT"]) == [old.number]
    assert numbers(state=[], email=None) == [new.number, old.number]


@pytest.mark.parametrize(
    "filter",
    [{"customerId": "junk"}, {"placed": {"gte": "2030-01-01"}}, {"placed": {"lte": "9999-12-31T23:59:59-14:00"}}],
)
def test_a_filter_of_orders_that_is_none_is_bad_input(api, filter):
    (error,) = api.errors(ORDERS, filter=filter)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


def test_pages_of_orders_go_on_and_cost_the_same_for_many(api, statements, placed_order):
    costs = set()
    for size in (1, 3):
        for _ in range(size):
            placed_order({VariantFactory(): 1})
        with statements() as counted:
            page = api(ORDERS)["orders"]
        costs.add(len(counted))
    rest = api(ORDERS, after=page["pageInfo"]["endCursor"])["orders"]
    assert len({node["number"] for node in page["nodes"] + rest["nodes"]}) == 4
    assert len(costs) == 1


def test_customers_are_found_by_how_their_email_or_name_begins(api, placed_order, owner):
    ada = UserFactory(email="ada@example.com", name="Ada Example")
    UserFactory(email="bob@example.com", name="Bob")
    UserFactory(email=None, claimed_email="adam@example.com", name="")
    UserFactory(email=None, name="Ada, who left", is_active=False)
    placed_order({VariantFactory(): 1}, ada)
    document = """query ($search: String) { customers(search: $search) {
        nodes { id email emailVerified name orderCount isActive } totalCount
    } }"""
    found = api(document, search=" ADA")["customers"]["nodes"]
    assert {node["email"]: (node["emailVerified"], node["orderCount"]) for node in found} == {
        "ada@example.com": (True, 1),
        "adam@example.com": (False, 0),
    }
    assert [node["email"] for node in api(document, search="bo")["customers"]["nodes"]] == ["bob@example.com"]
    assert api(document)["customers"]["totalCount"] == 3


# ── answering for the shop ───────────────────────────────────────────────────────────────────────────


def test_sales_are_told_period_by_period_and_together(api, paid_order):
    order = paid_order({VariantFactory(price=Decimal(10)): 1})
    document = """query ($from: DateTime!, $to: DateTime!) { salesReport(from: $from, to: $to, by: MONTH) {
        orders total { amount currency } refunded { amount }
        periods { from orders total { amount } refunded { amount } }
    } }"""
    report = api(document, **{"from": "2030-01-01T00:00:00Z", "to": "2030-03-01T00:00:00+00:00"})["salesReport"]
    total = f"{order.total:.2f}"
    assert (report["orders"], report["total"]) == (1, {"amount": total, "currency": "EUR"})
    assert [(each["from"], each["orders"], each["total"]["amount"]) for each in report["periods"]] == [
        ("2030-01-01T00:00:00+00:00", 1, total),
        ("2030-02-01T00:00:00+00:00", 0, "0.00"),
    ]
    for given in (
        {"from": "2030-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"},
        {"from": "2030-01-01", "to": "2030-02-01T00:00:00Z"},
        {"from": "0001-01-01T00:00:00+14:00", "to": "2030-02-01T00:00:00Z"},
        {"from": "1900-01-01T00:00:00Z", "to": "2030-02-01T00:00:00Z"},
    ):
        (error,) = api.errors(document, **given)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


def test_who_changed_what_is_told_of_all_and_of_one(api, owner):
    tee, mug = ProductFactory(title="Tee"), ProductFactory(title="Mug")
    update = "mutation ($input: UpdateProductInput!) { updateProduct(input: $input) { userErrors { code } } }"
    api(update, input={"id": id_of(tee), "title": "Linen Tee", "tags": ["linen"]})
    api(update, input={"id": id_of(mug), "title": "Enamel Mug"})
    api('mutation { saveTaxClass(input: { name: "Books" }) { saved { id } } }')
    document = """query ($kind: String, $target: ID) { changes(kind: $kind, targetId: $target) {
        nodes { at actor action kind label targetId fields { name before after } }
    } }"""
    assert [node["label"] for node in api(document)["changes"]["nodes"]] == ["Books", "Enamel Mug", "Linen Tee"]
    (change,) = api(document, kind="Product", target=id_of(tee))["changes"]["nodes"]
    assert change == {
        "at": change["at"],
        "actor": "olive@example.com",
        "action": "UPDATED",
        "kind": "Product",
        "label": "Linen Tee",
        "targetId": id_of(tee),
        "fields": [
            {"name": "tags", "before": "[]", "after": '["linen"]'},
            {"name": "title", "before": "Tee", "after": "Linen Tee"},
        ],
    }
    for given in ({"target": id_of(tee)}, {"kind": "Category", "target": id_of(tee)}):
        (error,) = api.errors(document, **given)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
