"""Files over GraphQL: multipart/form-data for staff alone, and how an import goes."""

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http.multipartparser import MultiPartParser

from domain.importing import imports
from domain.importing.shopify_csv import FORMAT
from schema.base import ids
from storefront import models
from tests.factories import UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

COLUMNS = ",".join(["Handle", "Title", "Variant SKU", "Variant Price", "Image Src", *FORMAT.expected]).encode()
PRODUCTS = COLUMNS + b"\nmug,Mug,MUG,14.50,a.png\ncup,Cup,CUP,NaN,\n"
IMPORT = """mutation ($input: ImportFileInput!) {
  importProducts(input: $input) { import { id state total done fileName } userErrors { code message field } }
}"""
COUNT = """mutation ($input: ImportFileInput!) {
  importStock(input: $input) { import { id state } userErrors { code message field } }
}"""
RUN = """mutation ($input: RunImportInput!) {
  runProductImport(input: $input) { import { id state done } userErrors { code message field } }
}"""
FOLLOW = """query ($id: ID!, $first: Int, $after: String) {
  productImport(id: $id) {
    id state done total created updated unchanged failed picturesLeft createdAt finishedAt fileName
    rows(first: $first, after: $after) {
      totalCount nodes { line handle message failed } pageInfo { hasNextPage endCursor }
    }
  }
}"""
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "importing.md"
WITH_PREFLIGHT = {"apollo-require-preflight": "true"}


@pytest.fixture
def owner(api):
    user = UserFactory(is_staff=True, is_superuser=True)
    api.client.force_login(user)
    return user


@pytest.fixture
def send(api, owner):
    """`send(**changed)`: the answer to an import, of which one thing is not as it should be."""

    def post(given=None, where=None, *, headers=WITH_PREFLIGHT, **parts):
        given = {"query": IMPORT, "variables": {"input": {"file": None}}} if given is None else given
        where = {"0": ["variables.input.file"]} if where is None else where
        texts = {"operations": given, "map": where}
        parts = {
            **{name: text if isinstance(text, str) else json.dumps(text) for name, text in texts.items()},
            "0": SimpleUploadedFile("a.csv", PRODUCTS),
            **parts,
        }
        sent = {name: part for name, part in parts.items() if part is not None}
        return api.client.post("/graphql/", sent, headers=headers)

    return post


def code(response):
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


# ── an import from its file to its report ────────────────────────────────────────────────────────────


def test_products_are_looked_at_then_taken_and_followed_meanwhile(api, owner, delivered):
    begun = api.upload(PRODUCTS, IMPORT, input={"file": None}).json()["data"]["importProducts"]
    assert begun["userErrors"] == []
    id_ = begun["import"]["id"]
    assert begun["import"] == {"id": id_, "state": "CHECKING", "total": 3, "done": 1, "fileName": "export.csv"}
    delivered()
    checked = api(FOLLOW, id=id_)["productImport"]
    assert checked["rows"]["nodes"] == [
        {"line": 3, "handle": "cup", "message": "Variant Price: 'NaN' is not a price.", "failed": True}
    ]
    assert (checked["state"], checked["created"], checked["failed"], checked["picturesLeft"]) == ("CHECKED", 2, 1, 1)
    assert not models.Product.objects.exists()

    running = api(RUN, input={"id": id_})["runProductImport"]
    assert running == {"import": {"id": id_, "state": "RUNNING", "done": 1}, "userErrors": []}
    delivered()
    done = api(FOLLOW, id=id_)["productImport"]
    assert (done["state"], done["done"], done["total"], done["created"]) == ("DONE", 3, 3, 2)
    assert done["finishedAt"]
    assert models.Product.objects.count() == 2
    assert models.Import.objects.get().actor == owner


def test_without_a_dry_run_a_file_is_taken_at_once(api, owner, delivered):
    begun = api.upload(PRODUCTS, IMPORT, input={"file": None, "dryRun": False}).json()["data"]["importProducts"]
    assert begun["import"]["state"] == "RUNNING"
    delivered()
    assert models.Product.objects.count() == 2


def test_the_operations_of_the_documentation_run(api, owner, delivered):
    (block,) = re.findall(r"```graphql\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    send, follow, run = block.strip().split("\n\n")
    begun = api.upload(PRODUCTS, send, input={"file": None}).json()["data"]["importProducts"]
    assert begun["userErrors"] == []
    delivered()
    for operation, state in ((follow, "CHECKED"), (run, "RUNNING")):
        (answered,) = api(operation.replace("…", begun["import"]["id"])).values()
        assert answered.get("import", answered)["state"] == state


def test_stock_is_counted_by_a_file(api, owner, delivered):
    VariantFactory(sku="MUG")
    file = b"SKU,Counted\nMUG,7\n"
    begun = api.upload(file, COUNT, input={"file": None}).json()["data"]["importStock"]["import"]
    delivered()
    follow = "query ($id: ID!) { stockImport(id: $id) { state updated } }"
    assert api(follow, id=begun["id"])["stockImport"] == {"state": "CHECKED", "updated": 1}
    run = "mutation ($id: ID!) { runStockImport(input: {id: $id}) { import { state } userErrors { code } } }"
    assert api(run, id=begun["id"])["runStockImport"]["import"] == {"state": "RUNNING"}
    delivered()
    assert models.Stock.objects.get().on_hand == 7


def test_a_report_is_paged_at_the_same_cost(api, owner, delivered, statements):
    def cost(lines):
        file = COLUMNS + b"\n" + b"".join(b"p%d,P,,abc\n" % line for line in range(lines))
        begun = api.upload(file, IMPORT, input={"file": None}).json()["data"]["importProducts"]["import"]
        delivered()
        with statements() as counted:
            page = api(FOLLOW, id=begun["id"], first=100)["productImport"]["rows"]
        assert (page["totalCount"], len(page["nodes"])) == (lines, min(lines, 100))
        more = api(FOLLOW, id=begun["id"], first=100, after=page["pageInfo"]["endCursor"])["productImport"]["rows"]
        assert len(more["nodes"]) == max(lines - 100, 0)
        return len(counted)

    assert cost(3) == cost(130)


def test_an_import_of_the_other_kind_or_of_none_is_not_there(api, owner):
    begun = api.upload(b"SKU,Counted\n", COUNT, input={"file": None}).json()["data"]["importStock"]["import"]
    for id_ in (begun["id"], "junk", ids.encode("Import", 10**9), ids.encode("Order", 1)):
        assert api(FOLLOW, id=id_)["productImport"] is None
        (error,) = api(RUN, input={"id": id_})["runProductImport"]["userErrors"]
        assert (error["code"], error["field"]) == ("NOT_FOUND", ["id"])


def test_running_too_early_is_refused(api, owner):
    begun = api.upload(PRODUCTS, IMPORT, input={"file": None}).json()["data"]["importProducts"]["import"]
    payload = api(RUN, input={"id": begun["id"]})["runProductImport"]
    assert payload["import"] is None
    assert payload["userErrors"][0]["code"] == "INVALID"


@pytest.mark.parametrize("content", [b"", b"\n", b"Title\nMug\n", b"\x89PNG\r\n", b"<html>", b"\xff\xfeH\0"])
def test_a_file_that_is_no_export_is_told(api, owner, content):
    payload = api.upload(content, IMPORT, input={"file": None}).json()["data"]["importProducts"]
    (error,) = payload["userErrors"]
    assert (payload["import"], error["code"], error["field"]) == (None, "INVALID", ["file"])
    assert "this is not a Shopify product export" in error["message"]


# ── who may send a file at all ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def unread(monkeypatch):
    """No body may be read."""
    monkeypatch.setattr(MultiPartParser, "parse", lambda _: pytest.fail("The body was read."))


def test_without_the_preflight_header_it_is_415_as_ever(send, unread):
    assert code(send(headers={})) == (415, "BAD_REQUEST")


def test_nobody_else_is_read(api, send, unread):
    api.client.logout()
    assert code(send()) == (415, "UNAUTHENTICATED")
    assert code(send(headers=WITH_PREFLIGHT | {"Authorization": "Bearer junk"})) == (415, "UNAUTHENTICATED")
    api.client.force_login(UserFactory())
    assert code(send()) == (415, "FORBIDDEN")
    api.client.force_login(UserFactory(is_staff=True))
    assert code(send()) == (415, "FORBIDDEN")


def test_a_file_beyond_the_limit_is_not_read(api, owner, settings, unread):
    settings.IMPORT_MAX_BYTES = 200_000
    assert code(api.upload(b"x" * 200_000, IMPORT, input={"file": None})) == (413, "BAD_REQUEST")


def test_200_mb_are_refused_by_their_length_alone(api, owner, unread):
    response = api.client.generic(
        "POST", "/graphql/", b"--x", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH="200000000",
        headers=WITH_PREFLIGHT,
    )  # fmt: skip
    assert code(response) == (413, "BAD_REQUEST")


def test_a_file_goes_to_the_disk_as_it_comes_and_is_gone_afterwards(api, owner, monkeypatch):
    begin, seen = imports.begin, []

    def seeing(*, file, **given):
        seen.append((Path(file.temporary_file_path()), Path(file.temporary_file_path()).read_bytes()))
        return begin(file=file, **given)

    monkeypatch.setattr(imports, "begin", seeing)
    api.upload(PRODUCTS, IMPORT, input={"file": None})
    ((path, content),) = seen
    assert content == PRODUCTS
    assert not path.exists()


def test_clerks_who_may_count_do_not_import_products(api):
    user = UserFactory(is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_stock"))
    api.client.force_login(user)
    assert code(api.upload(PRODUCTS, IMPORT, input={"file": None})) == (200, "FORBIDDEN")
    assert api.upload(b"SKU,Counted\n", COUNT, input={"file": None}).json()["data"]["importStock"]["import"]


# ── what makes no sense ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "where",
    [
        "",
        "junk",
        "null",
        "[]",
        "1",
        '"0"',
        "{}",
        '{"0": null}',
        '{"0": "variables.input.file"}',
        '{"0": []}',
        '{"0": ["variables.input.file", "variables.input.file"]}',
        '{"0": ["variables.input.file"], "1": ["variables.input.file"]}',
        '{"1": ["variables.input.file"]}',
        '{"0": [1]}',
        '{"0": [["variables.input.file"]]}',
        '{"0": [""]}',
        '{"0": ["variables"]}',
        '{"0": ["variables."]}',
        '{"0": ["variables.file"]}',
        '{"0": ["variables.input"]}',
        '{"0": ["variables.input.file.name"]}',
        '{"0": ["variables.input.dryRun"]}',
        '{"0": ["variables.input.__class__"]}',
        '{"0": ["0.variables.input.file"]}',
        '{"0": ["query"]}',
        '{"0": ["extensions.file"]}',
        '{"0": ["variables..file"]}',
        "[" * 5_000,
    ],
)
def test_a_map_that_names_no_place_for_the_file_is_400(send, where):
    given = {"query": IMPORT, "variables": {"input": {"file": None, "dryRun": True}}, "extensions": {"file": None}}
    assert code(send(given, where)) == (400, "BAD_REQUEST")
    assert not models.Import.objects.exists()


@pytest.mark.parametrize(
    "operations", ["", "junk", "null", "[]", "1", "{}", '{"variables": {"input": {"file": null}}}']
)
def test_operations_that_make_no_sense_are_400(send, operations):
    assert code(send(operations)) == (400, "BAD_REQUEST")


def test_several_operations_at_once_are_400(send):
    batch = json.dumps([{"query": IMPORT, "variables": {"input": {"file": None}}}])
    assert code(send(batch, {"0": ["0.variables.input.file"]})) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "parts",
    [
        {"0": None},
        {"1": SimpleUploadedFile("b.csv", b"b")},
        {"0": [SimpleUploadedFile("a.csv", b"a"), SimpleUploadedFile("b.csv", b"b")]},
        {"0": "a text"},
        {"more": "x"},
        {"operations": None},
        {"map": None},
    ],
    ids=["no file", "two files", "two files of a name", "a text", "another part", "no operations", "no map"],
)
def test_other_parts_than_an_operation_a_map_and_a_file_are_400(send, parts):
    assert code(send(**parts)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--x", "multipart/form-data"),
        (b"\r\n", "multipart/form-data; boundary=x"),
        (b"junk", "multipart/form-data; boundary=x"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
        (b"--x", "multipart/form-data; boundary=\xe4"),
        (b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{}', "multipart/form-data; boundary=x"),
    ],
    ids=["no boundary", "nothing", "junk", "cut", "no ASCII", "no end"],
)
def test_a_body_that_is_cut_or_junk_is_400(api, owner, body, content_type):
    response = api.client.generic("POST", "/graphql/", body, content_type=content_type, headers=WITH_PREFLIGHT)
    assert code(response) == (400, "BAD_REQUEST")


def test_texts_beside_the_file_are_bounded(send):
    long = {"query": IMPORT + "#" * 100_000, "variables": {"input": {"file": None}}}
    assert code(send(long)) == (413, "BAD_REQUEST")


def test_many_fields_are_400(send):
    assert code(send(**{f"field{number}": "x" for number in range(2_000)})) == (400, "BAD_REQUEST")


def test_a_nul_beside_a_file_is_400(send):
    given = {"query": IMPORT, "variables": {"input": {"file": None}, "x": "\0"}}
    assert code(send(given)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("value", ["a.csv", 1, {}, [], True, None], ids=str)
def test_a_file_that_is_none_is_bad_input(api, owner, value):
    response = api.post(IMPORT, input={"file": value})
    assert code(response) == (400, "BAD_USER_INPUT")


def test_a_file_is_no_literal(api, owner):
    response = api.post('mutation { importProducts(input: {file: "a.csv"}) { userErrors { code } } }')
    assert response.status_code == 400
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}


def test_a_file_is_no_text(send):
    query = "query ($slug: String) { product(slug: $slug) { id } }"
    response = send({"query": query, "variables": {"slug": None}}, {"0": ["variables.slug"]})
    assert code(response) == (400, "BAD_USER_INPUT")
