"""The example tabs of GraphiQL, executed as a visitor would: one after the other, answers copied into variables."""

import json

import pytest
from graphql import OperationDefinitionNode, parse

from schema.serving.examples import OPERATIONS, tabs
from storefront import models

pytestmark = pytest.mark.django_db


def _operations(document):
    return {
        definition.name.value: {variable.variable.name.value for variable in definition.variable_definitions}
        for definition in parse(document).definitions
        if isinstance(definition, OperationDefinitionNode)
    }


@pytest.fixture
def run(api):
    """`run("04-buy", "Place", total=…)`: an operation of a tab with the tab's variables, changed as one would."""
    opened = {tab["title"]: tab for tab in tabs()}

    def execute(title, operation, /, **changed):
        tab = opened[title]
        given = json.loads(tab["variables"] or "{}") | changed
        assert _operations(tab["query"])[operation] <= given.keys()
        return api(tab["query"], operation, **given)

    return execute


def test_the_tabs_run_on_the_demo_shop_as_they_say(demo_shop, run, api):
    _browsing_shows_the_shop(run)
    _a_guest_buys(run)
    _refusals_are_told(run)
    _a_customer_logs_in(run, api)
    _staff_have_their_day(run, api)


def _browsing_shows_the_shop(run):
    browsed = run("01-browse", "Browse")
    assert browsed["shop"]["paymentProviders"] == ["TEST"]
    assert len(browsed["products"]["nodes"]) == 12
    assert browsed["products"]["totalCount"] > 12
    assert any(root["children"] for root in browsed["categories"])
    assert all(product["featuredImage"]["url"].startswith("http") for product in browsed["products"]["nodes"])

    for words in ("shirt", "shrit"):
        found = run("02-search", "Search", words=words)["products"]
        assert found["totalCount"] >= 1
        assert {facet["kind"] for facet in found["facets"]} == {"VENDOR", "PRODUCT_TYPE", "TAG", "OPTION"}

    product = run("03-product", "ProductPage")["product"]
    assert product["title"] == "Harbour Linen Shirt"
    assert product["categories"][0]["ancestors"]
    assert len(product["variants"]) > 4
    assert all(variant["image"] for variant in product["variants"])
    abroad = run("03-product", "ProductInDollars")["product"]
    assert {variant["price"]["currency"] for variant in abroad["variants"]} == {"USD"}


def _a_guest_buys(run):
    cart = run("04-buy", "AddToCart")["addToCart"]["cart"]
    assert cart["totalQuantity"] == 3

    checkout = run("04-buy", "Checkout")["checkout"]["cart"]["checkout"]
    assert "Standard" in [option["name"] for option in checkout["shippingOptions"]]

    chosen = run("04-buy", "ChooseShipping")["checkout"]["cart"]
    assert (chosen["checkout"]["ready"], chosen["problems"]) == (True, [])
    # The total that the tab suggests is the one of a cart that only it has filled.
    assert json.loads((OPERATIONS / "04-buy.json").read_text())["total"] == chosen["total"]["amount"]

    discounted = run("04-buy", "ApplyCode")["applyDiscountCode"]["cart"]
    assert discounted["discount"] == chosen["shipping"]
    assert "DISCOUNT" in {step["kind"] for step in discounted["priceTrace"]}
    assert run("04-buy", "RemoveCode")["removeDiscountCode"]["cart"]["total"] == chosen["total"]

    order = run("04-buy", "Place", total=chosen["total"]["amount"])["placeOrder"]["order"]
    assert order["state"] == "AWAITING_PAYMENT"
    assert run("04-buy", "Place", total=chosen["total"]["amount"])["placeOrder"]["replayed"]

    paid = run("04-buy", "Pay", order=order["id"], receipt=order["receipt"])["startPayment"]
    assert (paid["payment"]["state"], paid["order"]["state"]) == ("SUCCEEDED", "PAID")

    followed = run("04-buy", "Follow", receipt=order["receipt"])["order"]
    assert followed["state"] == "PAID"
    assert all(line["image"]["url"] for line in followed["lines"])


def _refusals_are_told(run):
    (sold_out,) = run("05-errors", "SoldOut")["addToCart"]["userErrors"]
    assert sold_out["__typename"] == "InsufficientStock"
    assert (sold_out["requested"], sold_out["available"]) == (1, 0)
    assert sold_out["variant"]["product"]["title"]

    (unknown,) = run("05-errors", "UnknownIds")["addToCart"]["userErrors"]
    assert unknown["code"] == "NOT_FOUND"

    answer = run("05-errors", "WrongTotal")
    assert answer["addToCart"]["userErrors"] == []
    assert answer["placeOrder"]["order"] is None
    assert {error["code"] for error in answer["placeOrder"]["userErrors"]} & {"TOTAL_CHANGED", "EMAIL_MISSING"}
    assert not models.Order.objects.filter(total=1).exists()


def _a_customer_logs_in(run, api):
    login = run("06-account", "Login")["login"]
    assert login["user"]["name"] == "Ada Example"
    assert [change["variant"]["sku"] for change in login["merged"]] == ["MUG-ENAMEL"]  # Of the tab before.
    api.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {login['accessToken']}"
    me = run("06-account", "Me")["me"]
    assert me["emailVerified"]
    assert me["cart"]["totalQuantity"] >= 1
    assert any(session["current"] for session in me["sessions"])
    orders = run("06-account", "MyOrders")["me"]["orders"]
    assert orders["totalCount"] == len(orders["nodes"]) == 5
    assert run("06-account", "Refresh")["refreshToken"]["accessToken"]
    assert run("06-account", "Logout")["logout"]["userErrors"] == []
    del api.client.defaults["HTTP_AUTHORIZATION"]
    assert run("06-account", "Me")["me"] is None
    assert not run("06-account", "Register")["register"]["user"]["emailVerified"]


def _staff_have_their_day(run, api):
    login = run("07-staff", "StaffLogin")["login"]
    assert login["user"]["isStaff"]
    api.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {login['accessToken']}"

    morning = run("07-staff", "Morning")
    assert morning["orders"]["nodes"]
    available = [variant["stock"]["available"] for variant in morning["lowStock"]["nodes"]]
    assert available == sorted(available)
    order = morning["orders"]["nodes"][0]["id"]
    shipped = run("07-staff", "Ship", order=order)["shipOrder"]
    assert (shipped["userErrors"], shipped["order"]["state"]) == ([], "SHIPPED")

    first, again = (run("07-staff", "Receive")["adjustStock"] for _ in range(2))
    assert (first["userErrors"], first["replayed"], again["replayed"]) == ([], False, True)
    assert first["movements"] == again["movements"]
    assert first["movements"][0]["onHandChange"] == 24

    product = run("07-staff", "CreateProduct")["createProduct"]["product"]
    assert (product["version"], product["state"]) == (1, "DRAFT")
    assert [variant["stock"]["onHand"] for variant in product["variants"]] == [12, 8]
    published = run("07-staff", "UpdateProduct", id=product["id"])["updateProduct"]["product"]
    assert (published["version"], published["state"]) == (2, "PUBLISHED")
    (stale,) = run("07-staff", "UpdateProduct", id=product["id"], title="Other")["updateProduct"]["userErrors"]
    assert (stale["code"], stale["current"]["version"]) == ("STALE_VERSION", 2)
    assert stale["current"]["title"] == published["title"]
    (tagged,) = run("07-staff", "UpdateProducts", ids=[product["id"]])["updateProducts"]["products"]
    assert tagged["tags"] == ["new"]
    assert product["id"] in [node["id"] for node in run("07-staff", "Goods")["staffProducts"]["nodes"]]

    customer = run("07-staff", "Customer")
    assert customer["customers"]["nodes"][0]["name"] == "Ada Example"
    assert len(customer["orders"]["nodes"]) == 5

    evening = run("07-staff", "Evening", since="2020-01-01T00:00:00Z", until="2020-02-01T00:00:00Z")
    assert (evening["salesReport"]["orders"], len(evening["salesReport"]["periods"])) == (0, 5)
    assert evening["changes"]["nodes"][0]["actor"] == "owner@example.com"
    del api.client.defaults["HTTP_AUTHORIZATION"]


def test_each_tab_has_the_variables_that_its_operations_ask_for():
    for tab in tabs():
        given = json.loads(tab["variables"] or "{}").keys()
        asked = set().union(*_operations(tab["query"]).values())
        assert asked == given, tab["title"]


def test_without_the_demo_the_tabs_are_there_all_the_same():
    assert "variant:HLS-SAND-M" in next(tab["variables"] for tab in tabs() if tab["title"] == "04-buy")


def test_every_tab_opens_with_a_sentence_that_says_what_it_is():
    assert all(tab["query"].startswith("# ") for tab in tabs())
