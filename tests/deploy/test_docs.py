"""The pages hold together: links lead somewhere, lines are short, and the code in docs/accounts.md is code that runs
(`make apollo` plays the JavaScript, the schema knows the GraphQL)."""

import re
from pathlib import Path

import pytest
from graphql import parse, validate

from schema.root import graphql_schema

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/accounts.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def anchors(page):
    """The names by which a page's headings are linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_to_pages_and_headings_that_exist(page):
    for path, anchor in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


@each_page
def test_lines_have_at_most_120_characters_unless_they_are_rows_of_a_table(page):
    lines = page.read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


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
