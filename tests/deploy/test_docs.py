"""The code in docs/accounts.md is code that runs: `make apollo` plays the JavaScript, the schema knows the GraphQL."""

import re
from pathlib import Path

import pytest
from graphql import parse, validate

from schema.root import graphql_schema

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/accounts.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("language", "file"), [("js", "client.mjs"), ("javascript", "native.mjs")])
def test_the_page_shows_the_client_that_is_checked(language, file):
    assert blocks(language) == [(ROOT / "examples/apollo" / file).read_text()]


def test_the_schema_knows_what_the_page_asks():
    documents = blocks("graphql")
    assert documents
    for document in documents:
        assert validate(graphql_schema, parse(document)) == []
