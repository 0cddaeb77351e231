"""A story over HTTP, from the first visit to a paid order, with a declined card and a lost answer on the way."""

from decimal import Decimal

import pytest

from storefront import models
from tests.factories import CategoryFactory, ImageFactory, ProductFactory, ShippingMethodFactory, VariantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    """Shirts in two sizes and a mug; parcels go out for 4.90."""
    shirts = CategoryFactory(name="Shirts", slug="shirts", parent=CategoryFactory(name="Clothing", slug="clothing"))
    shirt = ProductFactory(title="Harbour Linen Shirt", slug="harbour-linen-shirt", option1_name="Size")
    shirt.categories.add(shirts)
    ImageFactory(product=shirt)
    VariantFactory(product=shirt, sku="HLS-M", option1="M", price=Decimal("59.90"), stock__on_hand=2)
    VariantFactory(product=shirt, sku="HLS-L", option1="L", price=Decimal("59.90"), stock__on_hand=0)
    VariantFactory(product__title="Enamel Mug", sku="MUG", price=Decimal("14.50"))
    ShippingMethodFactory(name="Standard", price=Decimal("4.90"))


def test_a_guest_buys_a_shirt_and_a_mug(api, shop):
    # Ada comes by, and looks around in clothing.
    front = api("{ shop { name currency } categories { slug children { slug } } }")
    assert front["categories"] == [{"slug": "clothing", "children": [{"slug": "shirts"}]}]
    (listed,) = api(
        """{ products(filter: {categorySlug: "clothing"}) {
            nodes { slug featuredImage { url } priceRange { min { amount } } availability }
        } }"""
    )["products"]["nodes"]
    assert (listed["priceRange"]["min"]["amount"], listed["availability"]) == ("59.90", "LOW_STOCK")

    # On the shirt's page she finds that L is gone; M will do.
    shirt = api(
        """query ($slug: String!) { product(slug: $slug) {
            title variants { id title availability price { amount } }
        } }""",
        slug=listed["slug"],
    )["product"]
    medium, large = shirt["variants"]
    assert (medium["title"], large["availability"]) == ("M", "OUT_OF_STOCK")
    mug = api('{ products(search: "enamel") { nodes { variants { id } } } }')["products"]["nodes"][0]["variants"][0]

    # Three shirts are more than there are; the answer says how many she can have.
    add = """mutation ($lines: [CartLineInput!]!) { addToCart(input: {lines: $lines}) {
        cart { totalQuantity lines { id quantity } }
        userErrors { code ... on InsufficientStock { available } }
    } }"""
    refused = api(add, lines=[{"variantId": medium["id"], "quantity": 3}])["addToCart"]
    assert refused == {"cart": None, "userErrors": [{"code": "INSUFFICIENT_STOCK", "available": 2}]}
    cart = api(add, lines=[{"variantId": medium["id"], "quantity": 2}, {"variantId": mug["id"]}])["addToCart"]["cart"]
    assert cart["totalQuantity"] == 3

    # One shirt is enough, after all.
    update = """mutation ($line: ID!) { updateCartLine(input: {lineId: $line, quantity: 1}) {
        cart { code subtotal { amount } } userErrors { code }
    } }"""
    cart = api(update, line=cart["lines"][0]["id"])["updateCartLine"]["cart"]
    assert cart["subtotal"] == {"amount": "74.40"}

    # She says who she is and where she lives, and then how it shall come.
    checkout = """mutation ($input: CheckoutInput!) { checkout(input: $input) {
        cart { total { amount } problems { code } checkout { ready shippingOptions { id name } } }
        userErrors { code field }
    } }"""
    home = {"name": "Ada", "line1": "Am Hafen 1", "city": "Hamburg", "postalCode": "20457", "countryCode": "ZZ"}
    payload = api(checkout, input={"email": "ada@example.com", "shippingAddress": home})["checkout"]
    assert payload["userErrors"] == [{"code": "ADDRESS_INCOMPLETE", "field": ["shippingAddress", "countryCode"]}]
    home["countryCode"] = "DE"
    payload = api(checkout, input={"email": "ada@example.com", "shippingAddress": home})["checkout"]
    (option,) = payload["cart"]["checkout"]["shippingOptions"]
    ready = api(checkout, input={"shippingOptionId": option["id"]})["checkout"]["cart"]
    assert (ready["checkout"]["ready"], ready["problems"], ready["total"]) == (True, [], {"amount": "79.30"})

    # While she thinks it over, the mug becomes dearer: she is asked again rather than charged.
    models.ProductVariant.objects.filter(sku="MUG").update(price=Decimal("15.50"))
    place = """mutation ($total: Decimal!, $code: ID) { placeOrder(input: {expectedTotal: $total, cartCode: $code}) {
        order { id number state receipt total { amount } }
        replayed
        userErrors { code ... on TotalChanged { actual { amount } } }
    } }"""
    refused = api(place, total="79.30", code=cart["code"])["placeOrder"]
    assert refused["userErrors"] == [{"code": "TOTAL_CHANGED", "actual": {"amount": "80.30"}}]

    # That is fine with her. The answer is lost on its way, so her browser asks once more: it is one order.
    lost = api(place, total="80.30", code=cart["code"])["placeOrder"]
    placed = api(place, total="80.30", code=cart["code"])["placeOrder"]
    assert (lost["replayed"], placed["replayed"]) == (False, True)
    order = placed["order"]
    assert order == lost["order"]
    assert order["state"] == "AWAITING_PAYMENT"
    assert models.Order.objects.count() == 1

    # The last shirt but one is hers now: somebody else can have one, not two.
    elsewhere = api.client.cookies.copy()
    api.client.cookies.clear()
    assert api(add, lines=[{"variantId": medium["id"], "quantity": 2}])["addToCart"]["userErrors"] == [
        {"code": "INSUFFICIENT_STOCK", "available": 1}
    ]
    api.client.cookies = elsewhere

    # Her first card is declined, the second one pays, and a nervous third click does not pay twice.
    pay = """mutation ($order: ID!, $receipt: String!, $card: String!) {
        startPayment(input: {orderId: $order, receipt: $receipt, provider: TEST, paymentMethod: $card}) {
            payment { id state amount { amount } } order { state } userErrors { code message }
        }
    }"""
    mine = {"order": order["id"], "receipt": order["receipt"]}
    declined = api(pay, **mine, card="decline")["startPayment"]
    assert declined["userErrors"] == [{"code": "PAYMENT_DECLINED", "message": "The card was declined."}]
    paid = api(pay, **mine, card="ok")["startPayment"]
    assert paid["payment"]["state"] == "SUCCEEDED"
    assert paid["payment"]["amount"] == {"amount": "80.30"}
    assert paid["order"] == {"state": "PAID"}
    assert api(pay, **mine, card="ok")["startPayment"] == paid

    # By the link in her mail she follows the order, on a machine that has never seen her cart.
    api.client.cookies.clear()
    followed = api(
        """query ($receipt: String!) { order(receipt: $receipt) {
            number state lines { sku quantity } payments { state } events { kind }
        } }""",
        receipt=order["receipt"],
    )["order"]
    assert followed == {
        "number": order["number"],
        "state": "PAID",
        "lines": [{"sku": "HLS-M", "quantity": 1}, {"sku": "MUG", "quantity": 1}],
        "payments": [{"state": "FAILED"}, {"state": "SUCCEEDED"}],
        "events": [
            {"kind": kind} for kind in ("PLACED", "PAYMENT_STARTED", "PAYMENT_FAILED", "PAYMENT_STARTED", "PAID")
        ],
    }

    # The shop's books agree: one shirt and one mug are promised, and the ledger says to which order.
    stock = models.Stock.objects.values_list("variant__sku", "on_hand", "reserved")
    assert set(stock) == {("HLS-M", 2, 1), ("HLS-L", 0, 0), ("MUG", 10, 1)}
    moves = models.StockMovement.objects.values_list("variant__sku", "reserved_change", "order__number")
    assert set(moves) == {("HLS-M", 1, order["number"]), ("MUG", 1, order["number"])}
