"""Products and categories as staff write and see them, over the wire."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from schema.base import ids
from storefront import models
from tests.factories import LONG_AGO, CategoryFactory, ImageFactory, ProductFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

PARTS = """
fragment Parts on StaffProduct {
  id version slug title descriptionHtml vendor productType optionNames tags state publishedAt archivedAt
  categories { slug } taxClass { name } images { url }
  variants {
    id sku title options barcode weightGrams isWithdrawn price { amount currency } compareAtPrice { amount }
    stock { onHand reserved available policy }
  }
}
fragment Refusal on UserError {
  __typename code field
  ... on StaleVersion { current { id version ...Parts ... on Category { name } } }
}
"""
DOCUMENT = f"""
mutation createProduct($input: CreateProductInput!) {{
  payload: createProduct(input: $input) {{ product {{ ...Parts }} userErrors {{ ...Refusal }} }}
}}
mutation updateProduct($input: UpdateProductInput!) {{
  payload: updateProduct(input: $input) {{ product {{ ...Parts }} userErrors {{ ...Refusal }} }}
}}
mutation updateProducts($input: UpdateProductsInput!) {{
  payload: updateProducts(input: $input) {{ products {{ ...Parts }} userErrors {{ ...Refusal }} }}
}}
mutation deleteProduct($input: DeleteInput!) {{
  payload: deleteProduct(input: $input) {{ deletedId userErrors {{ ...Refusal }} }}
}}
mutation saveCategory($input: SaveCategoryInput!) {{
  payload: saveCategory(input: $input) {{ saved {{ id version name parent {{ name }} }} userErrors {{ ...Refusal }} }}
}}
query staffProducts($search: String, $filter: ProductFilter, $states: [ProductState!], $after: String, $first: Int) {{
  payload: staffProducts(search: $search, filter: $filter, states: $states, after: $after, first: $first) {{
    totalCount nodes {{ ...Parts }} pageInfo {{ endCursor hasNextPage }}
  }}
}}
query staffProduct($id: ID, $slug: String) {{ payload: staffProduct(id: $id, slug: $slug) {{ ...Parts }} }}
{PARTS}
"""
TEE = {
    "title": "Linen Tee",
    "descriptionHtml": '<p onclick="alert(1)">Cool</p><script>alert(1)</script>',
    "vendor": "Harrow",
    "tags": ["linen"],
    "optionNames": ["Size"],
    "isPublished": True,
    "variants": [
        {"sku": "TEE-S", "options": ["S"], "price": "19.90", "onHand": 5, "weightGrams": 180},
        {"sku": "TEE-L", "options": ["L"], "price": "24.90", "compareAtPrice": "29", "policy": "BACKORDER"},
    ],
}


@pytest.fixture(autouse=True)
def owner(api):
    user = UserFactory(is_staff=True, is_superuser=True)
    api.client.force_login(user)
    return user


@pytest.fixture
def do(api):
    """`do("createProduct", title=…)`: what comes of a mutation that must succeed."""

    def mutate(name, /, **given):
        payload = api(DOCUMENT, name, input=given)["payload"]
        assert payload.pop("userErrors") == []
        return next(iter(payload.values()))

    return mutate


@pytest.fixture
def refused(api):
    """The errors of a mutation that must do nothing."""

    def mutate(name, /, **given):
        payload = api(DOCUMENT, name, input=given)["payload"]
        errors = payload.pop("userErrors")
        assert errors
        assert not any(payload.values())
        return errors

    return mutate


def id_of(row):
    return ids.encode(type(row).__name__, row.pk)


def codes(errors):
    return [(error["code"], error["field"]) for error in errors]


def test_a_product_is_made_published_changed_and_deleted(api, do):
    shirts = CategoryFactory(slug="shirts")
    made = do("createProduct", **TEE, categoryIds=[id_of(shirts)])
    assert {**made, "variants": None} == {
        "id": made["id"],
        "version": 1,
        "slug": "linen-tee",
        "title": "Linen Tee",
        "descriptionHtml": "<p>Cool</p>",
        "vendor": "Harrow",
        "productType": "",
        "optionNames": ["Size"],
        "tags": ["linen"],
        "state": "PUBLISHED",
        "publishedAt": made["publishedAt"],
        "archivedAt": None,
        "categories": [{"slug": "shirts"}],
        "taxClass": None,
        "images": [],
        "variants": None,
    }
    small, large = made["variants"]
    assert (small["title"], small["price"]) == ("S", {"amount": "19.90", "currency": "EUR"})
    assert small["stock"] == {"onHand": 5, "reserved": 0, "available": 5, "policy": "DENY"}
    assert (large["compareAtPrice"], large["stock"]["policy"]) == ({"amount": "29.00"}, "BACKORDER")
    public = "query ($id: ID) { product(id: $id) { id title variants { id sku } } }"
    assert api(public, id=made["id"])["product"]["variants"][0] == {"id": small["id"], "sku": "TEE-S"}

    change = {"id": small["id"], "compareAtPrice": "25", "isWithdrawn": True}
    changed = do("updateProduct", id=made["id"], version=1, vendor=None, tags=None, variants=[change])
    assert (changed["version"], changed["vendor"], changed["tags"], changed["title"]) == (2, "", [], "Linen Tee")
    assert (changed["variants"][0]["isWithdrawn"], changed["variants"][0]["price"]["amount"]) == (True, "19.90")
    assert [variant["sku"] for variant in api(public, id=made["id"])["product"]["variants"]] == ["TEE-L"]

    assert do("updateProduct", id=made["id"], isArchived=True)["state"] == "ARCHIVED"
    assert api(public, id=made["id"])["product"] is None
    assert models.Change.objects.count() == 3


def test_whoever_is_late_gets_the_product_as_it_is_now(do, refused):
    made = do("createProduct", **TEE)
    changed = do("updateProduct", id=made["id"], version=1, title="Summer Tee")
    (stale,) = refused("updateProduct", id=made["id"], version=1, title="Winter Tee")
    assert (stale["__typename"], stale["code"], stale["field"]) == ("StaleVersion", "STALE_VERSION", ["version"])
    assert stale["current"] == changed
    (stale,) = refused("deleteProduct", id=made["id"], version=1)
    assert stale["current"]["title"] == "Summer Tee"


def test_whoever_is_late_gets_the_category_as_it_is_now(do, refused):
    category = do("saveCategory", name="Shirts")
    do("saveCategory", id=category["id"], version=1, name="Blouses")
    (stale,) = refused("saveCategory", id=category["id"], version=1, name="Tops")
    assert stale["current"] == {"id": category["id"], "version": 2, "name": "Blouses"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"title": "x" * 301}, [("INVALID", ["title"])]),
        ({"title": " "}, [("INVALID", ["slug"]), ("INVALID", ["title"])]),
        ({"slug": "not a slug"}, [("INVALID", ["slug"])]),
        ({"optionNames": list("abcd")}, [("INVALID", ["optionNames"])]),
        ({"categoryIds": ["junk"]}, [("NOT_FOUND", ["categoryIds", "0"])]),
        ({"categoryIds": [ids.encode("Category", 10**9)]}, [("NOT_FOUND", ["categoryIds"])]),
        ({"taxClassId": ids.encode("Product", 1)}, [("NOT_FOUND", ["taxClassId"])]),
        ({"variants": []}, [("INVALID", ["variants"])]),
        ({"variants": [{"sku": "A"}]}, [("INVALID", ["variants", "0", "price"])]),
        ({"variants": [{"sku": "A", "price": "-1"}]}, [("INVALID", ["variants", "0", "price"])]),
        ({"variants": [{"sku": "A", "price": "1.234"}]}, [("INVALID", ["variants", "0", "price"])]),
        ({"variants": [{"sku": "A", "price": "1", "onHand": -1}]}, [("INVALID", ["variants", "0", "onHand"])]),
        ({"variants": [{"sku": "A", "price": "1", "id": "junk"}]}, [("NOT_FOUND", ["variants", "0", "id"])]),
        (
            {"variants": [{"sku": "A", "price": "1", "options": [o]} for o in "SM"]},
            [("INVALID", ["variants", "1", "sku"])],
        ),
        ({"variants": [{"sku": s, "price": "1"} for s in "AB"]}, [("INVALID", ["variants", "1", "options"])]),
        ({"variants": [{"sku": f"{n}", "options": [f"{n}"], "price": "1"} for n in range(501)]},
         [("INVALID", ["variants"])]),
    ],
    ids=lambda given: str(given)[:40],
)  # fmt: skip
def test_a_product_that_cannot_be_is_refused_with_its_place_and_nothing_is_written(refused, given, told):
    assert codes(refused("createProduct", **{**TEE, **given})) == told
    for model in (models.Product, models.ProductVariant, models.Tag, models.Change, models.StockMovement):
        assert not model.objects.exists()


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e5", "", "999999999999"])
def test_a_price_that_is_no_number_is_bad_input(api, price):
    create = "mutation ($input: CreateProductInput!) { createProduct(input: $input) { userErrors { code } } }"
    (error,) = api.errors(create, input={"title": "x", "variants": [{"sku": "A", "price": price}]})
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


def test_what_was_sold_or_moved_is_not_deleted(do, refused):
    made = do("createProduct", **TEE)
    assert codes(refused("deleteProduct", id=made["id"])) == [("IN_USE", ["id"])]
    small = made["variants"][0]["id"]
    assert codes(refused("updateProduct", id=made["id"], deleteVariantIds=[small])) == [
        ("IN_USE", ["deleteVariantIds"])
    ]
    plain = do("createProduct", title="Mug", variants=[{"sku": "MUG", "price": "9"}])
    assert do("deleteProduct", id=plain["id"]) == plain["id"]


def test_many_are_changed_alike_and_an_unknown_one_stops_them_all(do, refused):
    products = ProductFactory.create_batch(3, published_at=None)
    chosen = [id_of(product) for product in products]
    changed = do("updateProducts", ids=chosen, isPublished=True, addTags=["sale"], vendor="Northfold")
    assert {(each["state"], *each["tags"], each["vendor"]) for each in changed} == {("PUBLISHED", "sale", "Northfold")}
    unknown = [*chosen, ids.encode("Product", 10**9)]
    assert codes(refused("updateProducts", ids=unknown, isPublished=False)) == [("NOT_FOUND", ["ids", "3"])]
    assert models.Product.objects.filter(published_at=None).count() == 0


# ── what staff see ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def listed(api):
    """`listed(states=["DRAFT"])`: the slugs of a list, the last changed first."""
    return lambda **given: [node["slug"] for node in api(DOCUMENT, "staffProducts", **given)["payload"]["nodes"]]


def test_drafts_are_listed_and_what_is_archived_where_it_is_asked_for(listed):
    later = timezone.now() + timedelta(days=9)
    ProductFactory(slug="sold")
    ProductFactory(slug="draft", published_at=None)
    ProductFactory(slug="later", published_at=later)
    ProductFactory(slug="old", published_at=None, archived_at=LONG_AGO)
    assert listed() == ["later", "draft", "sold"]
    assert listed(states=["ARCHIVED"]) == ["old"]
    assert listed(states=["DRAFT", "SCHEDULED"]) == ["later", "draft"]
    assert listed(states=[]) == []


def test_products_are_found_by_word_sku_and_filter_in_any_state(listed):
    VariantFactory(product__title="Linen Tee", product__slug="tee", sku="TEE-S", product__published_at=None)
    VariantFactory(product__slug="mug", product__vendor="Northfold")
    assert listed(search="linen") == listed(search="tee-s") == ["tee"]
    assert listed(filter={"vendor": ["Northfold"]}) == ["mug"]


def test_one_is_shown_by_id_or_slug_in_any_state(api):
    product = VariantFactory(product__published_at=None, stock__on_hand=7).product
    shown = api(DOCUMENT, "staffProduct", id=id_of(product))["payload"]
    assert (shown["state"], shown["variants"][0]["stock"]["onHand"]) == ("DRAFT", 7)
    assert api(DOCUMENT, "staffProduct", slug=product.slug)["payload"] == shown
    assert api(DOCUMENT, "staffProduct", slug="none")["payload"] is None


def test_a_page_of_many_costs_what_one_of_few_does_and_the_next_goes_on(api, statements):
    costs = set()
    for size in (1, 30):
        for _ in range(size):
            product = VariantFactory(price=Decimal(5)).product
            ImageFactory(product=product)
            product.categories.add(CategoryFactory())
        with statements() as counted:
            page = api(DOCUMENT, "staffProducts", first=20)["payload"]
        costs.add(len(counted))
    assert len(costs) == 1
    rest = api(DOCUMENT, "staffProducts", first=20, after=page["pageInfo"]["endCursor"])["payload"]
    assert len({node["slug"] for node in page["nodes"] + rest["nodes"]}) == page["totalCount"] == 31
