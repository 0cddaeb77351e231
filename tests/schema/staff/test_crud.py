"""What staff set over GraphQL: zones, methods, taxes, codes, currencies; who may, and what is refused."""

from decimal import Decimal
from functools import partial

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from graphql import GraphQLInputObjectType, get_named_type

from domain.sales import cart as carts
from domain.sales import checkout, orders
from schema.base import ids
from schema.root import graphql_schema
from storefront import models
from tests.factories import (
    NOW,
    CategoryFactory,
    CurrencyFactory,
    DiscountFactory,
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

# What each asks for; `save…` asks for "add" without an id, and for "change" with one.
QUERIES = {
    "shippingZones": ("{ name methods { name bands { upToGrams } } }", ["view_shippingzone", "view_shippingmethod"]),
    "taxClasses": ("{ name }", ["view_taxclass"]),
    "taxRates": ("{ percent taxClass { name } }", ["view_taxrate"]),
    "discounts": ("{ nodes { code uses productIds } totalCount }", ["view_discount"]),
    "currencies": ("{ code rate }", ["view_currency"]),
    "audit": ("{ rule row found }", ["view_order", "view_payment", "view_stock"]),
    "staffProducts": ("{ nodes { title } }", ["view_product"]),
    "staffProduct": ('(slug: "none") { title }', ["view_product"]),
    "stockMovements": ("{ nodes { at } }", ["view_stockmovement"]),
    "lowStock": ("{ nodes { sku } }", ["view_stock"]),
    "orders": ("{ nodes { number } }", ["view_order"]),
    "customers": ("{ nodes { email } }", ["view_user"]),
    "salesReport": ('(from: "2030-01-01T00:00:00Z", to: "2030-01-02T00:00:00Z") { orders }', ["view_sales"]),
    "changes": ("{ nodes { label } }", ["view_change"]),
    "productImport": ('(id: "nobody\'s") { state }', ["add_product", "change_product", "change_stock"]),
    "stockImport": ('(id: "nobody\'s") { state }', ["change_stock"]),
}
SAVED = {
    "ShippingZone": ("id name countries methods { name }", ShippingZoneFactory),
    "ShippingMethod": (
        """id name price { amount currency } freeFrom { amount } estimate isActive position
        zone { name } taxClass { name } bands { upToGrams price { amount } }""",
        ShippingMethodFactory,
    ),
    "TaxClass": ("id name", TaxClassFactory),
    "Category": ("id version name slug description parent { name }", CategoryFactory),
    "TaxRate": ("id name countryCode region percent taxClass { name }", TaxRateFactory),
    "Discount": (
        """id code kind value minimumTotal { amount } startsAt endsAt maxUses maxUsesPerCustomer isActive uses
        productIds categoryIds""",
        DiscountFactory,
    ),
    "Currency": ("id code rate isActive", CurrencyFactory),
    "VariantPrice": (
        "id price { amount currency } compareAtPrice { amount } variant { sku }",
        lambda: VariantPriceFactory(variant=VariantFactory(), currency=CurrencyFactory(), price=1),
    ),
}
# What staff do with a thing that is there: what is asked for, and what else they state.
VERBS = {
    "shipOrder": ("change_order", "orderId", {"carrier": "DHL", "trackingNumber": "1"}),
    "markOrderDelivered": ("change_order", "orderId", {}),
    "refundPayment": ("add_refund", "paymentId", {"requestId": "1"}),
    "createImageUpload": ("add_image", "contentType", {"bytes": 1}),
    "attachImage": ("add_image", "productId", {"key": "1"}),
    "updateImage": ("change_image", "id", {}),
    "deleteImage": ("delete_image", "id", {}),
    "createProduct": ("add_product", "title", {"variants": []}),
    "updateProduct": ("change_product", "id", {}),
    "updateProducts": ("change_product", "vendor", {"ids": []}),
    "deleteProduct": ("delete_product", "id", {}),
    "adjustStock": ("change_stock", "requestId", {"lines": []}),
}
# Of files: to send one, or to have one taken.
IMPORTS = {
    "importProducts": ["add_product", "change_product", "change_stock"],
    "runProductImport": ["add_product", "change_product", "change_stock"],
    "importStock": ["change_stock"],
    "runStockImport": ["change_stock"],
}
MUTATIONS = {f"{verb}{kind}": kind for kind in SAVED for verb in ("save", "delete")}


def document(name):
    if name in QUERIES:
        return f"query {{ {name} {QUERIES[name][0]} }}"
    if name in VERBS:
        kind = "Delete" if name.startswith("delete") else name[0].upper() + name[1:]
        return f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}"
    if name in IMPORTS:
        kind = "RunImport" if name.startswith("run") else "ImportFile"
        return f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ userErrors {{ code }} }} }}"
    kind = MUTATIONS[name]
    errors = "userErrors { code message field }"
    if name.startswith("delete"):
        return f"mutation ($input: DeleteInput!) {{ {name}(input: $input) {{ deletedId {errors} }} }}"
    saved = f"saved {{ {SAVED[kind][0]} }}"
    return f"mutation ($input: Save{kind}Input!) {{ {name}(input: $input) {{ {saved} {errors} }} }}"


def id_of(row):
    return ids.encode(type(row).__name__, row.pk)


@pytest.fixture
def member(api):
    """`member("add_taxrate")`: from now on the visitor is staff who may do just this."""

    def enter(*permissions):
        user = UserFactory(is_staff=True)
        ours = Permission.objects.filter(content_type__app_label="storefront")
        user.user_permissions.set(ours.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        api.client.force_login(user)

    return enter


@pytest.fixture
def owner(api):
    """May everything."""
    api.client.force_login(UserFactory(is_staff=True, is_superuser=True))


@pytest.fixture
def save(api, owner):
    """`save("TaxRate", percent="7")`: the row as it is then."""

    def mutate(kind, /, **given):
        payload = api(document(f"save{kind}"), input=given)[f"save{kind}"]
        assert payload["userErrors"] == []
        return payload["saved"]

    return mutate


@pytest.fixture
def delete(api, owner):
    """`delete(row)` or `delete("TaxRate", id)`: the id of what is gone, and the codes of why not."""

    def mutate(kind, id=None):
        if not isinstance(kind, str):
            return mutate(type(kind).__name__, id_of(kind))
        payload = api(document(f"delete{kind}"), input={"id": id})[f"delete{kind}"]
        return payload["deletedId"], [(error["code"], error["field"]) for error in payload["userErrors"]]

    return mutate


@pytest.fixture
def refused(api, owner):
    """The codes and fields of a `save…` that must change nothing."""

    def mutate(kind, /, **given):
        payload = api(document(f"save{kind}"), input=given)[f"save{kind}"]
        assert payload["saved"] is None
        assert all(error.pop("message") for error in payload["userErrors"])
        return [(error["code"], error["field"]) for error in payload["userErrors"]]

    return mutate


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────


def for_staff():
    root = graphql_schema
    return {
        name
        for type_ in (root.query_type, root.mutation_type)
        for name, field in type_.fields.items()
        if field.description.startswith("For staff")
    }


def test_every_field_for_staff_has_a_row_here():
    assert for_staff() == QUERIES.keys() | MUTATIONS.keys() | VERBS.keys() | IMPORTS.keys()


def test_whatever_saves_takes_an_id_and_leaves_out_what_it_is_not_given():
    for kind in SAVED:
        field = graphql_schema.mutation_type.fields[f"save{kind}"]
        given = get_named_type(field.args["input"].type)
        assert isinstance(given, GraphQLInputObjectType)
        assert not any(str(part.type).endswith("!") for part in given.fields.values())


def asked(name, row):
    if name in QUERIES:
        return {}
    if name in VERBS:
        return {"input": {VERBS[name][1]: "nobody's", **VERBS[name][2]}}
    if name in IMPORTS:
        return {"input": {"id": "nobody's"} if name.startswith("run") else {"file": None}}
    given = {"id": id_of(row)} if row is not None else {}
    return {"input": given}


@pytest.fixture
def attempt(api):
    """`attempt("saveTaxRate", row)`: the codes of the GraphQL errors that it meets."""

    def post(name, row=None):
        send = partial(api.upload, b"no CSV") if name in IMPORTS and name.startswith("import") else api.post
        answer = send(document(name), **asked(name, row)).json()
        return {error["extensions"]["code"] for error in answer.get("errors", ())}

    return post


def cases():
    """Each field with the row it is about, if any, and the permissions that it asks for."""
    for name, (_, needed) in QUERIES.items():
        yield name, False, needed
    for name, (needed, _, _) in VERBS.items():
        yield name, False, [needed]
    for name, needed in IMPORTS.items():
        yield name, False, needed
    for name, kind in MUTATIONS.items():
        model = kind.lower()
        if name.startswith("save"):
            yield name, False, [f"add_{model}"]
            yield name, True, [f"change_{model}"]
        else:
            yield name, True, [f"delete_{model}"]


def test_only_staff_with_the_permission_get_in(subtests, api, attempt, member):
    every = set(Permission.objects.filter(content_type__app_label="storefront").values_list("codename", flat=True))
    customer = UserFactory()
    for name, has_row, needed in cases():
        before = transaction.savepoint()
        with subtests.test(name, has_row=has_row):
            row = SAVED[MUTATIONS[name]][1]() if has_row else None
            assert attempt(name, row) == {"UNAUTHENTICATED"}
            api.client.force_login(customer)
            assert attempt(name, row) == {"FORBIDDEN"}
            member(*(every - set(needed)))
            assert attempt(name, row) == {"FORBIDDEN"}
            if row is not None:
                row.refresh_from_db()
            member(*needed)
            assert attempt(name, row) == set()
            api.client.logout()
        transaction.savepoint_rollback(before)


def test_a_customer_with_permissions_but_not_of_the_staff_does_not_get_in(api, attempt):
    user = UserFactory()
    user.user_permissions.set(Permission.objects.all())
    api.client.force_login(user)
    assert attempt("taxRates") == {"FORBIDDEN"}


@pytest.mark.parametrize("kind", SAVED)
def test_an_id_that_is_none_is_not_found(refused, delete, kind):
    for given in ("", "junk", ids.encode("Order", 1), ids.encode(kind, 10**9), ids.encode(kind, "\0")):
        assert refused(kind, id=given) == [("NOT_FOUND", ["id"])], given
        assert delete(kind, given) == (None, [("NOT_FOUND", ["id"])]), given


@pytest.mark.parametrize("kind", SAVED)
def test_what_nothing_hangs_on_is_deleted(delete, kind):
    row = SAVED[kind][1]()
    gone = id_of(row)
    assert delete(row) == (gone, [])
    assert not type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("kind", SAVED)
def test_saving_nothing_changes_nothing(save, kind):
    row = SAVED[kind][1]()
    before = type(row).objects.values().get(pk=row.pk)
    assert save(kind, id=id_of(row))["id"] == id_of(row)
    assert type(row).objects.values().get(pk=row.pk) == before


# ── shipping ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_zone_and_its_methods_are_made_changed_and_offered(api, save, put, do):
    zone = save("ShippingZone", name="Nearby", countries=["DE", "AT"])
    bulky = TaxClassFactory(name="Bulky")
    bands = [{"upToGrams": 5000, "price": "9.90"}, {"upToGrams": 1000, "price": "4.90"}]
    method = save(
        "ShippingMethod", zoneId=zone["id"], name="Post", price="0", freeFrom="100", estimate="2 days",
        taxClassId=id_of(bulky), position=3, bands=bands,
    )  # fmt: skip
    assert method == {
        "id": method["id"],
        "name": "Post",
        "price": {"amount": "0.00", "currency": "EUR"},
        "freeFrom": {"amount": "100.00"},
        "estimate": "2 days",
        "isActive": True,
        "position": 3,
        "zone": {"name": "Nearby"},
        "taxClass": {"name": "Bulky"},
        "bands": [{"upToGrams": 1000, "price": {"amount": "4.90"}}, {"upToGrams": 5000, "price": {"amount": "9.90"}}],
    }
    changed = save("ShippingMethod", id=method["id"], name="Parcel", freeFrom=None, taxClassId=None)
    assert (changed["name"], changed["freeFrom"], changed["taxClass"]) == ("Parcel", None, None)
    assert changed["bands"] == method["bands"]
    assert save("ShippingMethod", id=method["id"], bands=[])["bands"] == []
    assert save("ShippingMethod", id=method["id"], estimate=None)["estimate"] == ""
    zones = api(document("shippingZones"))["shippingZones"]
    assert zones == [{"name": "Nearby", "methods": [{"name": "Parcel", "bands": []}]}]
    put()
    address = {"name": "Ada", "line1": "Am Hafen 1", "postalCode": "20457", "city": "Hamburg", "countryCode": "DE"}
    options = do("checkout", shippingAddress=address)["cart"]["checkout"]["shippingOptions"]
    assert [option["name"] for option in options] == ["Parcel"]


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({}, ["name"]),
        ({"name": "  "}, ["name"]),
        ({"name": None}, ["name"]),
        ({"name": "x" * 101}, ["name"]),
        ({"name": "Nearby"}, ["name"]),
        ({"name": "Far", "countries": ["XX"]}, ["countries"]),
    ],
    ids=["nothing", "blank", "null", "too long", "taken", "no country"],
)
def test_a_zone_that_cannot_be_is_refused_with_the_field(refused, given, errors):
    ShippingZoneFactory(name="Nearby")
    assert refused("ShippingZone", **given) == [("INVALID", [field]) for field in errors]
    assert models.ShippingZone.objects.count() == 1


def test_a_method_that_cannot_be_is_refused_with_each_field_and_nothing_is_half_written(refused):
    errors = {field[0] for _, field in refused("ShippingMethod", name="", price="-1", freeFrom="0.0001")}
    assert errors == {"name", "price", "freeFrom", "zone"}
    zone = id_of(ShippingZoneFactory())
    given = {"zoneId": zone, "name": "Post", "price": "5"}
    assert refused("ShippingMethod", **given | {"zoneId": ids.encode("ShippingZone", 999)}) == [("INVALID", ["zoneId"])]
    assert refused("ShippingMethod", **given | {"zoneId": "junk"}) == [("NOT_FOUND", ["zoneId"])]
    heavy = [{"upToGrams": 1000, "price": "5"}, {"upToGrams": 0, "price": "-5"}]
    assert [field for _, field in refused("ShippingMethod", **given, bands=heavy)] == [
        ["bands", "1", "upToGrams"],
        ["bands", "1", "price"],
    ]
    twice = [{"upToGrams": 1000, "price": "5"}, {"upToGrams": 1000, "price": "6"}]
    assert refused("ShippingMethod", **given, bands=twice)[0][0] == "INVALID"
    many = [{"upToGrams": grams, "price": "5"} for grams in range(1, 102)]
    assert refused("ShippingMethod", **given, bands=many) == [("INVALID", ["bands"])]
    assert not models.ShippingMethod.objects.exists()


def test_a_zone_with_methods_is_not_deleted(delete):
    method = ShippingMethodFactory()
    assert delete(method.zone) == (None, [("IN_USE", ["id"])])


# ── tax ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rate_is_set_for_a_region_by_code_or_name(save):
    books = TaxClassFactory(name="Books")
    rate = save("TaxRate", countryCode="us", region="california", percent="7.25", taxClassId=id_of(books))
    assert (rate["countryCode"], rate["region"], rate["percent"]) == ("US", "CA", "7.25")
    assert rate["taxClass"] == {"name": "Books"}
    assert save("TaxRate", id=rate["id"], percent="8")["percent"] == "8"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"percent": "100.01"}, ["percent"]),
        ({"percent": "-1"}, ["percent"]),
        ({"percent": None}, ["percent"]),
        ({"countryCode": "XX"}, ["countryCode"]),
        ({"countryCode": None}, ["countryCode"]),
        ({"countryCode": "US", "region": "Bavaria"}, ["region"]),
        ({"countryCode": "PT", "region": "Madeira"}, ["region"]),
        ({"countryCode": "FR"}, None),
    ],
    ids=["above all", "below nothing", "null", "no such country", "no country", "no region", "no regions", "taken"],
)
def test_a_rate_that_cannot_be_is_refused(refused, given, field):
    TaxRateFactory(country_code="FR")
    errors = refused("TaxRate", **{"countryCode": "DE", "percent": "19", **given})
    assert ("INVALID", field) in errors
    assert models.TaxRate.objects.count() == 1


def test_a_class_that_goods_are_in_is_not_deleted(delete):
    books = ProductFactory(tax_class=TaxClassFactory()).tax_class
    assert delete(books) == (None, [("IN_USE", ["id"])])


# ── discounts ────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_is_made_with_all_its_terms_and_changed_in_part(save):
    product, category = ProductFactory(), CategoryFactory()
    given = {
        "code": " summer-10 ",
        "kind": "PERCENTAGE",
        "value": "10",
        "minimumTotal": "50",
        "startsAt": "2030-06-01T00:00:00+00:00",
        "endsAt": "2030-09-01T00:00:00+00:00",
        "productIds": [id_of(product)],
        "categoryIds": [id_of(category)],
        "maxUses": 100,
        "maxUsesPerCustomer": 1,
    }
    made = save("Discount", **given)
    assert made == {
        "id": made["id"],
        "code": "SUMMER-10",
        "kind": "PERCENTAGE",
        "value": "10",
        "minimumTotal": {"amount": "50.00"},
        "startsAt": given["startsAt"],
        "endsAt": given["endsAt"],
        "maxUses": 100,
        "maxUsesPerCustomer": 1,
        "isActive": True,
        "uses": 0,
        "productIds": given["productIds"],
        "categoryIds": given["categoryIds"],
    }
    changed = save("Discount", id=made["id"], isActive=False, productIds=[], maxUses=None)
    assert changed == {**made, "isActive": False, "productIds": [], "maxUses": None}


@pytest.mark.parametrize(
    ("given", "fields"),
    [({"code": "two words"}, [["code"]]), ({"code": None}, [["code"]]), ({"code": "TAKEN"}, [["code"]]),
     ({"kind": None}, [["kind"], None]), ({"value": "0"}, [None]), ({"value": "101"}, [None]),
     ({"kind": "FREE_SHIPPING"}, [None]), ({"value": None}, [["value"]]),
     ({"startsAt": "2030-06-01T00:00:00Z", "endsAt": "2030-06-01T00:00:00Z"}, [None]),
     ({"minimumTotal": "-1"}, [["minimumTotal"]]), ({"maxUses": -1}, [["maxUses"]])],
    ids=["not to type", "none", "taken", "no kind", "nothing", "too much", "value of none", "no value", "never",
         "below zero", "negative"],
)  # fmt: skip
def test_a_code_that_cannot_be_is_refused(refused, given, fields):
    DiscountFactory(code="TAKEN")
    told = refused("Discount", **{"code": "TEN", "kind": "PERCENTAGE", "value": "10", **given})
    assert [code for code, _ in told] == ["INVALID"] * len(told)
    assert fields[0] in [field for _, field in told]
    assert models.Discount.objects.count() == 1


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2030-06-01T00:00:00", "2030-06-01"]
)
def test_a_moment_that_is_none_everywhere_is_refused(refused, moment):
    given = {"code": "TEN", "kind": "PERCENTAGE", "value": "10"}
    for name in ("startsAt", "endsAt"):
        assert refused("Discount", **given, **{name: moment}) == [("INVALID", [name])]


def test_what_a_code_shall_cover_has_to_exist(refused):
    given = {"code": "TEN", "kind": "PERCENTAGE", "value": "10"}
    assert refused("Discount", **given, productIds=[ids.encode("Product", 10**9)]) == [("NOT_FOUND", ["productIds"])]
    assert refused("Discount", **given, categoryIds=["junk"]) == [("NOT_FOUND", ["categoryIds", "0"])]
    assert not models.Discount.objects.exists()


def test_a_code_that_was_used_is_withdrawn_not_deleted(delete, save, ready_cart):
    discount = DiscountFactory(code="TEN")
    cart = ready_cart({VariantFactory(): 1})
    key = carts.CartKey(code=cart.code)
    checkout.apply_code(key=key, code="TEN", now=NOW)
    orders.place(key=key, expected_total=totals(cart).total, now=NOW)
    assert delete(discount) == (None, [("IN_USE", ["id"])])
    assert save("Discount", id=id_of(discount), isActive=False)["uses"] == 1


def test_codes_are_found_by_their_beginning_and_paged(api, owner, statements):
    for number in range(30):
        DiscountFactory(code=f"SUMMER-{number:02}").products.add(ProductFactory())
    DiscountFactory(code="WINTER")
    page = """query ($after: String) { discounts(first: 20, after: $after, search: " sum") {
        nodes { code uses productIds categoryIds } pageInfo { endCursor hasNextPage } totalCount
    } }"""
    with statements() as counted:
        first = api(page)["discounts"]
    assert (len(first["nodes"]), first["totalCount"], first["pageInfo"]["hasNextPage"]) == (20, 30, True)
    second = api(page, after=first["pageInfo"]["endCursor"])["discounts"]
    assert [node["code"] for node in second["nodes"]] == [f"SUMMER-{number}" for number in range(20, 30)]
    assert len(counted) <= 5


# ── currencies ───────────────────────────────────────────────────────────────────────────────────────


def test_a_currency_is_offered_and_prices_are_set_in_it(api, save):
    usd = save("Currency", code="USD", rate="1.08500001")
    assert (usd["rate"], usd["isActive"]) == ("1.08500001", True)
    variant = VariantFactory(price=Decimal(10))
    price = save("VariantPrice", variantId=id_of(variant), currencyId=usd["id"], price="9.99", compareAtPrice="12")
    assert price["price"] == {"amount": "9.99", "currency": "USD"}
    assert save("VariantPrice", id=price["id"], price="8.99")["compareAtPrice"] == {"amount": "12.00"}
    assert save("Currency", id=usd["id"], rate="1.1")["rate"] == "1.1"
    assert api("{ shop { currencies } }")["shop"]["currencies"] == ["EUR", "USD"]


@pytest.mark.parametrize(
    ("given", "field"),
    [({"code": "EUR"}, ["code"]), ({"code": "usd"}, ["code"]), ({"code": ""}, ["code"]), ({"rate": "0"}, ["rate"]),
     ({"rate": "-1"}, ["rate"]), ({"code": "GBP"}, ["code"])],
    ids=["the shop's", "small", "none", "nothing", "negative", "taken"],
)  # fmt: skip
def test_a_currency_that_cannot_be_is_refused(refused, given, field):
    CurrencyFactory(code="GBP", rate=1)
    assert ("INVALID", field) in refused("Currency", **{"code": "USD", "rate": "1.1", **given})
    assert models.Currency.objects.get().rate == 1


def test_the_code_of_a_currency_stays(refused, save):
    usd = CurrencyFactory()
    assert save("Currency", id=id_of(usd), code="USD", rate="2")["rate"] == "2"
    assert refused("Currency", id=id_of(usd), code="GBP") == [("INVALID", ["code"])]


def test_a_currency_that_a_cart_is_in_is_not_deleted(delete, put, do):
    usd = CurrencyFactory()
    put()
    do("checkout", currency="USD")
    assert delete(usd) == (None, [("IN_USE", ["id"])])


def test_a_second_price_in_a_currency_is_refused(refused):
    price = VariantPriceFactory(variant=VariantFactory(), currency=CurrencyFactory(), price=1)
    given = {"variantId": id_of(price.variant), "currencyId": id_of(price.currency), "price": "2"}
    assert refused("VariantPrice", **given) == [("INVALID", None)]
