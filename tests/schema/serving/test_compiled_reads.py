"""What is compiled answers, to the letter, as the executor does."""

import json
from itertools import count

import pytest
from graphql import get_named_type, is_leaf_type
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from domain.catalog import products
from schema.base import ids
from schema.root import graphql_schema
from schema.serving import compiled_reads
from schema.serving.examples import OPERATIONS
from storefront import models
from tests.factories import (
    LONG_AGO,
    CategoryFactory,
    CurrencyFactory,
    ImageFactory,
    ProductFactory,
    VariantFactory,
    VariantPriceFactory,
)

pytestmark = pytest.mark.django_db

BENCHMARKS = OPERATIONS.parent.parent / "benchmarks" / "operations"


@pytest.fixture
def goods():
    """A shop in which everything that is shown differs from row to row, and much is missing from some."""
    CurrencyFactory(code="USD", rate="1.1")
    CurrencyFactory(code="JPY", rate="160")
    root = CategoryFactory(name="Clothes", slug="clothes", description="To wear", position=1)
    leaf = CategoryFactory(name="Shirts", slug="shirts", parent=CategoryFactory(name="Tops", slug="tops", parent=root))
    CategoryFactory(name="Things", slug="things", position=2)
    for number in range(5):
        product = ProductFactory(
            slug=f"shirt-{number}",
            title=f"Linen shirt {number}",
            vendor=f"Vendor {number % 2}",
            product_type="shirt" * (number % 2),
            description_html="<p>Soft.</p>",
            option1_name="Size" * (number > 0),
            option2_name="Colour" * (number > 1),
        )
        product.tags.set([models.Tag.objects.get_or_create(name=name)[0] for name in ("new", "summer")[: number % 3]])
        product.categories.set([root, leaf][: number % 3])
        pictures = ImageFactory.create_batch(number % 3, product=product, alt=f"Picture {number}")
        for picture in pictures[:1]:  # Rendered in every size.
            upload = models.ImageUpload.objects.create(key=f"key-{number}", created_at=LONG_AGO)
            models.Image.objects.filter(pk=picture.pk).update(upload=upload, rendered_at=LONG_AGO)
        for each in range(number):
            variant = VariantFactory(
                product=product,
                sku=f"SHIRT-{number}-{each}",
                option1=f"{each}",
                option2="Sand" * (number > 1),
                price=10 * number + each,
                compare_at_price=100 + each if each % 2 else None,
                image=pictures[0] if pictures and each % 2 else None,
                weight_grams=each or None,
                position=9 - each,
                stock__on_hand=each,
                is_withdrawn=each == 2,
            )
            if each % 2:
                VariantPriceFactory(variant=variant, currency_id="USD", price=99 + each, compare_at_price=200 + number)
        products.refresh_derived(product=product)


@pytest.fixture
def both(api, monkeypatch, settings):
    """`both(document)`: the answer, after asserting that compiling and executing give the same one. Says in
    `both.compiled` whether the compiler answered."""
    answer = compiled_reads.answer

    def ask(document, operation=None, **variables):
        answers = []
        monkeypatch.setattr(compiled_reads, "answer", lambda *given: answers.append(answer(*given)) or answers[-1])
        settings.COMPILED_READS = True
        found = api.post(document, operation, **variables)
        settings.COMPILED_READS = False
        asked = len(answers)
        executed = api.post(document, operation, **variables)
        assert len(answers) == asked, "with the setting off, nothing is compiled"
        assert (found.status_code, found.content) == (executed.status_code, executed.content)
        ask.compiled = bool(answers) and answers[0] is not None
        return found.json()

    return ask


# ── every documented operation ───────────────────────────────────────────────────────────────────────

DOCUMENTED = [
    ("01-browse", "Browse", {}),
    ("02-search", "Search", {"words": "shirt"}),
    ("02-search", "Search", {"words": "shrit"}),
    ("03-product", "ProductPage", {"slug": "shirt-4"}),
    ("03-product", "ProductPage", {"slug": "none"}),
    ("03-product", "ProductInDollars", {"slug": "shirt-4"}),
]
MEASURED = [
    ("w1-list", "List", {}),
    ("w1-list", "List", {"filter": {"price": {"gte": "10", "lte": "30"}, "categorySlug": "tops"}}),
    ("w2-product", "Page", {"slug": "shirt-4"}),
    ("w5-search", "Search", {"words": "shirt"}),
]


@pytest.mark.parametrize(("file", "operation", "variables"), [*DOCUMENTED, *MEASURED])
def test_documented_operations_of_the_catalogue_are_compiled(both, goods, file, operation, variables):
    folder = BENCHMARKS if file.startswith("w") else OPERATIONS
    assert "errors" not in both((folder / f"{file}.graphql").read_text(), operation, **variables)
    assert both.compiled


def test_every_documented_operation_of_the_catalogue_is_among_them():
    public = {"01-browse", "02-search", "03-product"}
    assert {path.stem for path in OPERATIONS.glob("*.graphql")} - public == {
        "04-buy",
        "05-errors",
        "06-account",
        "07-staff",
    }
    assert {file for file, _, _ in DOCUMENTED} == public


# ── what the executor is asked for ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "document",
    [
        "{ product { title } }",
        '{ products(after: "nothing") { nodes { id } } shop { name } }',
        "{ products(first: 101) { nodes { id } } }",
    ],
)
def test_a_front_ends_mistake_is_told_by_the_executor(both, goods, document):
    assert "errors" in both(document)
    assert not both.compiled


def test_an_operation_that_asks_for_more_than_the_catalogue_is_executed(both, goods):
    both('{ product(slug: "shirt-4") { title } cart { code } }')
    assert not both.compiled


def test_a_resolver_that_reads_what_its_hint_does_not_name_is_answered_all_the_same(both, goods, monkeypatch, caplog):
    definition = graphql_schema.type_map["Product"].fields["options"].extensions["strawberry-definition"]
    monkeypatch.setattr(definition.store, "only", ["pk"])
    assert both('{ product(slug: "shirt-4") { slug options { name } } }')["data"]["product"]["options"]
    assert not both.compiled
    assert "the executor runs it" in caplog.text


def test_relations_of_no_rows_are_read_by_no_statement(goods, statements, api, settings):
    settings.COMPILED_READS = True
    with statements() as counted:
        assert api('{ product(slug: "none") { variants { image { url } } categories { name } } }')["product"] is None
    assert len(counted) == 1


# ── selections that nobody thought of ────────────────────────────────────────────────────────────────

ARGUMENTS = {
    "product": ['slug: "shirt-4"', 'slug: "shirt-3"', "slug: $slug", 'slug: "none"', "id: $id"],
    "products": [
        "first: 3", "first: $first", "last: 2", 'search: "shirt"', 'search: "shrit", last: 2', "sort: PRICE_DESC",
        "sort: TITLE, first: 2", 'filter: { vendor: ["Vendor 1"], available: true }', "filter: $filter, first: 0",
        'filter: { options: [{ name: "Size", values: ["1"] }] }', "filter: { ids: [] }",
    ],
    "category": ['slug: "tops"', 'slug: "none"', 'slug: "clothes"'],
    "url": ["size: CARD", "size: THUMBNAIL", "size: $size"],
    "variant": ['sku: "SHIRT-4-1"', "sku: $sku", 'sku: "none"'],
    "addressRules": ['countryCode: "DE"', 'countryCode: "US", region: "CA"', 'countryCode: "XX"'],
}  # fmt: skip
VARIABLES = {
    "slug": ("String", "shirt-2"),
    "id": ("ID", None),
    "first": ("Int", 2),
    "sku": ("String!", "SHIRT-3-1"),
    "filter": ("ProductFilter", {"price": {"gte": "5"}, "tags": ["new"]}),
    "size": ("ImageSize!", "THUMBNAIL"),
    "yes": ("Boolean!", True),
    "no": ("Boolean!", False),
}
DIRECTIVES = ["", "", "", "", " @include(if: $yes)", " @skip(if: $no)", " @include(if: $no)", " @skip(if: true)"]


@st.composite
def documents(draw):
    """An operation over the public fields: aliases, arguments, fragments of all kinds, directives, `__typename`."""
    numbers, fragments = count(), []

    def selection(type_, depth, names=None):
        fields = {name: field for name, field in type_.fields.items() if names is None or name in names}
        if depth == 0:
            fields = {name: field for name, field in fields.items() if is_leaf_type(get_named_type(field.type))}
        parts = [part(type_, fields, depth) for _ in range(draw(st.integers(2, 6)))]
        return "{ " + " ".join(parts) + " }"

    def part(type_, fields, depth):
        kind = draw(st.sampled_from(["field"] * 6 + ["__typename", "inline", "named", "node"]))
        directive = draw(st.sampled_from(DIRECTIVES))
        if kind == "node" and any(each.name == "Node" for each in type_.interfaces):
            return "... on Node" + directive + " { id }"
        if kind == "inline":
            on = draw(st.sampled_from(["", f" on {type_.name}"]))
            return f"...{on}{directive} {{ {field(fields, depth)} }}"
        if kind == "named":
            name = f"F{next(numbers)}"
            fragments.append(f"fragment {name} on {type_.name} {{ {field(fields, depth)} }}")
            return f"...{name}{directive}"
        return field(fields, depth, directive) if kind == "field" else f"__typename{directive}"

    def field(fields, depth, directive=""):
        if not fields:
            return "__typename"
        name = draw(st.sampled_from(sorted(fields)))
        given = draw(st.sampled_from(ARGUMENTS[name])) if fields[name].args else ""
        alias = f"a{next(numbers)}: " if given or draw(st.booleans()) else ""
        arguments = f"({given})" if given else ""
        of_type = get_named_type(fields[name].type)
        below = "" if is_leaf_type(of_type) else " " + selection(of_type, depth - 1)
        return f"{alias}{name}{arguments}{directive}{below}"

    context = draw(st.sampled_from(["", "", '@inContext(currency: "USD") ', '@inContext(currency: "JPY") ']))
    body = selection(graphql_schema.query_type, 4, compiled_reads.PUBLIC_FIELDS - {"__typename"})
    document = " ".join([context + body, *fragments])
    used = [name for name in VARIABLES if f"${name}" in document]
    declared = ", ".join(f"${name}: {VARIABLES[name][0]}" for name in used)
    return f"query {f'({declared}) ' if used else ''}{document}", used


@given(documents())
@examples(max_examples=50, suppress_health_check=list(HealthCheck))
def test_any_selection_of_the_catalogue_is_answered_as_by_the_executor(both, goods, asked):
    document, used = asked
    variables = {name: VARIABLES[name][1] for name in used}
    if "id" in used:
        variables["id"] = ids.encode("Product", models.Product.objects.get(slug="shirt-3").pk)
    answer = both(document, **variables)
    # What costs too much or says too much is refused before either is asked.
    assert both.compiled or "errors" in answer, json.dumps(answer)
