"""Global ids: the type's name and the row's key, both checked."""

from base64 import b64encode
from uuid import UUID, uuid4

import pytest

from domain.base.errors import NotFound
from schema.base import ids


def _forged(text: str) -> str:
    return b64encode(text.encode("utf-8", "surrogatepass")).decode()


@pytest.mark.parametrize("key", [1, 42, 10**17])
def test_a_number_comes_back(key):
    assert ids.number(ids.encode("Product", key), "Product") == key


def test_a_uuid_comes_back():
    key = uuid4()
    assert ids.uuid(ids.encode("Order", key), "Order") == key


def test_an_id_of_another_type_is_unknown():
    with pytest.raises(NotFound):
        ids.number(ids.encode("Category", 1), "Product")
    with pytest.raises(NotFound):
        ids.uuid(ids.encode("Cart", uuid4()), "Order")


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "1",
        "Product:1",
        "%%%",
        "é",
        "\x00",
        "\ud800",
        "UHJvZHVjdDox\n",
        _forged("Product"),
        _forged("Product:"),
        _forged("Product:-1"),
        _forged("Product:+1"),
        _forged("Product: 1"),
        _forged("Product:1_0"),
        _forged("Product:1.0"),
        _forged("Product:١"),  # a digit, but not one of ours
        _forged("Product:²"),
        _forged("Product:\x00"),
        _forged("Product:\ud800"),
        _forged("Product:" + "9" * 19),
        _forged("Product:" + "9" * 5_000),
        _forged("product:1"),
        _forged("Product:1:1"),
    ],
)
def test_junk_is_unknown(junk):
    with pytest.raises(NotFound):
        ids.number(junk, "Product")
    with pytest.raises(NotFound):
        ids.uuid(junk, "Product")


@pytest.mark.parametrize("key", ["1", "x" * 36, "not-a-uuid", str(UUID(int=0))[:-1]])
def test_a_key_that_is_no_uuid_is_unknown(key):
    with pytest.raises(NotFound):
        ids.uuid(_forged(f"Order:{key}"), "Order")


def test_the_refusal_names_the_field_that_held_the_id():
    with pytest.raises(NotFound) as refused:
        ids.number("junk", "Product", field=["lines", "0"])
    assert refused.value.field == ("lines", "0")


def test_nothing_of_the_row_shows():
    assert "Product" not in ids.encode("Product", 1)
