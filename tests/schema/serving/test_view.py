"""GraphQL over HTTP: what is understood, what is refused, and with which status and code."""

import json
import logging
import re

import pytest
from django.test import Client

from schema.base import ids
from schema.serving.examples import OPERATIONS
from storefront import models
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

MODERN = "application/graphql-response+json"
LEGACY = "application/json"
SHOP = "{ shop { name } }"
ADD = "mutation ($id: ID!) { addToCart(input: {lines: [{variantId: $id}]}) { cart { code } } }"
PRODUCT = "query ($slug: String!) { product(slug: $slug) { id } }"


@pytest.fixture
def client() -> Client:
    return Client(headers={"accept": MODERN})


@pytest.fixture
def send(client):
    """Posts a body as it is: text, bytes, or anything that becomes JSON."""

    def post(body, content_type="application/json", **headers):
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        return client.generic("POST", "/graphql/", raw, content_type=content_type, headers=headers)

    return post


def code(response) -> str:
    (one,) = {error["extensions"]["code"] for error in response.json()["errors"]}
    return one


# ── media types ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (MODERN, MODERN),
        (LEGACY, LEGACY),
        ("*/*", LEGACY),
        ("application/*", LEGACY),
        (f"{MODERN}, {LEGACY};q=0.9", MODERN),
        (f"{MODERN};q=0.5, {LEGACY}", LEGACY),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", MODERN),
    ],
)
def test_the_answer_is_in_the_type_that_is_asked_for(send, accept, answered):
    response = send({"query": SHOP}, accept=accept)
    assert response.status_code == 200
    assert response["Content-Type"] == f"{answered}; charset=utf-8"
    assert response.json() == {"data": {"shop": {"name": "Commercia"}}}


def test_without_accept_the_answer_is_json():
    response = Client().post("/graphql/", {"query": SHOP}, content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (200, f"{LEGACY}; charset=utf-8")


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml"])
def test_a_type_that_is_not_spoken_is_406(send, accept):
    assert send({"query": SHOP}, accept=accept).status_code == 406


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/graphql", ""],
)
def test_a_body_that_is_not_json_is_415(send, content_type):
    assert send({"query": SHOP}, content_type=content_type).status_code == 415


def test_nothing_at_all_is_415(client):
    assert client.generic("POST", "/graphql/").status_code == 415


def test_a_charset_beside_the_content_type_does_no_harm(send):
    assert send({"query": SHOP}, content_type="application/json; charset=utf-8").status_code == 200


def test_a_document_that_is_refused_is_400_in_the_new_type_and_200_in_the_old(send):
    assert send({"query": "{ nothing }"}, accept=MODERN).status_code == 400
    assert send({"query": "{ nothing }"}, accept=LEGACY).status_code == 200


@pytest.mark.parametrize("accept", [MODERN, LEGACY])
def test_a_body_that_is_no_request_is_400_in_both(send, accept):
    response = send("[]", accept=accept)
    assert (response.status_code, response["Content-Type"]) == (400, f"{accept}; charset=utf-8")


def test_answers_are_kept_by_no_cache(send):
    assert "no-store" in send({"query": SHOP})["Cache-Control"]


# ── methods ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_query_works_by_get(client):
    response = client.get("/graphql/", {"query": SHOP})
    assert response.json() == {"data": {"shop": {"name": "Commercia"}}}


def test_get_takes_variables_and_the_name_of_the_operation(client):
    VariantFactory(product__slug="mug")
    document = "query A { shop { name } } query B($slug: String!) { product(slug: $slug) { slug } }"
    given = {"query": document, "operationName": "B", "variables": '{"slug": "mug"}'}
    assert client.get("/graphql/", given).json() == {"data": {"product": {"slug": "mug"}}}


def test_a_mutation_by_get_is_405_and_nothing_is_done(client):
    variables = json.dumps({"id": "x"})
    response = client.get("/graphql/", {"query": ADD, "variables": variables})
    assert (response.status_code, response["Allow"]) == (405, "GET, POST")
    assert not models.Cart.objects.exists()


def test_the_mutation_of_several_operations_is_405_by_get(client):
    document = "query A { shop { name } } mutation B { clearCart { cart { id } } }"
    assert client.get("/graphql/", {"query": document, "operationName": "A"}).status_code == 200
    assert client.get("/graphql/", {"query": document, "operationName": "B"}).status_code == 405


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_405(client, method):
    response = client.generic(method, "/graphql/")
    assert (response.status_code, response["Allow"]) == (405, "GET, POST")


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "1",
        "[]",
        '"x"',
        "true",
        " ",
        "{",
        "{}",
        "query",
        '{"query": null}',
        '{"query": ""}',
        '{"query": 1}',
        '{"query": ["{ shop { name } }"]}',
        '[{"query": "{ shop { name } }"}]',
        '{"query": "{ shop { name } }", "variables": []}',
        '{"query": "{ shop { name } }", "variables": "x"}',
        '{"query": "{ shop { name } }", "operationName": 1}',
        '{"query": "{ shop { name } }", "extensions": 1}',
        '{"query": "{ shop { name } }", "variables": {"a": NaN}}',
        '{"query": "{ shop { name } }", "variables": {"a": Infinity}}',
        '{"query": "{ shop { name } }", "variables": {"a": -Infinity}}',
        '{"query": "{ shop { name } }", "variables": {"a": ' + "1" * 5_000 + "}}",
        b'{"query": "{ shop { name } } # \xff"}',
        b'\xff\xfe{\x00"\x00',
        '{"query": "{ shop { name } }", "variables": {"a": "\\ud800"}}',
        '{"query": "{ shop { name } }", "variables": {"\\uDFFF": 1}}',
        '{"query": "{ shop { name } }", "operationName": "\\ud800"}',
        '{"query": "{ shop { name } } # \\ud800"}',
        '{"query": "{ shop { name } }", "variables": {"a": "\\u0000"}}',
        '{"query": "{ shop { name } }", "variables": {"a": "\x00"}}',
        '{"query": "{ shop { name } } # \\u0000"}',
    ],
)
def test_a_body_that_makes_no_sense_is_400(send, body):
    response = send(body)
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("escape", [r"\u0000", r"\u{0}", r"\u{0000}", r"\u{0000000}"])
@pytest.mark.parametrize("backslash", [r"\\", r"\u005c", r"\u005C"], ids=["doubled", "coded", "CODED"])
def test_nul_as_an_escape_of_graphql_is_400(send, escape, backslash):
    document = '{ product(slug: \\"a' + escape.replace("\\", backslash) + '\\") { id } }'
    assert send(f'{{"query": "{document}"}}').status_code == 400


def test_nul_by_get_is_400(client):
    for given in ({"query": "{ shop { name } } #\x00"}, {"query": SHOP, "variables": '{"a": "\\u0000"}'}):
        assert client.get("/graphql/", given).status_code == 400


def test_letters_beyond_the_first_plane_are_letters(send):
    response = send(
        '{"query": "query ($s: String!) { product(slug: $s) { id } }", "variables": {"s": "\\ud83d\\ude00"}}'
    )
    assert response.json() == {"data": {"product": None}}


def test_a_number_too_large_for_a_float_is_refused(send):
    response = send('{"query": "query ($n: Int) { products(first: $n) { totalCount } }", "variables": {"n": 1e999}}')
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


def test_more_than_100_kb_is_413(send):
    assert send({"query": SHOP + " " * 100_000}).status_code == 413


def test_just_under_100_kb_is_taken(send):
    assert send({"query": SHOP + " " * 99_000}).status_code == 200


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_nested_100_000_deep_is_400(send, settings, opening):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000
    response = send(f'{{"query": "{SHOP}", "variables": {{"a": {opening * 100_000}')
    assert response.status_code == 400
    assert send(opening * 100_000).status_code == 400


def test_nested_variables_that_nobody_asked_for_do_no_harm(send):
    deep = "[" * 800 + "]" * 800
    assert send(f'{{"query": "{SHOP}", "variables": {{"a": {deep}}}}}').status_code in {200, 400}


# ── documents ────────────────────────────────────────────────────────────────────────────────────────

DEEP = {
    "fields": lambda n: "{ a" * n + "}" * n,
    "fragments": lambda n: "{ ... " * n + "{ shop { name } }" + " }" * n,
    "lists": lambda n: "{ product(slug: " + "[" * n + "]" * n + ") { id } }",
    "objects": lambda n: "{ products(filter: " + "{price: " * n + "1" + "}" * n + ") { totalCount } }",
    "types": lambda n: "query ($a: " + "[" * n + "Int" + "]" * n + ") { shop { name } }",
}


@pytest.mark.parametrize("depth", [50, 150, 300, 600, 950, 10_000])
@pytest.mark.parametrize("shape", ["fields", "lists", "objects", "types"])
def test_a_document_nested_too_deep_is_400(send, shape, depth):
    response = send({"query": DEEP[shape](depth)})
    assert response.status_code == 400
    assert code(response) in {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}


@pytest.mark.parametrize("depth", [10, 20, 40, 60, 80, 100, 150, 300, 900])
def test_a_valid_document_of_any_depth_is_answered_or_refused(send, depth):
    VariantFactory()
    documents = [
        DEEP["fragments"](depth),
        "{ categories " + "{ children " * depth + "{ name } " + "}" * (depth + 1),
        "{ products { nodes " + "{ variants { product " * (depth // 2) + "{ id } " + "} }" * (depth // 2) + "} }",
    ]
    for document in documents:
        response = send({"query": document})
        assert response.status_code in {200, 400}
        assert "INTERNAL_SERVER_ERROR" not in response.text


def test_too_many_tokens_are_400(send):
    response = send({"query": "{ " + "shop { name } " * 1_000 + "}"})
    assert (response.status_code, code(response)) == (400, "GRAPHQL_PARSE_FAILED")


def test_fragments_that_name_each_other_are_400(send):
    response = send({"query": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"})
    assert response.status_code == 400


def test_several_operations_need_a_name(send):
    document = "query A { shop { name } } query B { shop { currency } }"
    assert code(send({"query": document})) == "OPERATION_RESOLUTION_FAILURE"
    assert send({"query": document}).status_code == 400
    assert send({"query": document, "operationName": "B"}).json()["data"] == {"shop": {"currency": "EUR"}}


def test_an_unknown_operation_is_refused(send):
    response = send({"query": "query A { shop { name } }", "operationName": "B"})
    assert (response.status_code, code(response)) == (400, "OPERATION_RESOLUTION_FAILURE")


def test_a_document_without_an_operation_is_refused(send):
    assert send({"query": "fragment A on Shop { name }"}).status_code == 400


@pytest.mark.parametrize(
    "document", ["{", "{ shop", "}", "# nothing", '{ product(slug: "\\ud800") { id } }', "\ufeff{"]
)
def test_what_cannot_be_parsed_says_so(send, document):
    response = send({"query": document})
    assert (response.status_code, code(response)) == (400, "GRAPHQL_PARSE_FAILED")
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "document",
    [
        "{ nothing }",
        "{ shop }",
        "{ shop { name { x } } }",
        "query ($a: Nothing) { shop { name } }",
        "{ product(slug: 1) { id } }",
        "{ products(sort: BEST) { totalCount } }",
    ],
)
def test_what_is_not_valid_says_so(send, document):
    response = send({"query": document})
    assert (response.status_code, code(response)) == (400, "GRAPHQL_VALIDATION_FAILED")
    assert "data" not in response.json()


def test_there_are_no_subscriptions(send):
    assert send({"query": "subscription { shop { name } }"}).status_code == 400


@pytest.mark.parametrize("quantity", [2**31, -(2**31) - 1, "two", "2", 1.5, True, [1, 2], {}, None])
def test_a_variable_of_another_type_is_bad_user_input(send, quantity):
    document = 'mutation ($n: Int!) { addToCart(input: {lines: [{variantId: "x", quantity: $n}]}) { cart { id } } }'
    response = send({"query": document, "variables": {"n": quantity}})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")
    assert "data" not in response.json()


def test_a_variable_that_is_missing_is_bad_user_input(send):
    response = send({"query": PRODUCT})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


def test_every_error_says_where(send):
    (error,) = send({"query": "{ shop { nam } }"}).json()["errors"]
    assert error["locations"] == [{"line": 1, "column": 10}]


def test_the_same_document_fails_alike_each_time(send):
    """Documents are checked once and remembered, errors too."""
    for document in ("{", "{ nothing }"):
        assert send({"query": document}).json() == send({"query": document}).json()


# ── masking ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def broken(monkeypatch):
    def fail(**given):
        raise RuntimeError("secret")

    monkeypatch.setattr("domain.catalog.browse.browse", fail)


@pytest.mark.parametrize("accept", [MODERN, LEGACY])
def test_what_nobody_expected_is_masked_and_told_to_the_log(send, broken, caplog, accept):
    with caplog.at_level(logging.ERROR):
        response = send({"query": "query List { shop { name } products { totalCount } }"}, accept=accept)
    (error,) = response.json()["errors"]
    assert response.status_code == 200
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["path"] == ["products", "totalCount"] or error["path"] == ["products"]
    assert not re.search("secret|Runtime|Traceback|browse", response.text)
    (logged,) = [record for record in caplog.records if record.name.startswith("schema")]
    assert error["extensions"]["id"] in logged.getMessage()
    assert "List" in logged.getMessage()
    assert str(logged.exc_info[1]) == "secret"


def test_each_failure_has_an_id_of_its_own(send, broken):
    answers = [send({"query": "{ products { totalCount } }"}).json()["errors"][0] for _ in range(2)]
    assert answers[0]["extensions"]["id"] != answers[1]["extensions"]["id"]


def test_a_mutation_that_fails_is_masked(send, monkeypatch):
    def fail(**given):
        raise RuntimeError("secret")

    monkeypatch.setattr("domain.sales.cart.add_lines", fail)
    variant = VariantFactory()
    response = send({"query": ADD, "variables": {"id": ids.encode("ProductVariant", variant.pk)}})
    assert code(response) == "INTERNAL_SERVER_ERROR"
    assert "secret" not in response.text


# ── introspection ────────────────────────────────────────────────────────────────────────────────────


def test_the_schema_shows_itself_where_that_is_on(send, settings):
    settings.INTROSPECTION = True
    response = send({"query": "{ __schema { queryType { name } } }"})
    assert response.json()["data"] == {"__schema": {"queryType": {"name": "Query"}}}
    assert "Did you mean" in send({"query": "{ shp { name } }"}).text


@pytest.mark.parametrize("document", ["{ __schema { types { name } } }", '{ __type(name: "Product") { name } }'])
def test_the_schema_hides_where_introspection_is_off(send, settings, document):
    settings.INTROSPECTION = False
    response = send({"query": document})
    assert (response.status_code, code(response)) == (400, "GRAPHQL_VALIDATION_FAILED")


def test_the_name_of_a_type_is_never_hidden(send, settings):
    settings.INTROSPECTION = False
    assert send({"query": "{ shop { __typename } }"}).json()["data"] == {"shop": {"__typename": "Shop"}}


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ("{ shp { name } }", {}),
        ("{ shop { nam } }", {}),
        ('{ product(slg: "x") { id } }', {}),
        ("{ products(sort: NEWST) { totalCount } }", {}),
        ("{ products(filter: {vendr: []}) { totalCount } }", {}),
        ("{ shop { ... on Shp { name } } }", {}),
        ("query ($a: Strin) { shop { name } }", {}),
        ("query ($a: ProductSort!) { products(sort: $a) { totalCount } }", {"a": "NEWST"}),
        ("query ($a: ProductFilter) { products(filter: $a) { totalCount } }", {"a": {"vendr": []}}),
    ],
)
def test_nothing_is_suggested_where_introspection_is_off(send, settings, document, variables):
    settings.INTROSPECTION = False
    response = send({"query": document, "variables": variables})
    assert response.status_code == 400
    assert "Did you mean" not in response.text


# ── GraphiQL ─────────────────────────────────────────────────────────────────────────────────────────

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_browser_gets_graphiql_with_a_tab_for_every_example(client, settings):
    settings.GRAPHIQL = True
    response = client.get("/graphql/", headers={"accept": BROWSER})
    assert (response.status_code, response["Content-Type"]) == (200, "text/html; charset=utf-8")
    config = json.loads(re.search(r'id="graphiql-config"[^>]*>(.*?)</script>', response.text, re.DOTALL)[1])
    assert config["endpoint"] == "/graphql/"
    assert [tab["title"] for tab in config["tabs"]] == sorted(path.stem for path in OPERATIONS.glob("*.graphql"))
    assert all(tab["query"] for tab in config["tabs"])


def test_graphiql_loads_nothing_from_elsewhere(client, settings):
    settings.GRAPHIQL = True
    page = client.get("/graphql/", headers={"accept": BROWSER}).text
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_a_browser_gets_no_page_where_graphiql_is_off(client, settings):
    settings.GRAPHIQL = False
    response = client.get("/graphql/", headers={"accept": BROWSER})
    assert response.status_code == 400
    assert "<html" not in response.text


def test_a_query_by_a_browsers_address_line_is_answered_not_shown(client, settings):
    settings.GRAPHIQL = True
    response = client.get("/graphql/", {"query": SHOP}, headers={"accept": BROWSER})
    assert response.json() == {"data": {"shop": {"name": "Commercia"}}}


def test_only_who_asks_for_a_page_gets_one(client, settings):
    settings.GRAPHIQL = True
    assert client.get("/graphql/", headers={"accept": "*/*"}).status_code == 400


# ── cookies ──────────────────────────────────────────────────────────────────────────────────────────

CART = "{ cart { code } }"


@pytest.fixture
def filled(client, send):
    """The code of a guest's cart whose cookie the client has."""
    variant = VariantFactory()
    response = send({"query": ADD, "variables": {"id": ids.encode("ProductVariant", variant.pk)}})
    return response.json()["data"]["addToCart"]["cart"]["code"]


def test_the_carts_cookie_is_signed_and_kept_from_scripts_and_other_sites(client, filled, settings):
    cookie = client.cookies["cart"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/graphql/")
    assert cookie["max-age"] == settings.CART_COOKIE_DAYS * 86_400
    assert cookie.value.startswith(f"{filled}:")
    assert len(cookie.value) > len(filled) + 20


def test_the_carts_cookie_is_secure_where_the_shop_is(client, send, settings):
    settings.HTTPS = True
    send({"query": ADD, "variables": {"id": ids.encode("ProductVariant", VariantFactory().pk)}})
    assert client.cookies["cart"]["secure"] is True


def test_the_cookie_finds_the_cart(send, filled):
    assert send({"query": CART}).json()["data"] == {"cart": {"code": filled}}


@pytest.mark.parametrize("tamper", [lambda v: v[:-1] + "_", lambda v: "x" + v, lambda v: v.split(":")[0], lambda v: ""])
def test_a_cookie_that_was_tampered_with_is_ignored(client, send, filled, tamper):
    client.cookies["cart"] = tamper(client.cookies["cart"].value)
    assert send({"query": CART}).json() == {"data": {"cart": None}}


def test_a_get_that_another_site_could_send_has_no_cart(client, filled):
    assert client.get("/graphql/", {"query": CART}).json() == {"data": {"cart": None}}


@pytest.mark.parametrize("header", ["apollo-require-preflight", "x-apollo-operation-name"])
def test_a_get_that_needs_a_preflight_has_the_cart(client, filled, header):
    response = client.get("/graphql/", {"query": CART}, headers={header: "x"})
    assert response.json() == {"data": {"cart": {"code": filled}}}


def test_a_get_that_another_site_could_send_has_no_viewer(client):
    user = UserFactory()
    cart = models.Cart.objects.create(user=user, updated_at=user.joined_at)
    client.force_login(user)
    document = {"query": f'{{ cart {{ code }} own: cart(code: "{cart.code}") {{ code }} }}'}
    assert client.get("/graphql/", document).json() == {"data": {"cart": None, "own": None}}


def test_a_post_that_another_site_could_send_is_415(send, filled):
    assert send({"query": "mutation { clearCart { cart { id } } }"}, content_type="text/plain").status_code == 415
    assert models.CartLine.objects.count() == 1


def test_the_front_page_leads_to_the_endpoint(client):
    assert client.get("/")["Location"] == "/graphql/"
