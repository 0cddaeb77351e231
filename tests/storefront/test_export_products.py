"""`export_products`: what goes out and comes in again changes nothing, in this shop and in another."""

import csv
import io
import tracemalloc
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from PIL import Image as Picture

from domain.catalog.products import SaveResult
from domain.importing import shopify_export
from domain.importing.sheets import Note
from domain.importing.shopify_csv import import_products
from domain.importing.shopify_export import COLUMNS, export_products
from storefront import models
from tests.factories import NOW, CategoryFactory, ImageFactory, ProductFactory, VariantFactory

pytestmark = pytest.mark.django_db

TABLES = [models.Product, models.ProductVariant, models.Stock, models.Image, models.Category, models.Tag]


def exported():
    return "".join(export_products())


def rows(text):
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def taken(text, images=None):
    """How many products were created, updated and unchanged by it; there must be nothing to tell."""
    lines = io.StringIO(text, newline="")
    outcomes = list(import_products(lines=lines, images=images, dry_run=False, actor=None, now=NOW))
    assert [outcome for outcome in outcomes if isinstance(outcome, Note)] == []
    counts = Counter(outcomes)
    return counts[SaveResult.CREATED], counts[SaveResult.UPDATED], counts[SaveResult.UNCHANGED]


def everything():
    return [list(table.objects.order_by("pk").values()) for table in TABLES]


def emptied():
    """Another shop: nothing of this one is there."""
    for table in (models.StockMovement, models.Product, models.Tag):
        table.objects.all().delete()
    while models.Category.objects.filter(children=None).delete()[0]:
        pass


def comes_back_unchanged(images=None):
    """Out and in here changes no row; out, into another shop and out there gives the same bytes."""
    before, text, number = everything(), exported(), models.Product.objects.count()
    assert taken(text, images) == (0, 0, number)
    assert everything() == before
    emptied()
    assert taken(text, images) == (number, 0, 0)
    assert exported() == text


@pytest.fixture
def shirt():
    """Two variants, an option, all that a variant can have."""
    product = ProductFactory(slug="shirt", title="Linen shirt", option1_name="Size", product_type="Shirts")
    product.categories.add(CategoryFactory(name="Shirts", parent=CategoryFactory(name="Clothing")))
    product.tags.set([models.Tag.objects.create(name=name) for name in ("new", "linen")])
    for size, price in (("S", "19.90"), ("M", "21")):
        VariantFactory(
            product=product,
            sku=f"SHIRT-{size}",
            option1=size,
            price=Decimal(price),
            compare_at_price=Decimal(25),
            weight_grams=180,
            barcode="4006381333931",
            position=len(size),
        )
    return product


def test_a_product_is_as_many_rows_as_it_has_variants(shirt):
    first, second = rows(exported())
    assert {name: cell for name, cell in first.items() if cell} == {
        "Handle": "shirt",
        "Title": "Linen shirt",
        "Vendor": "Harrow",
        "Type": "Clothing > Shirts",
        "Tags": "linen, new",
        "Published": "true",
        "Option1 Name": "Size",
        "Option1 Value": "S",
        "Variant SKU": "SHIRT-S",
        "Variant Grams": "180",
        "Variant Inventory Tracker": "shopify",
        "Variant Inventory Qty": "10",
        "Variant Inventory Policy": "deny",
        "Variant Price": "19.90",
        "Variant Compare At Price": "25.00",
        "Variant Barcode": "'4006381333931",
    }
    assert (second["Handle"], second["Title"], second["Option1 Value"]) == ("shirt", "", "M")
    comes_back_unchanged()


def test_a_shop_without_products_is_a_first_line():
    assert exported() == "\ufeff" + ",".join(COLUMNS) + "\r\n"


def test_drafts_goods_without_options_and_each_way_of_selling():
    VariantFactory(product__published_at=None, stock__policy="BACKORDER", stock__on_hand=0)
    VariantFactory(stock__policy="UNTRACKED", stock__on_hand=0, barcode="")
    ProductFactory(title="Nothing to sell yet")
    draft, voucher, empty = rows(exported())
    assert (draft["Published"], draft["Variant Inventory Policy"]) == ("false", "continue")
    assert (draft["Option1 Name"], draft["Option1 Value"]) == ("Title", "Default Title")
    assert (voucher["Variant Inventory Tracker"], voucher["Variant Inventory Policy"]) == ("", "deny")
    assert (empty["Title"], empty["Variant Price"]) == ("Nothing to sell yet", "")
    comes_back_unchanged()


def test_three_options_go_out_and_in():
    product = ProductFactory(option1_name="Size", option2_name="Colour", option3_name="Fit")
    VariantFactory(product=product, option1="S", option2="Sand", option3="Slim", position=1)
    VariantFactory(product=product, option1="S", option2="Sand", option3="Default Title", position=2)
    comes_back_unchanged()


@pytest.mark.parametrize(
    ("type_", "paths", "told"),
    [
        ("", [], ("", "")),
        ("Mugs", [], ("Mugs", "[]")),
        ("Mugs", [["Mugs"]], ("Mugs", "")),
        ("Cups", [["Mugs"]], ("Cups", '[["Mugs"]]')),
        ("", [["Home", "Mugs"]], ("", '[["Home", "Mugs"]]')),
        ("Mugs", [["Home", "Mugs"], ["New"]], ("Mugs", '[["Home", "Mugs"], ["New"]]')),
        ("a > b", [["a > b"]], ("a > b", '[["a > b"]]')),
        ("=1", [["=1"]], ("'=1", "")),
        ("'=1", [["'=1"]], ("''=1", '[["\'=1"]]')),
    ],
)
def test_a_product_hangs_where_it_hung_and_keeps_its_type(type_, paths, told):
    product = VariantFactory(product__product_type=type_).product
    for path in paths:
        parent = None
        for name in path:
            parent = models.Category.objects.filter(name=name).first() or CategoryFactory(name=name, parent=parent)
        product.categories.add(parent)
    (row,) = rows(exported())
    assert (row["Type"], row["Categories"]) == told
    comes_back_unchanged()


@pytest.mark.parametrize("tags", [["a, b", "c"], ['5" nails', '"quoted"', '",'], ["=1", "-"], ["'=1"]], ids=str)
def test_a_tag_may_hold_what_parts_tags(tags):
    product = VariantFactory().product
    product.tags.set([models.Tag.objects.create(name=name) for name in tags])
    comes_back_unchanged()
    assert {tag.name for tag in models.Product.objects.get().tags.all()} == set(tags)


def test_categories_may_come_and_go_while_it_is_written(monkeypatch):
    old, new = CategoryFactory(name="Old"), CategoryFactory(name="New")
    VariantFactory(product__product_type="New").product.categories.add(old, new)
    read = shopify_export.CategoryTree

    def later():
        old.products.clear()
        old.delete()
        return read()

    monkeypatch.setattr(shopify_export, "CategoryTree", later)
    assert rows(exported())[0]["Type"] == "New"


# ── formulas ─────────────────────────────────────────────────────────────────────────────────────────

FORMULAS = [
    '=HYPERLINK("http://evil.example","x")',
    "+1",
    "-1+2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "'=1",
    "''-1",
    "=",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_goes_out_as_a_text_and_comes_in_as_it_was(formula):
    product = ProductFactory(
        title=formula, vendor=formula, description_html=formula, option1_name=formula, product_type=formula
    )
    product.tags.add(models.Tag.objects.create(name=formula.strip()))
    product.categories.add(CategoryFactory(name=formula))
    image = ImageFactory(product=product, alt=formula)
    VariantFactory(product=product, sku=formula, barcode=formula, option1=formula, image=image)
    cells = [cell for row in rows(exported()) for cell in row.values()]
    assert cells.count(f"'{formula}") >= 8
    assert [cell for cell in cells if cell[:1] and cell[0] in "=+-@\t\r\n"] == []
    before = everything()
    if formula == formula.strip():
        assert taken(exported()) == (0, 0, 1)
        assert everything() == before
    else:  # Put there by no way of ours: whatever staff or a file state is taken without spaces around it.
        assert taken(exported()) == (0, 1, 0)
        assert models.Product.objects.get().title == "=1"


@pytest.mark.parametrize("sku", ["'0077", "''0077", "0077", "3E5", "10-2", "4006381333931", "'", "a'b", "é=1"])
def test_a_sku_or_barcode_is_no_number_and_keeps_its_apostrophes(sku):
    VariantFactory(sku=sku, barcode=sku)
    comes_back_unchanged()
    variant = models.ProductVariant.objects.get()
    assert (variant.sku, variant.barcode) == (sku, sku)


@pytest.mark.parametrize("title", ["'Tis the season", "a=b", "1+1", "“Nice”, really", "line\nbreak", "Ünïcode 鞋", "0"])
def test_a_text_that_is_no_formula_goes_out_as_it_is(title):
    VariantFactory(product__title=title)
    assert rows(exported())[0]["Title"] == title
    comes_back_unchanged()


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────


def picture(name, colour="red"):
    file = io.BytesIO()
    Picture.new("RGB", (4, 4), colour).save(file, "PNG")
    return ContentFile(file.getvalue(), name)


def test_pictures_are_known_again_by_where_they_came_from_or_by_their_name(settings, tmp_path):
    mug = ProductFactory(slug="mug")
    images = []
    for number, source in enumerate(["https://example.com/a.png?v=1", "", "https://example.com/c.png"], start=1):
        images.append(ImageFactory(product=mug, position=number, source=source, alt=f"{number}", file=picture("x.png")))
    VariantFactory(product=mug, image=images[2], position=1)
    told = rows(exported())
    assert [row["Image Src"] for row in told] == [images[0].source, images[1].file.name, images[2].source]
    assert [row["Variant Image"] for row in told] == [images[2].source, "", ""]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "c.png", Path(images[1].file.name).name):
        (folder / name).write_bytes(picture(name).read())
    comes_back_unchanged(folder)
    assert models.ProductVariant.objects.get().image.source == images[2].source


def test_a_product_of_pictures_alone_goes_out():
    ImageFactory(source="https://example.com/a.png")
    (row,) = rows(exported())
    assert (row["Image Src"], row["Variant Price"]) == ("https://example.com/a.png", "")


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────


def many(products, variants):
    made = models.Product.objects.bulk_create(
        models.Product(slug=f"p{number}", title="A title", description_html="x" * 500, option1_name="Size")
        for number in range(products)
    )
    rows = models.ProductVariant.objects.bulk_create(
        models.ProductVariant(product=product, sku=f"{product.slug}-{number}", option1=str(number), price=1)
        for product in made
        for number in range(variants)
    )
    models.Stock.objects.bulk_create(models.Stock(variant=row) for row in rows)


def peak():
    tracemalloc.start()
    lines = sum(block.count("\n") for block in export_products())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most, lines


def test_an_export_takes_the_memory_of_some_products_however_many_there_are():
    many(products=100, variants=10)
    peak()  # What is cached on first use is not counted.
    little, lines = peak()
    models.StockMovement.objects.all().delete()
    models.Product.objects.all().delete()
    many(products=800, variants=10)
    much, more_lines = peak()
    assert (lines, more_lines) == (1_001, 8_001)
    assert much < little + 500_000


@pytest.mark.parametrize(("products", "variants", "batches"), [(400, 1, 1), (1, 400, 1), (100, 10, 2), (3, 499, 3)])
def test_statements_grow_with_so_many_variants_not_with_products(statements, products, variants, batches):
    many(products, variants)
    with statements() as counted:
        assert exported().count("\n") == products * variants + 1
    assert len(counted) == 2 + 6 * batches, "keys, twice; products, variants, images, categories, tags, the tree"


# ── the command ──────────────────────────────────────────────────────────────────────────────────────


def test_the_command_writes_what_the_import_reads(tmp_path, shirt):
    file = tmp_path / "out.csv"
    call_command("export_products", file)
    assert file.read_bytes().decode() == exported()
    out = io.StringIO()
    call_command("import_products", file, stdout=out)
    assert "0 created, 0 updated, 1 unchanged" in out.getvalue()


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("export_products", tmp_path)


# ── the exports of real shops, where they are at hand ────────────────────────────────────────────────

EXPORTS = {"shopify-apparel.csv", "shopify-snowdevil.csv"}
AT_HAND = [path for path in sorted(Path(__file__).parents[3].glob("shared/data/*.csv")) if path.name in EXPORTS]

if AT_HAND:  # They belong to other shops, and are not in the repository.

    @pytest.mark.parametrize("file", AT_HAND, ids=lambda path: path.name)
    def test_the_export_of_a_real_shop_goes_out_and_in_unchanged(file):
        with file.open(encoding="utf-8", newline="") as lines:
            list(import_products(lines=lines, images=None, dry_run=False, actor=None, now=NOW))
        comes_back_unchanged()
