"""Pictures over GraphQL, by staff with a real HTTP client at the form: on disk and in S3."""

import re
from pathlib import Path

import pytest
import urllib3
from django.test.testcases import LiveServerThread
from graphql import parse, validate

from schema.base import ids
from schema.root import graphql_schema
from storefront import models
from tests.factories import ImageFactory, ProductFactory, UserFactory, VariantFactory
from tests.pictures import HTML, SVG, claiming, drawn, located

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).parents[3] / "docs" / "images.md"
DOCUMENT = """
mutation createImageUpload($input: CreateImageUploadInput!) {
  payload: createImageUpload(input: $input) { url fields { name value } key userErrors { code field message } }
}
mutation attachImage($input: AttachImageInput!) { payload: attachImage(input: $input) { ...Parts } }
mutation updateImage($input: UpdateImageInput!) { payload: updateImage(input: $input) { ...Parts } }
mutation deleteImage($input: DeleteInput!) {
  payload: deleteImage(input: $input) { deletedId userErrors { code field message } }
}
fragment Parts on ImagePayload {
  image { id alt width height url }
  product { slug images { alt } featuredImage { id } variants { image { id } } }
  userErrors { code field message }
}
"""
SIZES = """query ($slug: String) { product(slug: $slug) { featuredImage {
  url thumbnail: url(size: THUMBNAIL) card: url(size: CARD) detail: url(size: DETAIL)
} } }"""
FILE = {"filename": "tee.png", "contentType": "image/png", "bytes": 10_000}


@pytest.fixture
def do(api):
    """What a mutation of the shop's owner hands back; its errors by their code and field."""
    api.client.force_login(UserFactory(is_staff=True, is_superuser=True))

    def mutate(name, /, **given):
        payload = api(DOCUMENT, name, input=given)["payload"]
        return payload | {"userErrors": [(error["code"], error["field"]) for error in payload["userErrors"]]}

    return mutate


@pytest.fixture
def address():
    """Of the same shop, over a real socket."""
    server = LiveServerThread("127.0.0.1", lambda handler: handler)
    server.start()
    assert server.is_ready.wait(10)
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


@pytest.fixture
def uploaded(files, do, address):
    """`uploaded(content)`: the key of what a browser has posted by the form."""

    def put(content):
        payload = do("createImageUpload", **FILE)
        assert payload["userErrors"] == []
        fields = {field["name"]: field["value"] for field in payload["fields"]}
        url = payload["url"].replace("http://testserver", address)
        # A connection that was kept alive would keep the server's to the database.
        with urllib3.PoolManager() as http:
            file = ("../../x.png", content)
            answer = http.request("POST", url, fields={**fields, "file": file}, retries=False)
        assert answer.status == 204
        return payload["key"]

    return put


def id_of(row):
    return ids.encode(type(row).__name__, row.pk)


def test_a_picture_is_put_in_seen_moved_and_deleted(files, api, do, uploaded, delivered):
    product = ProductFactory(slug="tee")
    variant = VariantFactory(product=product)
    first = do("attachImage", productId=id_of(product), key=uploaded(drawn()), alt="front")["image"]
    payload = do(
        "attachImage",
        productId=id_of(product),
        key=uploaded(located(6)),
        alt="back",
        variantIds=[id_of(variant)],
        position=1,
    )
    image = payload["image"]
    assert (image["alt"], image["width"], image["height"]) == ("back", 30, 40)
    assert payload["product"] == {
        "slug": "tee",
        "images": [{"alt": "back"}, {"alt": "front"}],
        "featuredImage": {"id": image["id"]},
        "variants": [{"image": {"id": image["id"]}}],
    }
    urls = api(SIZES, slug="tee")["product"]["featuredImage"]
    assert len(set(urls.values())) == 1
    delivered()
    urls = api(SIZES, slug="tee")["product"]["featuredImage"]
    assert urls["url"] == urls["detail"] == image["url"]
    assert len(set(urls.values())) == 3
    assert all(url.startswith("http") for url in urls.values())
    moved = do("updateImage", id=first["id"], position=1, alt="the front")
    assert moved["product"]["images"] == [{"alt": "the front"}, {"alt": "back"}]
    assert do("deleteImage", id=first["id"]) == {"deletedId": first["id"], "userErrors": []}
    delivered()
    assert len(files.public) == 3


def test_the_same_upload_attached_again_is_the_same_picture(do, uploaded):
    given = {"productId": id_of(ProductFactory()), "key": uploaded(drawn())}
    assert do("attachImage", **given)["image"] == do("attachImage", **given)["image"]
    other = do("attachImage", **given | {"productId": id_of(ProductFactory())})
    assert (other["image"], other["product"], other["userErrors"]) == (None, None, [("INVALID", ["key"])])


@pytest.mark.parametrize(
    "content", [HTML, SVG, drawn()[:-30], claiming(60_000, 60_000)], ids=["HTML", "SVG", "cut", "bomb"]
)
def test_what_is_no_picture_is_refused(do, uploaded, content):
    payload = do("attachImage", productId=id_of(ProductFactory()), key=uploaded(content))
    assert (payload["image"], payload["userErrors"]) == (None, [("INVALID", ["key"])])


def test_what_is_declared_to_be_too_much_is_refused_at_once(do):
    for given, field in (({"bytes": 100_000_000}, "bytes"), ({"contentType": "image/svg+xml"}, "contentType")):
        payload = do("createImageUpload", **FILE | given)
        assert payload == {"url": None, "fields": None, "key": None, "userErrors": [("INVALID", [field])]}


def test_what_is_not_there_is_told_with_its_field(do, uploaded):
    product, variant = id_of(ProductFactory()), id_of(VariantFactory())
    assert do("attachImage", productId=product, key="../../x")["userErrors"] == [("NOT_FOUND", ["key"])]
    assert do("attachImage", productId=variant, key="x")["userErrors"] == [("NOT_FOUND", ["productId"])]
    key = uploaded(drawn())
    given = {"productId": product, "key": key, "variantIds": [variant]}
    assert do("attachImage", **given)["userErrors"] == [("NOT_FOUND", ["variantIds"])]
    assert do("attachImage", **given | {"variantIds": ["x"]})["userErrors"] == [("NOT_FOUND", ["variantIds", "0"])]
    assert do("attachImage", **given | {"variantIds": None, "position": 0})["userErrors"] == [("INVALID", ["position"])]
    assert do("updateImage", id=product)["userErrors"] == [("NOT_FOUND", ["id"])]
    assert do("deleteImage", id=ids.encode("Image", 10**9)) == {
        "deletedId": None,
        "userErrors": [("NOT_FOUND", ["id"])],
    }


def test_while_s3_is_down_that_is_told_and_the_same_works_when_it_is_back(do, s3, address):
    payload = do("createImageUpload", **FILE)
    given = {"productId": id_of(ProductFactory()), "key": payload["key"]}
    fields = {field["name"]: field["value"] for field in payload["fields"]}
    with s3.away():
        assert do("attachImage", **given)["userErrors"] == [("STORAGE_UNAVAILABLE", None)]
        assert do("createImageUpload", **FILE)["userErrors"] == []
    assert not models.Image.objects.exists()
    urllib3.request("POST", payload["url"], fields={**fields, "file": ("x", drawn())})
    assert do("attachImage", **given)["userErrors"] == []


def test_what_an_earlier_version_imported_has_one_address_for_every_size(api):
    product = ProductFactory(slug="tee", published_at="2020-01-01T00:00Z")
    VariantFactory(product=product)
    ImageFactory(product=product, file="products/tee-1.png")
    assert set(api(SIZES, slug="tee")["product"]["featuredImage"].values()) == {
        "http://testserver/media/products/tee-1.png"
    }


def test_attaching_costs_the_same_for_many_pictures_as_for_one(do, statements):
    product = ProductFactory()
    costs = set()
    for pictures in (1, 30):
        ImageFactory.create_batch(pictures, product=product)
        given = {"id": id_of(product.images.last()), "position": 1}
        with statements() as counted:
            assert do("updateImage", **given)["userErrors"] == []
        costs.add(len(counted))
    assert len(costs) == 1


def test_graphql_itself_takes_no_files(api):
    body = {"operations": "{}", "map": "{}", "0": "x"}
    assert api.client.post("/graphql/", body).status_code == 415


def test_the_page_asks_for_what_there_is():
    (block,) = re.findall(r"^```graphql\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    documents = block.split("\n\n")
    assert len(documents) == 2
    for document in documents:
        assert validate(graphql_schema, parse(document)) == []
