"""What one operation may ask for. Each hostile document is refused before anything of it is executed."""

import time

import pytest

from tests.factories import VariantFactory

pytestmark = pytest.mark.django_db

NESTED = "{ products(first: 100) { nodes { %s } } }"


def nested(levels):
    return "variants { product { " * levels + "id" + " } }" * levels


def spread(depth):
    """Fragments that each spread the next one twice: 2 ** depth spreads in a few hundred bytes."""
    parts = [f"fragment F{n} on Product {{ a: variants {{ product {{ ...F{n + 1} }} }} id }}" for n in range(depth)]
    return " ".join(["{ products { nodes { ...F0 ...F0 } } }", *parts, f"fragment F{depth} on Product {{ id }}"])


HOSTILE = {
    "a list within a list within a list": NESTED % nested(4),
    "twenty lists within each other": f"{{ products {{ nodes {{ {nested(20)} }} }} }}",
    "fragments that fan out": spread(30),
    "many root fields": "{" + " ".join(f"a{n}: products(first: 100) {{ nodes {{ id }} }}" for n in range(60)) + "}",
    "many root fields in a fragment": "{ ...Many } fragment Many on Query {"
    + " ".join(f"a{n}: products(first: 10) {{ totalCount }}" for n in range(21))
    + "}",
    "a page size in a variable": "query($n: Int = 100) " + (NESTED % nested(4)).replace("100", "$n"),
}


@pytest.mark.parametrize("document", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_operation_that_asks_for_too_much_is_refused_at_once(api, document):
    begun = time.process_time()
    response = api.post(document)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "OPERATION_TOO_LARGE"
    assert time.process_time() - begun < 0.5


def test_what_a_page_of_a_front_end_asks_for_is_allowed(api):
    VariantFactory()
    assert api(
        """{ products(first: 24) { totalCount facets { name values { value count } } nodes {
            id title slug vendor tags images { url }
            categories { name slug ancestors { name } } options { name values }
            priceRange { min { amount currency } max { amount currency } }
            variants { id sku price { amount } availability selectedOptions { name value } image { url } }
        } pageInfo { endCursor } } }"""
    )


def test_the_limit_is_a_setting(api, settings):
    document = "{ products(first: 10) { nodes { id title } } }"
    settings.MAX_QUERY_COST = 31
    assert api(document)
    settings.MAX_QUERY_COST = 30
    assert api.errors(document)[0]["extensions"]["code"] == "OPERATION_TOO_LARGE"


def many(number, each):
    return " ".join(each.format(n=n) for n in range(number))


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        (lambda n: f"{{ shop {{ {many(n, 'a{n}: name')} }} }}", 100),
        (lambda n: f"{{ shop {{ name {'name ' * n} }} }}", 30),
        (lambda n: f"{{ shop {{ name {'...F ' * (n + 1)} }} }} fragment F on Shop {{ currency }}", 30),
        (lambda n: f"{{ shop {{ {many(n, 'a{n}: name @skip(if: false)')} }} }}", 50),
        (
            lambda n: f"{{ shop {{ {many(n, '... {{ ...F{n} }}')} }} }} {many(n, 'fragment F{n} on Shop {{ name }}')}",
            50,
        ),
    ],
    ids=["aliases", "repeats", "spreads that repeat", "directives", "fragments"],
)
def test_a_document_holds_so_much_and_no_more(api, document, limit):
    assert api(document(limit))
    assert api.errors(document(limit + 1))[0]["extensions"]["code"] == "OPERATION_TOO_LARGE"


def test_where_the_shop_is_developed_an_answer_says_what_it_costs(api, settings):
    settings.DEBUG = True
    answer = api.post("{ products(first: 10) { nodes { id title } } }").json()
    assert answer["extensions"] == {"cost": {"estimated": 31, "limit": 20_000}}
    settings.DEBUG = False
    assert "extensions" not in api.post("{ shop { name } }").json()


@pytest.mark.parametrize(
    "filter",
    [
        {"options": [{"name": f"Option {n}", "values": ["x"]} for n in range(4)]},
        {"vendor": [f"Vendor {n}" for n in range(101)]},
        {"options": [{"name": "Size", "values": [str(n) for n in range(101)]}]},
    ],
    ids=["options", "vendors", "values"],
)
def test_a_filter_holds_a_hundred_values_and_three_options(api, filter):
    document = "query($filter: ProductFilter) { products(filter: $filter) { totalCount facets { name } } }"
    assert api.errors(document, filter=filter)[0]["extensions"]["code"] == "BAD_USER_INPUT"
