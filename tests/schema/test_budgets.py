"""SQL statements of each documented operation: `budgets.toml` says how many, for 1 row and for 100 alike."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from graphql import OperationDefinitionNode, parse

from domain.accounts import throttle
from domain.catalog import catalog_version, products, stock
from domain.sales import cart as carts
from domain.sales import rates_cache
from schema.base import ids
from schema.serving.examples import OPERATIONS
from storefront import models
from tests.factories import (
    ADDRESS,
    NOW,
    CategoryFactory,
    CurrencyFactory,
    DiscountFactory,
    ImageFactory,
    ProductFactory,
    ShippingMethodFactory,
    TaxClassFactory,
    TaxRateFactory,
    UserFactory,
    VariantFactory,
    VariantPriceFactory,
)

# Each write is a transaction of its own, as it is in life, so that the shop's terms are kept.
pytestmark = pytest.mark.django_db(transaction=True)

FILE = Path(__file__).parent.parent / "budgets.toml"
BUDGETS = tomllib.loads(FILE.read_text())
DOCUMENTS = {
    definition.name.value: path.read_text()
    for path in sorted(OPERATIONS.glob("*.graphql"))
    for definition in parse(path.read_text()).definitions
    if isinstance(definition, OperationDefinitionNode)
}
VARIABLES = {
    name: value for path in sorted(OPERATIONS.glob("*.json")) for name, value in json.loads(path.read_text()).items()
}


@pytest.fixture(autouse=True)
def mechanisms(settings):
    """Budgets are those of the default settings."""
    settings.COMPILED_READS = settings.PREPARED_QUERIES = True


def budget(name):
    """A number, or one for each database where they differ."""
    allowed = BUDGETS["operations"][name]
    return allowed[connection.vendor] if isinstance(allowed, dict) else allowed


def variant_id(variant):
    return ids.encode("ProductVariant", variant.pk)


@pytest.fixture
def shop():
    """`shop(100)`: so many products, each with two pictures, two tags and a branch of the category tree of its own;
    the first has so many variants, each with a picture."""

    def fill(size):
        tags = [models.Tag.objects.create(name=name) for name in ("new", "summer")]
        for number in range(size):
            root = CategoryFactory()
            leaf = CategoryFactory(parent=CategoryFactory(parent=root))
            product = ProductFactory(title=f"Linen shirt {number}", slug=f"shirt-{number}", option1_name="Size")
            image = ImageFactory(product=product)
            ImageFactory(product=product)
            product.tags.set(tags)
            product.categories.set([root, leaf])
            VariantFactory(product=product, option1="0", image=image, stock__on_hand=100_000)
        first = models.Product.objects.get(slug="shirt-0")
        images = ImageFactory.create_batch(size - 1, product=first)
        variants = models.ProductVariant.objects.bulk_create(
            models.ProductVariant(product=first, sku=f"SHIRT-0-{number}", option1=str(number), price=20, image=image)
            for number, image in enumerate(images, start=1)
        )
        models.Stock.objects.bulk_create(models.Stock(variant=variant, on_hand=10) for variant in variants)
        ShippingMethodFactory.create_batch(size)
        CurrencyFactory(code="USD")
        DiscountFactory(code=VARIABLES["code"])
        products.refresh_derived(product=first)
        rates_cache.rates(
            changes=catalog_version.changes()
        )  # Known, as they are in a shop that somebody has visited before.
        return list(models.ProductVariant.objects.filter(option1="0"))

    return fill


@pytest.fixture
def cost(api, statements):
    """Runs a documented operation, or a document, and says what it cost; its data is left in `cost.data`."""

    def run(name, document=None, **variables):
        with statements() as counted:
            run.data = api(document or DOCUMENTS[name], None if document else name, **variables)
        return len(counted)

    return run


def _fill(cart, variants):
    """Further lines, past the API, so that filling is not what is counted."""
    if variants:
        lines = [carts.NewLine(variant.pk, 1) for variant in variants]
        carts.add_lines(key=carts.CartKey(code=cart["code"]), lines=lines, now=NOW)


def _the_buyers_path(cost, variants):
    """The costs of a buyer's operations, in turn, with as many lines in the cart as there are variants."""
    one = [{"variantId": variant_id(variants[0]), "quantity": 1}]
    costs = {"AddToCart (the first thing)": cost("AddToCart", lines=one)}
    _fill(cost.data["addToCart"]["cart"], variants[1:])
    costs["AddToCart"] = cost("AddToCart", lines=one)
    assert len(cost.data["addToCart"]["cart"]["lines"]) == len(variants)
    costs["Checkout"] = cost("Checkout", email=VARIABLES["email"], address=VARIABLES["address"])
    option = cost.data["checkout"]["cart"]["checkout"]["shippingOptions"][0]["id"]
    costs["ChooseShipping"] = cost("ChooseShipping", shippingOption=option)
    cart = cost.data["checkout"]["cart"]
    assert cart["checkout"]["ready"]
    costs["ApplyCode"] = cost("ApplyCode", code=VARIABLES["code"])
    costs["RemoveCode"] = cost("RemoveCode", code=VARIABLES["code"])
    costs["Place"] = cost("Place", total=cart["total"]["amount"])
    order = cost.data["placeOrder"]["order"]
    costs["Place (again)"] = cost("Place", total=cart["total"]["amount"])
    assert cost.data["placeOrder"]["replayed"]
    costs["Pay"] = cost("Pay", order=order["id"], receipt=order["receipt"])
    assert cost.data["startPayment"]["order"]["state"] == "PAID"
    costs["Follow"] = cost("Follow", receipt=order["receipt"])
    assert len(cost.data["order"]["lines"]) == len(variants)
    return costs


@pytest.fixture
def account(cost, api, placed_order, settings):
    """The costs of a customer's operations, with as many orders, addresses, sessions and guest's lines as variants."""
    settings.REDIS_URL = ""  # What Redis would count costs statements.

    def run(variants):
        size = min(len(variants), 49)
        login = {name: VARIABLES[name] for name in ("email", "password")}
        user = models.User.objects.create_user(login["email"], login["password"])
        for variant in variants[:30]:
            placed_order({variant: 1}, user, models.ShippingMethod.objects.first())
        address = models.SavedAddress(user=user, address=ADDRESS, created_at=NOW)
        models.SavedAddress.objects.bulk_create(copy(address, pk=uuid4()) for _ in range(size))
        api.client.cookies.clear()
        costs = {}
        for name, given in (
            ("Register", {"newEmail": "x@example.org", "password": "a long password"}),
            ("Login", login),
        ):
            costs[name] = cost(name, **given)
            _fill_as_guest(cost, variants)
            costs[f"{name} (again, with a guest's cart)"] = cost(name, **given)
            assert cost.data[name.lower()]["userErrors"] == []
            merged = cost.data[name.lower()]["merged"]
            assert [change["reason"] for change in merged] == ["ADDED"] * len(variants)
            api.client.cookies.clear()
        for _ in range(size - 2):
            cost("Login", **login)
        cost("Login", **login)
        api.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {cost.data['login']['accessToken']}"
        costs["Me"] = cost("Me")
        assert len(cost.data["me"]["addresses"]) == size
        costs["MyOrders"] = cost("MyOrders", after=None)
        assert cost.data["me"]["orders"]["totalCount"] == min(len(variants), 30)
        costs["Refresh"] = cost("Refresh")
        costs["Logout"] = cost("Logout")
        del api.client.defaults["HTTP_AUTHORIZATION"]
        return costs

    return run


def _fill_as_guest(cost, variants):
    cost("AddToCart", lines=[{"variantId": variant_id(variants[0]), "quantity": 1}])
    _fill(cost.data["addToCart"]["cart"], variants[1:])


def copy(row, **values):
    return type(row)(**{field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields} | values)


def _all(cost, variants):
    costs = {
        "Browse": cost("Browse"),
        "Search": cost("Search", words="shirt"),
        "Search (misspelt)": cost("Search", words="shrit"),
        "ProductPage": cost("ProductPage", slug="shirt-0"),
        "ProductInDollars": cost("ProductInDollars", slug="shirt-0"),
        **_the_buyers_path(cost, variants),
    }
    sold_out = VariantFactory(stock__on_hand=0)
    costs["SoldOut"] = cost("SoldOut", soldOut=variant_id(sold_out))
    costs["UnknownIds"] = cost("UnknownIds")
    costs["WrongTotal"] = cost("WrongTotal", lines=[{"variantId": variant_id(variants[0])}])
    return costs


@pytest.fixture
def staff(cost, api, paid_order, settings):
    """The costs of a day of staff's, with as many orders, customers, variants and changes as there are variants."""
    settings.REDIS_URL = ""  # What Redis would count costs statements.

    def run(variants):
        size, shipping = min(len(variants), 20), models.ShippingMethod.objects.first()
        owner = models.User.objects.create_superuser(VARIABLES["staffEmail"], VARIABLES["password"])
        for variant in variants[:size]:
            paid_order({variant: 1}, UserFactory(name="Ada"), shipping)
        models.Stock.objects.filter(reserved=0).update(on_hand=0)
        adjusted = [stock.Adjustment(variant.pk, 1) for variant in variants]
        stock.adjust(request_id="before", lines=adjusted, actor=owner, now=NOW)
        api.client.cookies.clear()
        costs = {"StaffLogin": cost("StaffLogin", **{name: VARIABLES[name] for name in ("staffEmail", "password")})}
        api.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {cost.data['login']['accessToken']}"
        costs["Morning"] = cost("Morning")
        assert len(cost.data["orders"]["nodes"]) == min(size + 1, 20)  # One was bought before.
        costs["Goods"] = cost("Goods", words=None, states=None)
        assert len(cost.data["staffProducts"]["nodes"]) == min(models.Product.objects.count(), 20)
        costs["Customer"] = cost("Customer", customer="Ada", customerEmail="ada@example.com")
        assert len(cost.data["orders"]["nodes"]) == min(models.Order.objects.count(), 5)
        costs["Evening"] = cost("Evening", since="2030-01-01T00:00:00Z", until="2030-02-01T00:00:00Z")
        assert len(cost.data["changes"]["nodes"]) == min(len(variants), 10)
        delivery = [{"variantId": variant_id(variant), "delta": 1} for variant in variants]
        costs["Receive"] = cost("Receive", requestId="1", delivery=delivery)
        costs["Receive (again)"] = cost("Receive", requestId="1", delivery=delivery)
        assert cost.data["adjustStock"]["replayed"]
        order = models.Order.objects.filter(state=models.OrderState.PAID).first()
        costs["Ship"] = cost("Ship", order=ids.encode("Order", order.pk), carrier="DHL", tracking="1")
        made = [{"sku": f"NEW-{n}", "options": [str(n)], "price": "9", "onHand": 1} for n in range(size)]
        costs["CreateProduct"] = cost("CreateProduct", product={"title": "New", "variants": made})
        product = cost.data["createProduct"]["product"]
        costs["UpdateProduct"] = cost("UpdateProduct", id=product["id"], version=1, isPublished=True)
        assert cost.data["updateProduct"]["product"]["version"] == 2
        costs["UpdateProduct (too late)"] = cost("UpdateProduct", id=product["id"], version=1, title="Other")
        costs["UpdateProducts"] = cost("UpdateProducts", ids=[product["id"]], addTags=["fine"])
        del api.client.defaults["HTTP_AUTHORIZATION"]
        return costs

    return run


def test_every_documented_operation_has_a_budget():
    documented = {name.partition(" (")[0] for name in BUDGETS["operations"]}
    assert documented == DOCUMENTS.keys()


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_an_operation_costs_its_budget_for_1_row_as_for_100(cost, shop, account, staff, monkeypatch, rows):
    many = throttle.Limit(seconds=900, address=1_000, account=1_000, account_from_address=1_000)
    monkeypatch.setitem(throttle.LIMITS, "login", many)
    expected = {name: budget(name) for name in BUDGETS["operations"]}
    variants = shop(rows)
    assert _all(cost, variants) | account(variants) | staff(variants) == expected


@pytest.mark.parametrize(("name", "most"), BUDGETS["most"].items())
def test_no_budget_is_above_what_was_promised(name, most):
    allowed = BUDGETS["operations"][name]
    assert max(allowed.values() if isinstance(allowed, dict) else [allowed]) <= most


def test_an_order_of_10_lines_takes_at_most_25_statements(cost, shop):
    assert _the_buyers_path(cost, shop(10))["Place"] == budget("Place") <= 25


CHECKOUT = """
mutation ($address: AddressInput!, $codes: [String!]!, $option: ID) {
  checkout(input: { email: "ada@example.com", shippingAddress: $address, discountCodes: $codes, currency: "USD",
    shippingOptionId: $option }) {
    cart {
      code discountCodes problems { code } priceTrace { label } total { amount }
      lines { unitPrice { amount } discount { amount } tax { amount } variant { sku } }
      checkout { ready shippingOption { id } shippingOptions { id price { amount } } }
    }
    userErrors { message }
  }
}
"""


@pytest.fixture
def everything(shop, settings):
    """`everything(100)`: as `shop`, with list prices, classes and regions of tax, bands of weight, and three codes
    with limits that cover some categories and products."""

    def fill(size):
        settings.MAX_DISCOUNT_CODES = 3
        settings.REDIS_URL = ""  # What Redis would count costs statements.
        variants = shop(size)
        models.Product.objects.update(tax_class=TaxClassFactory())
        for percent, given in enumerate(({}, {"region": "CA"}, {"tax_class": models.TaxClass.objects.get()})):
            TaxRateFactory(country_code="US", percent=percent, **given)
        for method in models.ShippingMethod.objects.all():
            for grams in range(1, size + 1):
                models.WeightBand.objects.create(method=method, up_to_grams=grams, price=grams)
        for variant in variants:
            VariantPriceFactory(variant=variant, currency_id="USD", price=20)
        for kind, value in (("PERCENTAGE", 10), ("FIXED", 1), ("FREE_SHIPPING", 0)):
            discount = DiscountFactory(code=kind, kind=kind, value=value, max_uses=5, max_uses_per_customer=5)
            discount.categories.set(models.Category.objects.filter(parent=None))
            discount.products.set(models.Product.objects.all())
        return variants

    return fill


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_a_purchase_with_everything_switched_on_costs_the_same_for_1_row_as_for_100(cost, everything, rows):
    variants = everything(rows)
    cost("AddToCart", lines=[{"variantId": variant_id(variants[0]), "quantity": 1}])
    _fill(cost.data["addToCart"]["cart"], variants[1:])
    address = {"name": "Ada", "line1": "1 Main St", "city": "Oakland", "postalCode": "94607", "countryCode": "US",
               "region": "CA"}  # fmt: skip
    given = {"address": address, "codes": ["FIXED", "PERCENTAGE", "FREE_SHIPPING"]}
    costs = {"checkout": cost("checkout", CHECKOUT, **given)}
    options = cost.data["checkout"]["cart"]["checkout"]["shippingOptions"]
    assert len(options) == rows
    costs["checkout with an option"] = cost("checkout", CHECKOUT, option=options[0]["id"], **given)
    cart = cost.data["checkout"]["cart"]
    assert (cart["problems"], len(cart["discountCodes"])) == ([], 3)
    costs["placeOrder"] = cost("Place", total=cart["total"]["amount"])
    order = models.Order.objects.get(cart__code=cart["code"])
    assert (order.currency, order.discount_uses.count(), order.tax > 0) == ("USD", 3, True)
    assert costs == BUDGETS["with_everything"]


LIST = """
query { products(first: 24) { nodes {
  title categories { name } featuredImage { url } priceRange { min { amount } max { amount } }
} } }
"""


@pytest.mark.parametrize("rows", [1, 24, 100])
def test_a_list_of_24_products_takes_at_most_5_statements(cost, shop, rows):
    shop(rows)
    assert cost("a list", LIST) == BUDGETS["lists"]["24 products"] <= 5


def test_aliases_of_a_mutations_cart_are_read_together(api, cost, shop):
    shop(10)
    some, more = "x: id", "x: lines { variant { product { title categories { name } } } }"
    document = "mutation ($lines: [CartLineInput!]!) {{ addToCart(input: {{lines: $lines}}) {{ {} }} }}"
    lines = [{"variantId": variant_id(each), "quantity": 1} for each in models.ProductVariant.objects.all()[:10]]
    alone = cost("alone", document.format(f"b: cart {{ {more} }}"), lines=lines)
    api.client.cookies.clear()
    assert cost("both", document.format(f"a: cart {{ {some} }} b: cart {{ {more} }}"), lines=lines) == alone
    assert len(cost.data["addToCart"]["b"]["x"]) == 10


def test_a_filter_costs_no_statement(cost, shop):
    category = shop(24)[0].product.categories.earliest("pk")
    narrowed = LIST.replace("first: 24", f'first: 24, filter: {{categorySlug: "{category.slug}", price: {{gte: "0"}}}}')
    assert cost("a list of a category", narrowed) == BUDGETS["lists"]["24 products"]
    assert cost.data["products"]["nodes"]


NESTED = """
query { products(first: 24) { edges { node {
  tags images { url } options { values } compareAtPrice { amount } availability
  categories { ancestors { name } parent { name } children { name } }
  variants { product { title vendor } image { url } selectedOptions { value } availability }
  variant(sku: "none") { id }
} } } }
"""


@pytest.mark.parametrize("rows", [1, 24])
def test_everything_of_24_products_costs_the_same_as_of_one(cost, shop, rows):
    shop(rows)
    assert cost("everything", NESTED) == BUDGETS["lists"]["24 products with everything"]


def test_who_is_asking_is_found_out_only_where_it_matters(api, cost, shop):
    shop(1)
    api.client.force_login(UserFactory())
    assert cost("Browse") == budget("Browse")
    whole = "{ cart { code lines { quantity variant { sku } } total { amount } } }"
    assert cost("the cart", whole) == BUDGETS["lists"]["an account without a cart"]


def test_a_refusal_that_names_many_variants_costs_no_more_a_variant(cost, shop):
    shop(1)
    document = """mutation ($lines: [CartLineInput!]!) { addToCart(input: {lines: $lines}) { userErrors {
        ... on InsufficientStock { available variant { sku price { amount } product { title } } }
    } } }"""
    costs = set()
    for size in (1, 30):
        gone = VariantFactory.create_batch(size, stock__on_hand=0, price=Decimal(1))
        costs.add(cost("refused", document, lines=[{"variantId": variant_id(variant)} for variant in gone]))
        assert len(cost.data["addToCart"]["userErrors"]) == size
    assert len(costs) == 1


WALKS = {
    "the tree above a category": "{ products { nodes { categories { ancestors { name parent { name }"
    " children { name } } } } } }",
    "what is short in a cart": "query { cart { problems { ... on InsufficientStock { variant { image { url } product {"
    " images { url } categories { ancestors { name } } } } } } } }",
}


@pytest.mark.parametrize("document", WALKS.values(), ids=WALKS.keys())
def test_a_walk_costs_the_same_for_many_as_for_one(api, statements, document):
    root = CategoryFactory()
    costs = []
    for _ in range(2):
        for _ in range(10 if costs else 1):
            variant = VariantFactory()
            variant.product.categories.add(CategoryFactory(parent=CategoryFactory(parent=root)))
            line = {"variantId": ids.encode("ProductVariant", variant.pk)}
            add = "mutation($line: CartLineInput!) { addToCart(input: { lines: [$line] }) { userErrors { message } } }"
            assert api(add, line=line)["addToCart"]["userErrors"] == []
        models.Stock.objects.update(on_hand=0)
        with statements() as counted:
            api(document)
        models.Stock.objects.update(on_hand=10)
        costs.append(len(counted))
    assert costs[0] == costs[1]
