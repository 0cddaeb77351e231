"""The public catalogue over the wire: what is shown, found, narrowed, paged, and what is not."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from domain.catalog import products
from schema.base import ids
from storefront import models
from tests.factories import LONG_AGO, CategoryFactory, ImageFactory, ProductFactory, VariantFactory

pytestmark = pytest.mark.django_db

PRODUCT = "query ($id: ID, $slug: String) { product(id: $id, slug: $slug) { title } }"
CATEGORY = "query ($id: ID, $slug: String) { category(id: $id, slug: $slug) { name } }"
LIST = """
query ($first: Int, $after: String, $last: Int, $before: String, $search: String, $filter: ProductFilter,
       $sort: ProductSort! = RELEVANCE) {
  products(first: $first, after: $after, last: $last, before: $before, search: $search, filter: $filter, sort: $sort) {
    totalCount
    nodes { id title }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
FACETS = """
query ($filter: ProductFilter, $search: String) {
  products(filter: $filter, search: $search) { facets { kind name values { value count } } }
}
"""
SORTS = ["RELEVANCE", "NEWEST", "PRICE_ASC", "PRICE_DESC", "TITLE"]


def sold(title="Linen shirt", *, tags=(), categories=(), **values):
    """A product of one variant: `price`, `option1`, `stock__…` are the variant's, `product__…` its own."""
    variant = VariantFactory(product__title=title, **values)
    if tags or categories:
        variant.product.tags.set([models.Tag.objects.get_or_create(name=name)[0] for name in tags])
        variant.product.categories.set(categories)
        products.refresh_derived(product=variant.product)
    return variant.product


def global_id(row):
    return ids.encode(type(row).__name__, row.pk)


@pytest.fixture
def titles(api):
    """The titles that a list shows, in its order."""
    return lambda **given: [node["title"] for node in api(LIST, **given)["products"]["nodes"]]


@pytest.fixture
def refusal(api):
    """The code of the one error that a request is answered with, and its status."""

    def ask(query, **given):
        response = api.post(query, **given)
        (error,) = response.json()["errors"]
        return error["extensions"]["code"]

    return ask


# ── one product ──────────────────────────────────────────────────────────────────────────────────────


def test_a_product_is_found_by_slug_and_by_id(api):
    product = sold("Enamel mug", product__slug="mug")
    assert api(PRODUCT, slug="mug")["product"] == {"title": "Enamel mug"}
    assert api(PRODUCT, id=global_id(product))["product"] == {"title": "Enamel mug"}


def test_its_id_is_the_one_it_is_found_by(api):
    product = sold(product__slug="mug")
    assert api('{ product(slug: "mug") { id } }')["product"] == {"id": global_id(product)}


def test_id_and_slug_have_to_mean_the_same(api):
    product = sold(product__slug="mug")
    assert api(PRODUCT, id=global_id(product), slug="cup")["product"] is None
    assert api(PRODUCT, id=global_id(product), slug="mug")["product"]


@pytest.mark.parametrize("document", [PRODUCT, CATEGORY])
def test_neither_id_nor_slug_is_a_mistake_of_the_front_end(refusal, document):
    assert refusal(document) == "BAD_USER_INPUT"


def test_what_does_not_exist_is_null(api):
    assert api(PRODUCT, slug="nothing")["product"] is None
    assert api(PRODUCT, slug="")["product"] is None
    assert api(PRODUCT, id=ids.encode("Product", 10**17))["product"] is None
    assert api(PRODUCT, id="junk")["product"] is None
    assert api(PRODUCT, id="")["product"] is None
    assert api(CATEGORY, id="junk")["category"] is None


def test_an_id_of_another_type_is_null(api):
    product, category = sold(), CategoryFactory()
    assert api(PRODUCT, id=ids.encode("ProductVariant", product.pk))["product"] is None
    assert api(CATEGORY, id=ids.encode("Product", category.pk))["category"] is None


def test_a_variant_is_found_by_its_sku_within_its_product(api):
    variant = VariantFactory(product__slug="mug", sku="MUG")
    VariantFactory(sku="OTHER")
    ask = 'query ($sku: String!) { product(slug: "mug") { variant(sku: $sku) { id sku } } }'
    assert api(ask, sku="MUG")["product"]["variant"] == {"id": global_id(variant), "sku": "MUG"}
    assert api(ask, sku="OTHER")["product"]["variant"] is None
    assert api(ask, sku="")["product"]["variant"] is None


def test_prices_are_texts_with_all_decimals_of_the_currency(api):
    product = sold(product__slug="mug", price=Decimal("19.9"), compare_at_price=Decimal(25))
    VariantFactory(product=product, price=Decimal(1200), option1="Gold")
    answer = api(
        """{ product(slug: "mug") {
            priceRange { min { amount currency } max { amount } }
            compareAtPrice { amount }
            variants { price { amount currency } compareAtPrice { amount } }
        } }"""
    )["product"]
    assert answer == {
        "priceRange": {"min": {"amount": "19.90", "currency": "EUR"}, "max": {"amount": "1200.00"}},
        "compareAtPrice": {"amount": "25.00"},
        "variants": [
            {"price": {"amount": "19.90", "currency": "EUR"}, "compareAtPrice": {"amount": "25.00"}},
            {"price": {"amount": "1200.00", "currency": "EUR"}, "compareAtPrice": None},
        ],
    }


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "1990"), ("KWD", "1990.000"), ("USD", "1990.00")])
def test_each_currency_has_its_own_decimals(api, settings, currency, shown):
    settings.SHOP_CURRENCY = currency
    sold(product__slug="mug", price=Decimal(1990))
    money = api('{ product(slug: "mug") { priceRange { min { amount currency } } } }')["product"]["priceRange"]["min"]
    assert money == {"amount": shown, "currency": currency}


@pytest.mark.parametrize(
    ("stock", "told"),
    [
        ({"on_hand": 10}, "IN_STOCK"),
        ({"on_hand": 4}, "IN_STOCK"),
        ({"on_hand": 3}, "LOW_STOCK"),
        ({"on_hand": 10, "reserved": 9}, "LOW_STOCK"),
        ({"on_hand": 0}, "OUT_OF_STOCK"),
        ({"on_hand": 5, "reserved": 5}, "OUT_OF_STOCK"),
        ({"on_hand": 0, "policy": "BACKORDER"}, "BACKORDER"),
        ({"on_hand": 5, "policy": "BACKORDER"}, "IN_STOCK"),
        ({"on_hand": 0, "policy": "UNTRACKED"}, "IN_STOCK"),
    ],
)
def test_stock_is_told_coarsely(api, stock, told):
    sold(product__slug="mug", **{f"stock__{name}": value for name, value in stock.items()})
    answer = api('{ product(slug: "mug") { availability variants { availability } } }')["product"]
    assert answer == {"availability": told, "variants": [{"availability": told}]}


def test_a_product_is_as_available_as_its_most_available_variant(api):
    product = sold(product__slug="mug", stock__on_hand=0)
    VariantFactory(product=product, option1="Red", stock__on_hand=2)
    assert api('{ product(slug: "mug") { availability } }')["product"] == {"availability": "LOW_STOCK"}


def test_options_and_their_values_keep_the_order_of_the_variants(api):
    product = ProductFactory(slug="shirt", option1_name="Size", option2_name="Colour")
    for position, (size, colour) in enumerate([("S", "Sand"), ("M", "Sand"), ("S", "Indigo")]):
        VariantFactory(product=product, option1=size, option2=colour, position=position)
    answer = api(
        '{ product(slug: "shirt") { options { name values } variants { title selectedOptions { name value } } } }'
    )["product"]
    assert answer["options"] == [
        {"name": "Size", "values": ["S", "M"]},
        {"name": "Colour", "values": ["Sand", "Indigo"]},
    ]
    assert [variant["title"] for variant in answer["variants"]] == ["S / Sand", "M / Sand", "S / Indigo"]
    assert answer["variants"][2]["selectedOptions"] == [
        {"name": "Size", "value": "S"},
        {"name": "Colour", "value": "Indigo"},
    ]


def test_a_product_with_nothing_to_choose_has_no_options(api):
    sold(product__slug="mug")
    answer = api('{ product(slug: "mug") { options { name } variants { title selectedOptions { name } } } }')
    assert answer["product"] == {"options": [], "variants": [{"title": "", "selectedOptions": []}]}


def test_the_address_of_a_picture_is_absolute(api):
    product = sold(product__slug="mug")
    ImageFactory(product=product, file="products/second.png", position=2)
    ImageFactory(product=product, file="products/first.png", position=1, alt="A mug")
    answer = api('{ product(slug: "mug") { featuredImage { url alt width height } images { url } } }')["product"]
    first = "http://testserver/media/products/first.png"
    assert answer["featuredImage"] == {"url": first, "alt": "A mug", "width": 600, "height": 400}
    assert answer["images"] == [{"url": first}, {"url": "http://testserver/media/products/second.png"}]


def test_a_product_without_a_picture_has_none(api):
    sold(product__slug="mug")
    answer = api('{ product(slug: "mug") { featuredImage { url } images { url } variants { image { url } } } }')
    assert answer["product"] == {"featuredImage": None, "images": [], "variants": [{"image": None}]}


def test_the_shop_says_what_a_front_end_needs_first(api, settings):
    settings.SHOP_COUNTRIES = ["DE", "AT"]
    assert api("{ shop { name currency countries paymentProviders } }")["shop"] == {
        "name": settings.SHOP_NAME,
        "currency": "EUR",
        "countries": ["DE", "AT"],
        "paymentProviders": ["TEST"],
    }


# ── what is not published ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("published_at", [None, timezone.now() + timedelta(days=1)], ids=["a draft", "scheduled"])
def test_what_is_not_published_is_hidden_everywhere(api, titles, published_at):
    category = CategoryFactory(slug="mugs")
    hidden = sold(
        "Secret mug",
        product__slug="mug",
        product__vendor="Nobody",
        product__published_at=published_at,
        categories=[category],
        tags=["secret"],
    )
    assert api(PRODUCT, slug="mug")["product"] is None
    assert api(PRODUCT, id=global_id(hidden))["product"] is None
    assert titles() == titles(search="mug") == titles(filter={"ids": [global_id(hidden)]}) == []
    assert titles(filter={"categorySlug": "mugs"}) == titles(filter={"vendor": ["Nobody"]}) == []
    assert api(LIST)["products"]["totalCount"] == 0
    assert api(FACETS)["products"]["facets"] == []
    assert api(FACETS, search="mug")["products"]["facets"] == []


# ── paging ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def many():
    """Nine products: ties in price, title, date and relevance, and one after and before them in each."""
    shared = {"title": "Blue shirt", "price": Decimal(20), "product__published_at": LONG_AGO}
    other = timedelta(microseconds=1)
    sold("A blue shirt", price=Decimal(5), product__published_at=LONG_AGO + other)
    for _ in range(7):
        sold(**shared)
    sold("Shirt, of a longer name, in blue", price=Decimal("99.995"), product__published_at=LONG_AGO - other)


def _walk(api, size, *, backwards=False, **given):
    """The ids of all pages, walked in one direction, in the order of the list."""
    seen, cursor = [], None
    for _ in range(20):
        page = {"last": size, "before": cursor} if backwards else {"first": size, "after": cursor}
        found = api(LIST, **page, **given)["products"]
        assert [edge["node"]["id"] for edge in found["edges"]] == [node["id"] for node in found["nodes"]]
        got = [node["id"] for node in found["nodes"]]
        seen = got + seen if backwards else seen + got
        info = found["pageInfo"]
        assert found["edges"][0]["cursor"] == info["startCursor"]
        assert found["edges"][-1]["cursor"] == info["endCursor"]
        if not info["hasPreviousPage" if backwards else "hasNextPage"]:
            return seen
        cursor = info["startCursor" if backwards else "endCursor"]
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("search", [None, "blue shirt"])
@pytest.mark.parametrize("sort", SORTS)
def test_walking_forwards_or_backwards_meets_each_product_once_and_in_order(api, many, sort, search):
    given = {"sort": sort, "search": search}
    whole = [node["id"] for node in api(LIST, first=100, **given)["products"]["nodes"]]
    assert len(whole) == len(set(whole)) == 9
    for size in (1, 2, 3, 9, 10):
        assert _walk(api, size, **given) == whole
        assert _walk(api, size, backwards=True, **given) == whole


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("NEWEST", lambda product: (-product.published_at.timestamp(), product.pk)),
        ("RELEVANCE", lambda product: (-product.published_at.timestamp(), product.pk)),
        ("PRICE_ASC", lambda product: (product.min_price, product.pk)),
        ("PRICE_DESC", lambda product: (-product.min_price, product.pk)),
        ("TITLE", lambda product: (product.title, product.pk)),
    ],
)
def test_each_sort_is_the_order_it_says(api, many, sort, key):
    expected = [global_id(product) for product in sorted(models.Product.objects.all(), key=key)]
    assert [node["id"] for node in api(LIST, sort=sort)["products"]["nodes"]] == expected


def test_the_cheapest_variant_is_a_products_price(titles):
    product = sold("Both", price=Decimal(50))
    VariantFactory(product=product, option1="Small", price=Decimal(10))
    sold("One", price=Decimal(20))
    assert titles(sort="PRICE_ASC") == ["Both", "One"]
    assert titles(sort="PRICE_DESC") == ["One", "Both"]


def test_a_page_lies_between_two_cursors(api, titles, many):
    edges = api(LIST, sort="TITLE")["products"]["edges"]
    between = api(LIST, sort="TITLE", after=edges[1]["cursor"], before=edges[5]["cursor"])["products"]
    assert between["edges"] == edges[2:5]


def test_without_a_size_a_page_has_24(api):
    for _ in range(25):
        sold()
    assert len(api(LIST)["products"]["nodes"]) == 24


def test_a_page_of_100_is_the_largest_and_of_0_the_smallest(api, many):
    empty = api(LIST, first=0)["products"]
    assert (empty["nodes"], empty["totalCount"]) == ([], 9)
    assert empty["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }
    assert len(api(LIST, first=100)["products"]["nodes"]) == 9
    assert len(api(LIST, last=100)["products"]["nodes"]) == 9


@pytest.mark.parametrize(
    "page", [{"first": 101}, {"first": -1}, {"last": 101}, {"last": -1}, {"first": 1, "last": 1}, {"first": 2**31 - 1}]
)
def test_a_page_of_another_size_is_refused(refusal, page):
    assert refusal(LIST, **page) == "BAD_USER_INPUT"


def _forged(*values):
    return urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize("side", ["after", "before"])
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "junk",
        "é",
        "====",
        urlsafe_b64encode(b"\xff\xfe").decode(),
        urlsafe_b64encode(b"[" * 20_000).decode(),
        _forged(),
        _forged(1),
        _forged("published_at,id"),
        _forged("published_at,id", "2020-01-01 00:00:00+00:00"),
        _forged("published_at,id", "2020-01-01 00:00:00+00:00", 1, 2),
        _forged("published_at,id", "yesterday", 1),
        _forged("published_at,id", None, 1),
        _forged("published_at,id", "2020-01-01 00:00:00+00:00", "x"),
        _forged("published_at,id", "2020-01-01 00:00:00+00:00", None),
        _forged("published_at,id", {}, []),
        _forged("min_price,id", "1.00", 1),
        _forged("title,id", "x", 1),
        _forged("score,id", 1, 1),
    ],
)
def test_a_cursor_that_is_none_of_the_list_is_refused(refusal, side, cursor):
    assert refusal(LIST, sort="NEWEST", **{side: cursor}) == "BAD_USER_INPUT"


@pytest.mark.parametrize("sort", SORTS[1:])
@pytest.mark.parametrize("other", SORTS[1:])
def test_a_cursor_of_another_sort_is_refused(api, refusal, sort, other):
    sold()
    cursor = api(LIST, sort=other, first=1)["products"]["pageInfo"]["endCursor"]
    if sort == other or {sort, other} == {"PRICE_ASC", "PRICE_DESC"}:
        assert api(LIST, sort=sort, after=cursor)
    else:
        assert refusal(LIST, sort=sort, after=cursor) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("sort", "cursor"),
    [
        ("TITLE", ("title,id", "a\x00b", 1)),
        ("TITLE", ("title,id", "\ud800", 1)),
        ("TITLE", ("title,id", 7, 1)),
        ("TITLE", ("title,id", ["x"], 1)),
        ("TITLE", ("title,id", None, 1)),
        ("TITLE", ("title,id", "x", 10**30)),
        ("TITLE", ("title,id", "x", -(10**30))),
        ("TITLE", ("title,id", "x", 1e300)),
        ("TITLE", ("title,id", "x", True)),
        ("TITLE", ("title,id", "x", None)),
        ("PRICE_ASC", ("min_price,id", "1e999", 1)),
        ("PRICE_ASC", ("min_price,id", "-1e999", 1)),
        ("PRICE_ASC", ("min_price,id", "NaN", 1)),
        ("PRICE_ASC", ("min_price,id", "Infinity", 1)),
        ("PRICE_ASC", ("min_price,id", "9" * 50, 1)),
        ("PRICE_ASC", ("min_price,id", None, 1)),
        ("PRICE_ASC", ("min_price,id", 1.5, 1)),
        ("NEWEST", ("published_at,id", "2020-01-01", 1)),
        ("NEWEST", ("published_at,id", "2020-01-01 00:00:00", 1)),
        ("NEWEST", ("published_at,id", "9999-12-31 23:59:59-14:00", 1)),
        ("NEWEST", ("published_at,id", "0001-01-01 00:00:00+14:00", 1)),
    ],
)
def test_a_cursor_that_somebody_made_up_does_no_harm(api, sort, cursor):
    sold()
    answer = api.post(LIST, sort=sort, after=_forged(*cursor)).json()
    assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"BAD_USER_INPUT"}


@pytest.mark.parametrize("score", [10**30, "x", None, 1.5, "NaN"])
def test_a_made_up_score_does_no_harm(api, score):
    sold()
    answer = api.post(LIST, search="shirt", after=_forged("score,id", score, 1)).json()
    assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"BAD_USER_INPUT"}


def test_a_cursor_outlives_its_product(api, many):
    first = api(LIST, sort="PRICE_ASC", first=2)["products"]
    models.Product.objects.filter(title="A blue shirt").delete()
    rest = api(LIST, sort="PRICE_ASC", after=first["edges"][0]["cursor"])["products"]
    assert len(rest["nodes"]) == 8


def test_the_total_counts_the_whole_list_wherever_the_page_stands(api, many):
    cursor = api(LIST, first=3)["products"]["pageInfo"]["endCursor"]
    assert api(LIST, first=2, after=cursor)["products"]["totalCount"] == 9
    assert api(LIST, first=2, filter={"price": {"lte": "10"}})["products"]["totalCount"] == 1


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_parts_of_a_filter_all_hold_and_the_values_of_one_are_alternatives(titles):
    sold("A", product__vendor="Harrow", product__product_type="Shirt")
    sold("B", product__vendor="Tide", product__product_type="Shirt")
    sold("C", product__vendor="Other", product__product_type="Mug")
    assert set(titles(filter={"vendor": ["Harrow", "Tide"]})) == {"A", "B"}
    assert titles(filter={"vendor": ["Harrow", "Other"], "productType": ["Mug"]}) == ["C"]
    assert titles(filter={"vendor": ["nobody"]}) == []


def test_an_empty_part_narrows_nothing_and_no_ids_match_nothing(titles):
    sold("A")
    assert titles(filter={"vendor": [], "tags": [], "options": []}) == ["A"]
    assert titles(filter={}) == ["A"]
    assert titles(filter={"ids": []}) == []


@pytest.mark.parametrize("bound", [10, 10.0, "10", "10.000"])
def test_a_bound_may_be_a_text_or_a_number(titles, bound):
    sold("A", price=Decimal(10))
    assert titles(filter={"price": {"gte": bound, "lte": bound}}) == ["A"]


@pytest.mark.parametrize("junk", ["NaN", "Infinity", "1e999", "abc", "", "1,5", "9" * 20, [], {}, True])
def test_a_bound_that_is_no_amount_is_bad_user_input(api, junk):
    response = api.post(LIST, filter={"price": {"gte": junk}})
    (error,) = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("bound", ["-1", "99999999999", "99999999999.999", "-99999999999.999"])
def test_a_bound_that_no_price_has_matches_by_its_value(api, bound):
    sold("A", price=Decimal(10))
    assert api(LIST, filter={"price": {"gte": bound}})["products"]["totalCount"] == (Decimal(bound) < 10)


@pytest.fixture
def shirts():
    """Linen has M in red, which is sold out, and L in blue; wool has M in blue."""
    for title, variants in (
        ("Linen", [("M", "Red", 0), ("L", "Blue", 5)]),
        ("Wool", [("M", "Blue", 5)]),
    ):
        product = ProductFactory(title=title, option1_name="Size", option2_name="Colour")
        for size, colour, on_hand in variants:
            VariantFactory(product=product, option1=size, option2=colour, stock__on_hand=on_hand)


def _options(**chosen):
    return [{"name": name, "values": values} for name, values in chosen.items()]


def test_ids_narrow_to_those_products_and_junk_among_them_matches_nothing(titles):
    wanted = sold("A")
    sold("B")
    given = [global_id(wanted), "junk", "", ids.encode("Category", wanted.pk), ids.encode("Product", 10**17)]
    assert titles(filter={"ids": given}) == ["A"]
    assert titles(filter={"ids": ["junk"]}) == []


def test_at_most_100_ids_are_taken(api, refusal):
    assert refusal(LIST, filter={"ids": ["x"] * 101}) == "BAD_USER_INPUT"
    assert api(LIST, filter={"ids": ["x"] * 100})


# ── categories ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tree():
    clothing = CategoryFactory(name="Clothing", slug="clothing", position=2)
    shirts = CategoryFactory(name="Shirts", slug="shirts", parent=clothing)
    linen = CategoryFactory(name="Linen shirts", slug="linen-shirts", parent=shirts)
    home = CategoryFactory(name="Home", slug="home", position=1)
    return {"clothing": clothing, "shirts": shirts, "linen": linen, "home": home}


def test_the_tree_is_walked_from_its_roots(api, tree):
    found = api("{ categories { name parent { name } children { name parent { name } children { name } } } }")
    assert found["categories"] == [
        {"name": "Home", "parent": None, "children": []},
        {
            "name": "Clothing",
            "parent": None,
            "children": [{"name": "Shirts", "parent": {"name": "Clothing"}, "children": [{"name": "Linen shirts"}]}],
        },
    ]


def test_ancestors_lead_from_the_root_to_the_parent(api, tree):
    ask = "query ($slug: String!) { category(slug: $slug) { name ancestors { name slug ancestors { name } } } }"
    assert api(ask, slug="linen-shirts")["category"]["ancestors"] == [
        {"name": "Clothing", "slug": "clothing", "ancestors": []},
        {"name": "Shirts", "slug": "shirts", "ancestors": [{"name": "Clothing"}]},
    ]
    assert api(ask, slug="home")["category"]["ancestors"] == []


# ── search ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_search_goes_with_filters_sorts_and_facets(api, titles):
    sold("Linen shirt", price=Decimal(50))
    sold("Wool shirt", price=Decimal(20), product__vendor="Tide")
    sold("Mug", price=Decimal(10))
    assert titles(search="shirt", sort="PRICE_ASC") == ["Wool shirt", "Linen shirt"]
    assert titles(search="shirt", filter={"price": {"lte": "30"}}) == ["Wool shirt"]
    (vendors, *_) = api(FACETS, search="shirt")["products"]["facets"]
    assert vendors["values"] == [{"value": "Harrow", "count": 1}, {"value": "Tide", "count": 1}]


# ── facets ───────────────────────────────────────────────────────────────────────────────────────────


def _counts(api, **given):
    found = api(FACETS, **given)["products"]["facets"]
    return {facet["name"]: {value["value"]: value["count"] for value in facet["values"]} for facet in found}


def test_facets_count_what_each_value_would_leave(api, shirts):
    sold("Mug", product__vendor="Tide", product__product_type="Mug", tags=["new"])
    assert _counts(api) == {
        "Vendor": {"Harrow": 2, "Tide": 1},
        "Type": {"Mug": 1},
        "Tag": {"new": 1},
        "Colour": {"Blue": 2, "Red": 1},
        "Size": {"M": 2, "L": 1},
    }
    kinds = [facet["kind"] for facet in api(FACETS)["products"]["facets"]]
    assert kinds == ["VENDOR", "PRODUCT_TYPE", "TAG", "OPTION", "OPTION"]


def test_the_catalogue_is_the_same_for_everyone(api):
    sold("Mug")
    before = api(LIST)
    owner = models.User.objects.create_superuser("owner@example.com")
    api.client.force_login(owner)
    assert api(LIST) == before


def test_the_shop_says_what_an_address_needs(api):
    document = """query ($country: String!, $region: String) {
    shop { addressRules(countryCode: $country, region: $region) {
      countryCode used required regions { code name } regionKind postalCodeKind postalCodePatterns postalCodeExample
    } } }"""
    germany = api(document, country="de")["shop"]["addressRules"]
    assert germany["required"] == ["NAME", "LINE1", "CITY", "POSTAL_CODE"]
    assert (germany["regions"], germany["postalCodePatterns"]) == ([], [r"^(?:\d{5})$"])
    california = api(document, country="US", region="California")["shop"]["addressRules"]
    assert {"code": "CA", "name": "California"} in california["regions"]
    assert len(california["postalCodePatterns"]) == 2
    assert api(document, country="BR")["shop"]["addressRules"] is None


def test_a_count_ends_where_it_would_take_long_and_says_so(api, monkeypatch):
    monkeypatch.setattr("schema.base.connections.MAX_COUNTED", 2)
    document = "{ products { totalCount totalCountExceeded nodes { id } } }"
    for expected in ((1, False), (2, False), (2, True)):
        sold()
        found = api(document)["products"]
        assert (found["totalCount"], found["totalCountExceeded"]) == expected
    assert len(found["nodes"]) == 3


@pytest.fixture
def many_shirts(monkeypatch):
    """Seven shirts and a coat, where more than two are too many; the first three of the shirts are as new as each
    other, and the oldest; the last is of another vendor."""
    monkeypatch.setattr("domain.catalog.search.MAX_RANKED", 2)
    for number in range(7):
        vendor = "Tide" if number == 6 else "Harrow"
        sold(f"Shirt {number}", product__vendor=vendor, product__published_at=LONG_AGO + timedelta(days=max(number, 2)))
    sold("Wool coat")


PAGES = """
query Pages($search: String, $filter: ProductFilter, $sort: ProductSort! = RELEVANCE, $first: Int, $after: String,
            $last: Int, $before: String) {
  products(search: $search, filter: $filter, sort: $sort, first: $first, after: $after, last: $last, before: $before) {
    totalCount totalCountExceeded facets { name values { value count } }
    nodes { title } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }"""


@pytest.mark.parametrize("sort", ["RELEVANCE", "NEWEST", "TITLE", "PRICE_DESC"])
def test_a_search_that_too_many_match_is_counted_no_further_and_paged_to_its_end(api, many_shirts, sort):
    page = api(PAGES, search="shirt", sort=sort, first=2)["products"]
    seen = [node["title"] for node in page["nodes"]]
    while page["pageInfo"]["hasNextPage"]:
        assert (page["totalCount"], page["totalCountExceeded"]) == (2, True)
        page = api(PAGES, search="shirt", sort=sort, first=2, after=page["pageInfo"]["endCursor"])["products"]
        seen += [node["title"] for node in page["nodes"]]
    assert sorted(seen) == [f"Shirt {number}" for number in range(7)]
    back = api(PAGES, search="shirt", sort=sort, last=6, before=page["pageInfo"]["startCursor"])["products"]
    assert [node["title"] for node in back["nodes"]] == seen[:6]


@pytest.mark.parametrize("text", ["shirt", "shrit", "shirts"])
def test_a_filter_finds_whatever_matches_however_many_more_do(api, many_shirts, text):
    sold("Shirt of old", product__vendor="Tide", product__published_at=LONG_AGO - timedelta(days=99))
    page = api(PAGES, search=text, filter={"vendor": ["Tide"]})["products"]
    assert sorted(node["title"] for node in page["nodes"]) == ["Shirt 6", "Shirt of old"]
    assert (page["totalCount"], page["totalCountExceeded"]) == (2, False)
    of_many = api(PAGES, search=text, filter={"vendor": ["Harrow"]})["products"]
    assert (of_many["totalCount"], of_many["totalCountExceeded"], len(of_many["nodes"])) == (2, True, 6)


def test_facets_of_a_search_that_too_many_match_say_how_some_are_spread(api, many_shirts, monkeypatch):
    monkeypatch.setattr("domain.catalog.search.SAMPLE_SIZE", 2)
    facets = api(PAGES, search="shirt")["products"]["facets"]
    counted = sum(value["count"] for value in facets[0]["values"])
    assert counted == (7 if connection.vendor == "sqlite" else 2)  # It ranks everything.
    (chosen, *_) = api(PAGES, search="shirt", filter={"vendor": ["Tide"], "price": {"gte": "0"}})["products"]["facets"]
    assert sum(value["count"] for value in chosen["values"]) == counted


def test_what_buyers_do_not_see_does_not_make_a_search_too_common(api, monkeypatch):
    monkeypatch.setattr("domain.catalog.search.MAX_RANKED", 2)
    for number in range(3):
        sold(f"Shirt {number}", product__published_at=None)
    for number in range(2):
        sold("Wool shirt", product__published_at=LONG_AGO + timedelta(days=number))
    page = api(PAGES, search="shirt")["products"]
    assert (page["totalCount"], page["totalCountExceeded"], len(page["nodes"])) == (2, False, 2)


def test_a_search_that_too_many_match_takes_no_more_statements(api, many_shirts, statements):
    with statements() as few:
        api(PAGES, search="coat")
    with statements() as many:
        api(PAGES, search="shirt")
    assert len(many) == len(few)


def test_facets_of_more_products_than_are_counted_say_how_the_first_ones_are_spread(api, monkeypatch):
    monkeypatch.setattr("domain.catalog.facets.MAX_COUNTED", 2)
    for _ in range(3):
        sold()
    (vendors, *_) = api(FACETS)["products"]["facets"]
    assert vendors == {"kind": "VENDOR", "name": "Vendor", "values": [{"value": "Harrow", "count": 2}]}
