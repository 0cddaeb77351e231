"""Operations by their hash, as Apollo Client asks for them; and shops that answer none but their own."""

import hashlib
import json

import pytest
from django.conf import settings as configured

from schema.serving import persisted_queries

pytestmark = pytest.mark.django_db

SHOP = "query Shop { shop { name } }"
NAMED = {"data": {"shop": {"name": "Commercia"}}}


def digest(query):
    return hashlib.sha256(query.encode()).hexdigest()


def extension(query=SHOP, version=1, **changed):
    return {"persistedQuery": {"version": version, "sha256Hash": digest(query)} | changed}


@pytest.fixture(params=["POST", "GET"])
def ask(request, client):
    """`ask(query=…, extensions=…)`, by either method: status and body."""

    def send(**given):
        if request.param == "POST":
            response = client.post("/graphql/", given, content_type="application/json")
        else:
            packed = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
            response = client.get("/graphql/", packed)
        return response.status_code, response.json()

    return send


def code(answer):
    status, body = answer
    return status, body["errors"][0]["extensions"]["code"]


def test_an_operation_is_known_by_its_hash_once_it_was_sent_whole(ask):
    status, body = ask(extensions=extension())
    (error,) = body["errors"]
    assert (status, error["message"]) == (200, "PersistedQueryNotFound")
    assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert ask(query=SHOP, extensions=extension()) == (200, NAMED)
    assert ask(extensions=extension()) == (200, NAMED)


def test_what_one_method_has_sent_the_other_may_ask_for(client):
    client.post("/graphql/", {"query": SHOP, "extensions": extension()}, content_type="application/json")
    assert client.get("/graphql/", {"extensions": json.dumps(extension())}).json() == NAMED


def test_a_hash_takes_variables_and_the_name_of_the_operation(ask):
    two = "query A { shop { name } } query B($first: Int) { products(first: $first) { totalCount } }"
    given = {"operationName": "B", "variables": {"first": 1}, "extensions": extension(two)}
    ask(query=two, **given)
    assert ask(**given) == (200, {"data": {"products": {"totalCount": 0}}})


def test_a_mutation_by_its_hash_is_not_done_by_get(client):
    clear = "mutation { clearCart { userErrors { code } } }"
    client.post("/graphql/", {"query": clear, "extensions": extension(clear)}, content_type="application/json")
    assert client.get("/graphql/", {"extensions": json.dumps(extension(clear))}).status_code == 405


@pytest.mark.parametrize(
    "given",
    [
        {"query": SHOP, "extensions": extension("{ other }")},
        {"query": SHOP, "extensions": extension(sha256Hash=digest(SHOP).upper())},
        {"query": SHOP, "extensions": extension(version=2)},
        {"extensions": extension(version=2)},
        {"extensions": extension(sha256Hash=None)},
        {"extensions": extension(sha256Hash=[1])},
        {"extensions": {"persistedQuery": True}},
        {"extensions": {"persistedQuery": {}}},
        {"extensions": {"other": 1}},
    ],
)
def test_what_does_not_fit_is_400_and_kept_by_nobody(ask, given):
    assert code(ask(**given)) == (400, "BAD_REQUEST")
    assert code(ask(extensions=extension())) == (200, "PERSISTED_QUERY_NOT_FOUND")


@pytest.mark.parametrize("document", ["{ nothing }", "{", "{ shop { name } } #" + "x" * 8_000])
def test_what_is_not_answered_or_too_long_is_not_kept(client, document):
    client.post("/graphql/", {"query": document, "extensions": extension(document)}, content_type="application/json")
    assert client.get("/graphql/", {"extensions": json.dumps(extension(document))}).json()["errors"]


def test_no_more_is_kept_than_four_megabytes():
    for number in range(1_000):
        text = f"{{ shop {{ name }} }} #{number}".ljust(8_000, "x")
        persisted_queries.keep(text, extension(text))
    assert 3_000_000 < persisted_queries.memory.bytes <= 4_000_000


if configured.REDIS_URL:

    def test_what_one_process_was_sent_another_knows(ask):
        ask(query=SHOP, extensions=extension())
        persisted_queries.forget()
        assert ask(extensions=extension()) == (200, NAMED)


# ── shops that publish their operations ──────────────────────────────────────────────────────────────

LISTED = "query Listed { shop { currency } }"


@pytest.fixture(params=["manifest", "object"])
def published(request, settings, tmp_path):
    """A list of one operation, in the shape that Apollo's or that others' tools write."""
    manifest = {
        "format": "apollo-persisted-query-manifest",
        "version": 1,
        "operations": [{"id": "its-own-id", "name": "Listed", "type": "query", "body": LISTED}],
    }
    path = tmp_path / "operations.json"
    path.write_text(json.dumps(manifest if request.param == "manifest" else {"its-own-id": LISTED}))
    settings.PERSISTED_QUERIES_FILE = str(path)
    yield
    persisted_queries.read_list.cache_clear()


@pytest.mark.usefixtures("published")
def test_what_the_shop_has_published_is_answered_by_id_by_hash_and_by_text(ask):
    told = (200, {"data": {"shop": {"currency": "EUR"}}})
    assert ask(extensions=extension(sha256Hash="its-own-id")) == told
    assert ask(extensions=extension(LISTED)) == told
    assert ask(query=LISTED) == told


@pytest.mark.usefixtures("published")
def test_nothing_else_is_answered_and_nothing_is_learnt(ask):
    assert code(ask(query=SHOP)) == (400, "QUERY_NOT_IN_SAFELIST")
    assert code(ask(query=SHOP, extensions=extension())) == (400, "QUERY_NOT_IN_SAFELIST")
    assert code(ask(query=SHOP, extensions=extension(LISTED))) == (400, "QUERY_NOT_IN_SAFELIST")
    assert code(ask(extensions=extension())) == (400, "PERSISTED_QUERY_NOT_IN_LIST")
    assert code(ask(variables={})) == (400, "BAD_REQUEST")


def test_a_list_that_is_not_there_shows_when_it_is_read():
    with pytest.raises(FileNotFoundError):
        persisted_queries.read_list("/nowhere/operations.json")
