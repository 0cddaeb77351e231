"""What one operation may ask for. Each hostile document is refused before anything of it is executed."""

import time

import pytest
from graphql import FragmentDefinitionNode, build_schema, parse

from schema.serving import limits
from schema.serving.limits import Bulk, Size
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


# ── what is counted ──────────────────────────────────────────────────────────────────────────────────

SHOP = build_schema("""
type Query { shop: Shop items(first: Int, last: Int, after: Int): ItemConnection any: Any }
type Shop { name: String owner: Person! }
type Person { name: String }
type ItemConnection { nodes: [Item!]! edges: [Edge!]! total: Int }
type Edge { node: Item }
type Item { id: ID tags: [String!]! parts: [Item!] }
union Any = Shop | Item
""")


def measured(text, **variables):
    document = parse(text)
    operation, *fragments = sorted(document.definitions, key=lambda part: isinstance(part, FragmentDefinitionNode))
    fragments = {part.name.value: part for part in fragments}
    return limits.measure(operation, fragments, variables, SHOP)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("{ shop { name } }", Size(depth=2, width=1, cost=2)),
        ("{ shop { name owner { name } } }", Size(3, 1, 4)),
        ("{ a: shop { name } b: shop { name } }", Size(2, 2, 4)),
        ("{ ...F ...F } fragment F on Query { shop { owner { name } } }", Size(3, 2, 6)),
        ("{ ... { shop { name } } ... on Query { shop { name } } }", Size(2, 2, 4)),
        # What is asked of each kind of thing is measured by that kind.
        ("{ any { ... on Item { parts { id } } } }", Size(3, 1, 7)),
        ("{ any { ...F } } fragment F on Item { parts { id } }", Size(3, 1, 7)),
        # A list that is not paged stands for five items; `nodes` of a connection stands for its page.
        ("{ items(first: 10) { nodes { id } } }", Size(3, 1, 1 + 10 * 2)),
        ("{ items(first: 10) { edges { node { id } } total } }", Size(4, 1, 1 + 10 * 4)),
        ("{ items(first: 10) { nodes { parts { id } } } }", Size(4, 1, 1 + 10 * (1 + 1 + 5))),
        # What the language itself offers costs nothing more.
        ("{ __schema { types { name } } }", Size(3, 1, 1)),
        ("{ __typename }", Size(1, 1, 1)),
    ],
)
def test_an_operation_is_as_deep_wide_and_costly_as_what_it_asks_for(text, size):
    assert measured(text) == size


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        ("", 24),
        ("(first: 1)", 1),
        ("(last: 7)", 7),
        ("(first: 100, last: null)", 100),
        ("(first: null, last: 100)", 100),
        ("(first: null)", 24),
        ("(first: 10, after: 90)", 10),
        ("(first: 0)", 0),
        ("(first: -5)", 0),
        ("(first: 1000)", 100),
        ("(first: 3, last: 8)", 8),
        ("(first: 8, last: 3)", 8),
    ],
)
def test_a_page_costs_as_many_times_what_is_below_as_it_may_hold(arguments, page):
    assert measured(f"{{ items{arguments} {{ nodes {{ id }} }} }}").cost == 1 + page * 2


@pytest.mark.parametrize(
    ("variables", "page"), [({"n": 7}, 7), ({"n": None}, 24), ({"n": 1000}, 100), ({}, 100)], ids=str
)
def test_a_page_size_in_a_variable_costs_what_it_stands_for(variables, page):
    """Without a value it may have a default: the most is assumed."""
    assert measured("query ($n: Int) { items(first: $n) { nodes { id } } }", **variables).cost == 1 + page * 2


def test_a_fragment_is_measured_once_however_often_it_is_spread():
    parts = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    assert measured(f"{{ ...F0 }} {parts} fragment F60 on Query {{ shop {{ name }} }}").width == 2**60


@pytest.mark.parametrize(
    ("text", "bulk"),
    [
        ("{ shop { name } }", Bulk(fields=2)),
        ("{ a: shop { b: name c: name } }", Bulk(fields=3, aliases=3)),
        ("query @x { shop @x @y { name @x } }", Bulk(fields=2, directives=4)),
        ("{ ...F @x } fragment F on Query @y { shop { name } }", Bulk(fields=2, directives=2, fragments=2)),
        ("{ ... @x { shop { name } } ... on Query { shop { name } } }", Bulk(4, directives=1, fragments=2, repeats=1)),
        ("{ ... { ... { shop { name } } } shop { name } }", Bulk(4, fragments=2, repeats=1)),
        ("{ ...F ...F ...G }", Bulk(fragments=3, repeats=1)),
        ("{ shop { name name name } shop { name } }", Bulk(fields=6, repeats=3)),
        ("{ name: shop { id } id: name }", Bulk(fields=3, aliases=2)),
        ("query A { shop { name } } query B { shop { name } }", Bulk(fields=4)),
        ("type T { name: String } { shop { name } }", Bulk(fields=2)),
    ],
)
def test_what_is_written_in_a_document_is_counted_by_kind(text, bulk):
    assert limits.weigh(parse(text)) == bulk


@pytest.mark.parametrize("what", Bulk._fields)
def test_a_document_holds_as_much_of_a_kind_as_the_limit_and_no_more(what):
    most = getattr(limits.MAX_BULK, what)
    assert limits.too_bulky(Bulk(**{what: most})) is None
    error = limits.too_bulky(Bulk(**{what: most + 1}))
    assert (error.extensions, what in error.message, str(most + 1) in error.message) == (
        {"code": "OPERATION_TOO_LARGE"},
        True,
        True,
    )


def test_the_limits_of_a_document_and_of_an_operation(settings):
    assert Bulk(fields=500, aliases=100, directives=50, fragments=150, repeats=30) == limits.MAX_BULK
    settings.MAX_QUERY_COST = 300
    for size in (Size(20, 1, 1), Size(1, 20, 1), Size(1, 1, 300)):
        assert limits.refusal(size) is None
    for size, word in ((Size(21, 1, 1), "deep"), (Size(1, 21, 1), "wide"), (Size(1, 1, 301), "costly")):
        error = limits.refusal(size)
        assert (error.extensions["code"], word in error.message) == ("OPERATION_TOO_LARGE", True)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────


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
