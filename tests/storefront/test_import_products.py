"""`import_products`: Shopify's product export as it is found in the wild, with all that is odd about it."""

import csv
import io
import re
import time
import tracemalloc
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from PIL import Image as Picture

from domain.catalog.products import SaveResult
from domain.importing import shopify_csv
from storefront import models
from tests.factories import NOW, VariantFactory

pytestmark = pytest.mark.django_db

COLUMNS = [
    "Handle",
    "Title",
    "Body (HTML)",
    "Vendor",
    "Type",
    "Tags",
    "Published",
    *[f"Option{number} {what}" for number in (1, 2, 3) for what in ("Name", "Value")],
    "Variant SKU",
    "Variant Grams",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Inventory Policy",
    "Variant Price",
    "Variant Compare At Price",
    "Variant Barcode",
    "Image Src",
    "Image Alt Text",
    "Variant Image",
]
MUG = {
    "Handle": "mug",
    "Title": "Enamel mug",
    "Vendor": "Harrow",
    "Published": "true",
    "Option1 Name": "Title",
    "Option1 Value": "Default Title",
    "Variant SKU": "MUG",
    "Variant Inventory Tracker": "shopify",
    "Variant Inventory Qty": "5",
    "Variant Inventory Policy": "deny",
    "Variant Price": "14.50",
}
SHIRT = MUG | {
    "Handle": "shirt",
    "Title": "Linen shirt",
    "Option1 Name": "Size",
    "Option1 Value": "S",
    "Variant SKU": "SHIRT-S",
}


def more(handle="shirt", **cells):
    """A further row of a product, which repeats only its handle."""
    return {
        "Handle": handle,
        "Variant Price": "14.50",
        **{name.replace("_", " "): cell for name, cell in cells.items()},
    }


def csv_of(*rows, columns=COLUMNS):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@dataclass
class Told:
    out: str
    notes: list[str]
    code: int

    @property
    def failed(self):
        return [note for note in self.notes if "): failed: " in note]

    @property
    def counts(self):
        """Created, updated, unchanged, and lines that failed."""
        return tuple(int(number) for number in re.findall(r"(\d+)", self.out.splitlines()[0]))


@pytest.fixture
def take(tmp_path):
    """`take(row, row, …)` or `take("text")`: imports it, and what was told."""

    def run(*rows, columns=COLUMNS, **options):
        content = rows[0] if isinstance(rows[0], str | bytes) else csv_of(*rows, columns=columns)
        file = tmp_path / "export.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        out, errors, code = io.StringIO(), io.StringIO(), 0
        try:
            call_command("import_products", file, stdout=out, stderr=errors, **options)
        except SystemExit as left:
            code = left.code
        return Told(out.getvalue(), errors.getvalue().splitlines(), code)

    return run


def variant(sku="MUG"):
    return models.ProductVariant.objects.select_related("stock", "product").get(sku=sku)


# ── what becomes of a product ────────────────────────────────────────────────────────────────────────


def test_a_product_of_one_row(take):
    told = take(MUG | {"Body (HTML)": "<p>Nice</p>", "Variant Grams": "350", "Tags": "new, kitchen , new,,"})
    assert (told.counts, told.notes, told.code) == ((1, 0, 0, 0), [], 0)
    product = models.Product.objects.get(slug="mug")
    assert (product.title, product.vendor, product.description_html) == ("Enamel mug", "Harrow", "<p>Nice</p>")
    assert (product.option_names, product.published_at is not None) == ([], True)
    assert [tag.name for tag in product.tags.all()] == ["kitchen", "new"]
    mug = variant()
    assert (mug.price, mug.title, mug.weight_grams, mug.stock.on_hand) == (Decimal("14.50"), "", 350, 5)
    assert (product.min_price, product.max_price) == (mug.price, mug.price)


def test_several_rows_are_one_product(take):
    told = take(
        SHIRT,
        more(Option1_Value="M", Variant_SKU="SHIRT-M", Variant_Price="15"),
        more(Option1_Value="L", Variant_SKU="SHIRT-L", Variant_Price="16.00"),
        MUG,
    )
    assert told.counts == (2, 0, 0, 0)
    shirt = models.Product.objects.get(slug="shirt")
    assert [v.title for v in shirt.variants.all()] == ["S", "M", "L"]
    assert (shirt.title, shirt.option_names) == ("Linen shirt", ["Size"])
    assert (shirt.min_price, shirt.max_price) == (Decimal("14.50"), 16)


def test_the_stock_that_comes_in_is_told_by_the_ledger(take):
    take(MUG)
    movement = models.StockMovement.objects.get()
    assert (movement.on_hand_change, movement.reason) == (5, "COUNTED")
    take(MUG | {"Variant Inventory Qty": "3"})
    assert models.StockMovement.objects.last().on_hand_change == -2


def test_rows_that_hold_only_a_picture_are_no_variants(take):
    take(SHIRT, {"Handle": "shirt", "Image Src": "b.png"}, more(Option1_Value="M", Variant_SKU="SHIRT-M"))
    assert models.ProductVariant.objects.count() == 2


def test_rows_of_a_product_may_lie_apart(take):
    told = take(SHIRT, MUG, more(Option1_Value="M", Variant_SKU="SHIRT-M"))
    assert told.failed == []
    shirt = models.Product.objects.get(slug="shirt")
    assert (shirt.title, [v.title for v in shirt.variants.all()]) == ("Linen shirt", ["S", "M"])


def test_a_file_in_lines_of_windows_and_with_a_byte_order_mark(take):
    content = "\ufeff" + csv_of(MUG)
    assert "\r\n" in content
    assert take(content).counts == (1, 0, 0, 0)


def test_a_byte_order_mark_may_stand_before_a_quote(take):
    assert take('\ufeff"Handle","Title","Variant Price"\r\n"mug","Mug","5"\r\n').counts == (1, 0, 0, 0)


def test_columns_may_stand_in_any_order_and_unknown_ones_are_ignored(take):
    told = take(MUG | {"SEO Title": "x"}, columns=["SEO Title", *reversed(COLUMNS)])
    assert told.counts == (1, 0, 0, 0)
    assert variant().price == Decimal("14.50")


def test_empty_lines_and_spaces_around_cells_do_no_harm(take):
    padded = {name: f" {cell} " for name, cell in MUG.items()}
    assert take(csv_of(padded) + "\r\n\r\n" + "," * (len(COLUMNS) - 1)).counts == (1, 0, 0, 0)
    assert (variant().product.slug, variant().sku) == ("mug", "MUG")


def test_a_text_may_hold_line_breaks_and_quotes(take):
    take(MUG | {"Body (HTML)": '<p>"Nice",\nreally</p>', "Title": 'The "mug", large'})
    product = models.Product.objects.get()
    assert (product.title, product.description_html) == ('The "mug", large', '<p>"Nice",\nreally</p>')


def test_html_is_made_safe(take):
    html = '<p onclick="x()">Nice</p><script>alert(1)</script><a href="javascript:x()">a</a><img src=x onerror=x()>'
    take(MUG | {"Body (HTML)": html})
    kept = models.Product.objects.get().description_html
    assert "<p>Nice</p>" in kept
    assert not re.search("script|onclick|onerror|alert", kept)


def test_a_type_is_a_path_into_the_tree_of_categories(take):
    take(
        MUG | {"Type": "Home > Kitchen"},
        SHIRT | {"Type": "Clothing>Shirts > Linen shirts"},
        MUG | {"Handle": "cup", "Type": "Home > Kitchen", "Variant SKU": "CUP"},
        MUG | {"Handle": "bowl", "Variant SKU": "BOWL"},
    )
    paths = {}
    for category in models.Category.objects.all():
        paths[category.name] = category.parent.name if category.parent else None
    assert paths == {
        "Home": None,
        "Kitchen": "Home",
        "Clothing": None,
        "Shirts": "Clothing",
        "Linen shirts": "Shirts",
    }
    kitchen = models.Category.objects.get(name="Kitchen")
    assert {product.slug for product in kitchen.products.all()} == {"mug", "cup"}
    assert models.Product.objects.get(slug="shirt").product_type == "Linen shirts"


def test_categories_of_one_name_under_different_parents_are_different(take):
    take(MUG | {"Type": "Women > Shoes"}, MUG | {"Handle": "cup", "Variant SKU": "CUP", "Type": "Men > Shoes"})
    assert models.Category.objects.filter(name="Shoes").count() == 2


# ── variants ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_sku_is_made_of_handle_and_options_and_stays(take):
    rows = [SHIRT | {"Variant SKU": ""}, more(Option1_Value="Größe M", Variant_SKU="")]
    take(*rows)
    skus = set(models.ProductVariant.objects.values_list("sku", flat=True))
    assert skus == {"shirt-s-4650a356", "shirt-groe-m-5142a491"}
    assert take(*rows).counts == (0, 0, 1, 0)


@pytest.mark.parametrize(
    "values",
    [("红", "蓝"), ("M", "M+"), ("x" * 150 + "1", "x" * 150 + "2")],
    ids=["not latin", "signs", "long"],
)
def test_skus_that_are_made_up_differ_even_where_their_letters_do_not(take, values):
    rows = [SHIRT | {"Variant SKU": "", "Option1 Value": values[0]}, more(Option1_Value=values[1], Variant_SKU="")]
    assert take(*rows).failed == []
    skus = list(models.ProductVariant.objects.values_list("sku", flat=True))
    assert len(set(skus)) == 2
    assert all(len(sku) <= 100 for sku in skus)
    assert all(re.fullmatch("shirt[a-z0-9-]*-[0-9a-f]{8}", sku) for sku in skus)
    assert take(*rows).counts == (0, 0, 1, 0)


def test_a_sku_that_is_made_up_is_no_other_products(take):
    rows = [MUG | {"Handle": "shirt-s", "Variant SKU": ""}, SHIRT | {"Variant SKU": ""}]
    told = take(*rows)
    assert (told.counts, told.notes) == ((2, 0, 0, 0), [])
    skus = models.ProductVariant.objects.values_list("sku", flat=True)
    assert len(set(skus)) == 2
    assert all(re.fullmatch("shirt-s-[0-9a-f]{8}", sku) for sku in skus)
    assert take(*rows).counts == (0, 0, 2, 0)


def test_a_leading_apostrophe_is_a_spreadsheets(take):
    take(MUG | {"Variant SKU": "'0077", "Variant Barcode": "'4006381333931"})
    assert variant("0077").barcode == "4006381333931"


@pytest.mark.parametrize("barcode", ["4.00638E+12", "8.80E+11", "2E+12"])
def test_a_barcode_that_a_spreadsheet_mangled_is_left_out_and_told(take, barcode):
    told = take(MUG | {"Variant Barcode": barcode})
    assert variant().barcode == ""
    (note,) = told.notes
    assert note.startswith("line 2 (mug): note: ")
    assert barcode in note
    assert told.code == 0


@pytest.mark.parametrize(
    ("published", "visible"), [("true", True), ("TRUE", True), ("false", False), ("FALSE", False), ("", False)]
)
def test_what_is_not_published_is_a_draft(take, published, visible):
    take(MUG | {"Published": published})
    assert (models.Product.objects.get().published_at is not None) is visible


def test_publishing_later_keeps_the_first_date(take):
    take(MUG)
    first = models.Product.objects.get().published_at
    take(MUG | {"Title": "Mug"})
    assert models.Product.objects.get().published_at == first


@pytest.mark.parametrize(
    ("tracker", "policy", "expected"),
    [
        ("shopify", "deny", "DENY"),
        ("shopify", "", "DENY"),
        ("shopify", "continue", "BACKORDER"),
        ("shopify", "Continue", "BACKORDER"),
        ("", "deny", "UNTRACKED"),
        ("", "continue", "UNTRACKED"),
    ],
)
def test_how_a_variant_is_sold(take, tracker, policy, expected):
    take(MUG | {"Variant Inventory Tracker": tracker, "Variant Inventory Policy": policy})
    assert variant().stock.policy == expected


@pytest.mark.parametrize(("quantity", "on_hand"), [("7", 7), ("7.0", 7), ("", 0), ("0", 0)])
def test_stock_is_a_whole_number(take, quantity, on_hand):
    assert take(MUG | {"Variant Inventory Qty": quantity}).notes == []
    assert variant().stock.on_hand == on_hand


def test_without_a_count_what_is_on_hand_stays(take):
    take(MUG)
    without = [column for column in COLUMNS if column != "Variant Inventory Qty"]
    for told in (
        take(MUG | {"Variant Inventory Qty": "", "Title": "Mug"}),
        take({name: cell for name, cell in MUG.items() if name in without}, columns=without),
    ):
        assert (told.counts, told.notes) == ((0, 1, 0, 0), [])
        assert variant().stock.on_hand == 5
    assert models.StockMovement.objects.count() == 1


def test_without_a_count_a_variant_may_be_sold_in_another_way_unless_it_is_oversold(take):
    take(MUG | {"Variant Inventory Policy": "continue"})
    models.Stock.objects.update(reserved=7)
    assert "The product was not imported." in take(MUG | {"Variant Inventory Qty": ""}).notes[0]
    assert (variant().stock.policy, variant().stock.on_hand) == ("BACKORDER", 5)
    models.Stock.objects.update(reserved=3)
    take(MUG | {"Variant Inventory Qty": ""})
    assert (variant().stock.policy, variant().stock.on_hand) == ("DENY", 5)


def test_a_stock_below_zero_is_none_and_told(take):
    (note,) = take(MUG | {"Variant Inventory Qty": "-3"}).notes
    assert "note: A stock of -3 becomes 0." in note
    assert variant().stock.on_hand == 0


def test_what_orders_hold_is_never_taken_away_by_a_count(take):
    take(MUG)
    models.Stock.objects.update(reserved=4)
    take(MUG | {"Variant Inventory Qty": "1"})
    assert (variant().stock.on_hand, variant().stock.reserved) == (4, 4)


@pytest.mark.parametrize(("before", "kept"), [("20.00", Decimal(20)), ("", None), ("0", None), ("0.00", None)])
def test_the_price_to_compare_with(take, before, kept):
    take(MUG | {"Variant Compare At Price": before})
    assert variant().compare_at_price == kept


def test_nothing_to_choose_is_no_option(take):
    take(MUG)
    assert (variant().product.option_names, variant().option_values) == ([], [])


def test_three_options_go_with_their_values(take):
    take(
        SHIRT | {"Option2 Name": "Colour", "Option2 Value": "Sand", "Option3 Name": "Fit", "Option3 Value": "Slim"},
        more(Option1_Value="S", Option2_Value="Sand", Option3_Value="Wide", Variant_SKU="SHIRT-2"),
    )
    assert variant("SHIRT-2").option_values == ["S", "Sand", "Wide"]
    assert variant("SHIRT-2").product.option_names == ["Size", "Colour", "Fit"]


# ── what cannot be taken ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "price", ["NaN", "sNaN", "Infinity", "-1", "-0.01", "abc", "1e30", "14.505", "1,50", "€5", "9" * 30, "0x10"]
)
def test_a_bad_price_fails_its_line_and_the_others_are_taken(take, price):
    told = take(SHIRT, more(Option1_Value="M", Variant_SKU="SHIRT-M", Variant_Price=price), MUG)
    assert (told.counts, told.code) == ((2, 0, 0, 1), 1)
    (note,) = told.failed
    assert note.startswith("line 3 (shirt): failed: Variant Price: ")
    assert set(models.ProductVariant.objects.values_list("sku", flat=True)) == {"SHIRT-S", "MUG"}


@pytest.mark.parametrize("price", ["14.5", "14.500", "14", "1.45e1", "0"])
def test_a_price_may_be_written_in_many_ways(take, price):
    assert take(MUG | {"Variant Price": price}).failed == []
    assert variant().price == Decimal(price)


def test_a_currency_without_cents_takes_none(take, settings):
    settings.SHOP_CURRENCY = "JPY"
    told = take(MUG, SHIRT | {"Variant Price": "1450"})
    assert [note.split(")")[0] for note in told.failed] == ["line 2 (mug"]
    assert variant("SHIRT-S").price == 1450


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("Variant Price", ""),
        ("Variant Compare At Price", "abc"),
        ("Variant Compare At Price", "-1"),
        ("Variant Grams", "heavy"),
        ("Variant Grams", "1e30"),
        ("Variant Inventory Qty", "many"),
        ("Variant Inventory Qty", "NaN"),
        ("Variant Inventory Qty", "Infinity"),
        ("Variant Inventory Qty", "99999999999"),
    ],
)
def test_another_bad_cell_fails_its_line(take, column, cell):
    told = take(SHIRT, more(Option1_Value="M", Variant_SKU="SHIRT-M") | {column: cell})
    assert (told.counts[3], told.code) == (1, 1)
    assert told.failed[0].startswith("line 3 (shirt): failed: ")


@pytest.mark.parametrize("column", ["Variant Inventory Qty", "Variant Grams"])
@pytest.mark.parametrize("cell", ["99999999999", "1e30", "1e999999", "1e1000000", "-1e1000000"])
def test_a_number_too_large_fails_its_line_quickly(take, column, cell):
    before = time.process_time()
    told = take(SHIRT, more(Option1_Value="M", Variant_SKU="SHIRT-M") | {column: cell})
    assert time.process_time() - before < 5, "written out, a number of a million digits takes half a minute"
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert told.failed == [f"line 3 (shirt): failed: {column}: {cell!r} is too large."]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("Variant Grams", "-5"),
        ("Variant Barcode", "x" * 51),
        ("Option1 Value", "x" * 201),
        ("Title", "x" * 301),
        ("Vendor", "x" * 201),
        ("Tags", "x" * 101),
        ("Type", "x" * 101),
        ("Option1 Name", "x" * 101),
        ("Handle", "x" * 201),
        ("Handle", "a b"),
        ("Handle", "../../etc/passwd"),
        ("Handle", "<script>"),
        ("Title", ""),
    ],
)
def test_what_does_not_fit_fails_its_product_and_the_others_are_taken(take, column, cell):
    told = take(SHIRT | {column: cell}, MUG)
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert told.failed[0].startswith("line 2 (")
    assert [product.slug for product in models.Product.objects.all()] == ["mug"]
    assert not models.Category.objects.exists()


def test_more_cells_than_columns_fail_their_line(take):
    content = csv_of(SHIRT).rstrip() + ",surplus\r\n" + csv_of(MUG).split("\r\n", 1)[1]
    told = take(content)
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert "line 2 (shirt): failed: This line has more cells" in told.failed[0]


def test_empty_cells_beyond_the_columns_do_no_harm(take):
    assert take(csv_of(MUG).rstrip() + ",,,\r\n").counts == (1, 0, 0, 0)


def test_fewer_cells_than_columns_are_empty_cells(take):
    assert take("Handle,Title,Variant Price,Vendor\r\nmug,Mug,5\r\n").counts == (1, 0, 0, 0)


def test_bytes_of_latin_1_fail_their_line_and_the_others_are_taken(take):
    told = take(csv_of(SHIRT | {"Title": "Caf\xe9"}).encode("latin-1") + csv_of(MUG).split("\r\n", 1)[1].encode())
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert "line 2 (shirt): failed: This line is not valid UTF-8." in told.failed[0]


def test_a_handle_that_is_not_utf_8_fails_its_line(take):
    told = take(csv_of(SHIRT | {"Handle": "caf\xe9"}).encode("latin-1"))
    assert (told.counts, told.code) == ((0, 0, 0, 1), 1)


def test_a_nul_fails_its_line_and_the_others_are_taken(take):
    told = take(csv_of(SHIRT | {"Title": "a\x00b"}, MUG))
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert told.failed[0].startswith("line 2 ")


def test_a_row_without_a_handle_fails(take):
    told = take(MUG | {"Handle": ""}, SHIRT)
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert "The handle is missing." in told.failed[0]


def test_a_line_longer_than_csv_allows_fails_and_the_others_are_taken(take):
    told = take(SHIRT | {"Body (HTML)": "x" * 200_000}, MUG)
    assert told.code == 1
    assert [product.slug for product in models.Product.objects.all()] == ["mug"]


def test_lines_are_counted_as_an_editor_does(take):
    told = take(MUG | {"Body (HTML)": "a\nb\nc"}, SHIRT | {"Variant Price": "abc"})
    assert [note.split(" (")[0] for note in told.failed] == ["line 5"]


def test_options_that_are_the_same_as_before_fail_their_line(take):
    told = take(SHIRT, more(Option1_Value="S", Variant_SKU="SHIRT-2"))
    assert (told.counts, told.code) == ((1, 0, 0, 1), 1)
    assert [v.sku for v in models.ProductVariant.objects.all()] == ["SHIRT-S"]


def test_a_sku_of_another_product_is_replaced_and_told(take):
    VariantFactory(sku="MUG")
    told = take(MUG)
    assert (told.counts, told.code) == ((1, 0, 0, 0), 0)
    assert "The SKU 'MUG' is taken. The variant gets 'mug-b27a4c50'." in told.notes[0]
    assert variant("mug-b27a4c50").product.slug == "mug"
    assert take(MUG).counts == (0, 0, 1, 0)


def test_a_sku_twice_in_one_file_is_replaced_the_second_time(take):
    take(MUG, SHIRT | {"Variant SKU": "MUG"})
    assert variant("MUG").product.slug == "mug"
    assert variant("shirt-s-4650a356").product.slug == "shirt"


def test_a_sku_twice_in_one_product_is_replaced_the_second_time(take):
    rows = [SHIRT | {"Variant SKU": "X"}, more(Option1_Value="M", Variant_SKU="X")]
    assert take(*rows).code == 0
    assert [v.sku for v in models.ProductVariant.objects.order_by("position")] == ["X", "shirt-m-a9420217"]
    assert take(*rows).counts == (0, 0, 1, 0)


def test_two_variants_may_trade_their_options(take):
    take(SHIRT, more(Option1_Value="M", Variant_SKU="SHIRT-M"))
    told = take(SHIRT | {"Option1 Value": "M"}, more(Option1_Value="S", Variant_SKU="SHIRT-M"))
    assert told.failed == []
    assert (variant("SHIRT-S").option1, variant("SHIRT-M").option1) == ("M", "S")


@pytest.mark.parametrize("content", ["", "\r\n", "Title,Price\r\nMug,5\r\n", "not a CSV", "\x00", b"\xff\xfe\x00"])
def test_what_is_no_export_is_refused_as_a_whole(take, content):
    with pytest.raises(CommandError, match="this is not a Shopify product export"):
        take(content)


def test_an_export_of_nothing_is_nothing(take):
    assert take("Handle,Title\r\n").counts == (0, 0, 0, 0)


def test_a_file_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_products", tmp_path / "none.csv")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("import_products", tmp_path)


# ── again, and dry ───────────────────────────────────────────────────────────────────────────────────


def test_a_second_run_changes_nothing(take):
    rows = [
        SHIRT | {"Type": "Clothing > Shirts", "Tags": "b, a", "Variant Compare At Price": "20", "Variant Grams": "9"},
        more(Option1_Value="M", Variant_SKU="", Variant_Inventory_Qty="-3"),
        MUG | {"Body (HTML)": "<p onclick=x()>a &amp; b</p>"},
    ]
    assert take(*rows).counts == (2, 0, 0, 0)
    tables = [models.Product, models.ProductVariant, models.Stock, models.StockMovement, models.Category, models.Tag]
    before = [list(model.objects.order_by("pk").values()) for model in tables]
    assert take(*rows).counts == (0, 0, 2, 0)
    assert [list(model.objects.order_by("pk").values()) for model in tables] == before


def test_a_later_run_changes_what_has_changed(take):
    take(SHIRT, MUG)
    told = take(SHIRT, MUG | {"Variant Price": "15", "Title": "Mug"})
    assert told.counts == (0, 1, 1, 0)
    assert (variant().price, variant().product.title, variant().product.min_price) == (15, "Mug", 15)


def test_variants_that_a_later_file_does_not_name_stay(take):
    take(SHIRT, more(Option1_Value="M", Variant_SKU="SHIRT-M"))
    assert take(SHIRT).counts == (0, 0, 1, 0)
    assert models.ProductVariant.objects.count() == 2


def test_a_dry_run_says_the_same_and_writes_nothing(take, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Picture.new("RGB", (4, 4)).save(folder / "a.png")
    rows = [MUG | {"Image Src": "a.png", "Type": "Home"}, SHIRT | {"Variant Price": "abc"}]
    told = take(*rows, dry_run=True, images=folder)
    assert told.out.rstrip().endswith("(Dry run.)")
    assert (told.counts, told.code) == (take(*rows).counts, 1)
    models.StockMovement.objects.all().delete()
    models.Product.objects.all().delete()
    assert take(MUG, dry_run=True).code == 0
    assert not models.Product.objects.exists()


def test_a_dry_run_leaves_no_row_and_no_file(take, settings):
    take(MUG | {"Type": "Home", "Tags": "new"}, dry_run=True)
    for model in (models.Product, models.ProductVariant, models.Category, models.Tag, models.SearchDocument):
        assert not model.objects.exists()
    assert not settings.MEDIA_ROOT.exists()


def test_a_dry_run_of_a_change_keeps_what_is_there(take):
    take(MUG)
    assert take(MUG | {"Title": "Cup", "Variant Inventory Qty": "9"}, dry_run=True).counts == (0, 1, 0, 0)
    assert (variant().product.title, variant().stock.on_hand) == ("Enamel mug", 5)


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Picture.new("RGB", (6, 4), "red").save(folder / "red.png")
    Picture.new("RGB", (8, 8), "blue").save(folder / "blau é.jpg")
    (folder / "page.png").write_text("<html>Not found</html>")
    (folder / "empty.png").touch()
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:40])
    (folder / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>")
    return folder


def test_without_a_folder_pictures_are_counted(take):
    told = take(MUG | {"Image Src": "https://example.com/red.png", "Variant Image": "https://example.com/blue.png"})
    assert told.out.splitlines()[1] == "Images left out: 2. Use --images to give their folder."
    assert told.code == 0


def test_pictures_are_found_by_the_file_names_of_their_addresses(take, pictures):
    told = take(
        MUG | {"Image Src": "https://example.com/files/red.png?v=1", "Image Alt Text": "A red mug"},
        {"Handle": "mug", "Image Src": "https://example.com/files/blau%20%C3%A9.jpg"},
        images=pictures,
    )
    assert (told.notes, told.code) == ([], 0)
    first, second = models.Image.objects.all()
    assert (first.alt, first.width, first.height, first.position) == ("A red mug", 6, 4, 1)
    assert (second.alt, second.width) == ("", 8)
    with storages["originals"].open(first.upload_id) as file:
        assert file.read() == (pictures / "red.png").read_bytes()


def test_a_variant_has_its_own_picture(take, pictures):
    take(SHIRT | {"Image Src": "red.png", "Variant Image": "blau é.jpg"}, images=pictures)
    assert variant("SHIRT-S").image.source == "blau é.jpg"
    assert models.Image.objects.count() == 2


def test_pictures_are_taken_once(take, pictures, settings):
    rows = [MUG | {"Image Src": "red.png", "Variant Image": "red.png"}]
    assert take(*rows, images=pictures).counts == (1, 0, 0, 0)
    assert take(*rows, images=pictures).counts == (0, 0, 1, 0)
    assert take(*rows).out.count("Images left out") == 0
    assert models.Image.objects.count() == len(list(settings.MEDIA_ROOT.rglob("*.webp"))) == 1


def test_pictures_get_every_size(take, pictures, settings, delivered):
    take(MUG | {"Image Src": "red.png"}, images=pictures)
    delivered()
    assert models.Image.objects.get().rendered_at
    assert len(list(settings.MEDIA_ROOT.rglob("*.webp"))) == 3


def test_a_storage_that_is_away_fails_the_line_and_the_next_import_takes_the_picture(
    take, pictures, settings, tmp_path
):
    rows = [MUG | {"Image Src": "red.png"}]
    (tmp_path / "full").touch()
    root, settings.MEDIA_ROOT = settings.MEDIA_ROOT, tmp_path / "full"
    told = take(*rows, images=pictures)
    assert (told.counts, told.code, models.Image.objects.count()) == ((1, 0, 0, 1), 1, 0)
    settings.MEDIA_ROOT = root
    assert take(*rows, images=pictures).counts == (0, 1, 0, 0)
    assert models.Image.objects.count() == 1


def test_pictures_can_come_later(take, pictures):
    rows = [SHIRT | {"Image Src": "red.png", "Variant Image": "red.png"}]
    take(*rows)
    assert take(*rows, images=pictures).counts == (0, 1, 0, 0)
    assert variant("SHIRT-S").image


def test_a_picture_that_is_not_there_is_told_and_the_product_is_taken(take, pictures):
    told = take(MUG | {"Image Src": "https://example.com/none.png"}, images=pictures)
    assert (told.counts, told.code) == ((1, 0, 0, 0), 0)
    assert told.notes == ["line 2 (mug): note: The image 'none.png' is not in the folder."]


@pytest.mark.parametrize("name", ["page.png", "empty.png", "cut.png", "drawing.svg"])
def test_what_is_no_picture_is_told_and_not_kept(take, pictures, settings, name):
    told = take(MUG | {"Image Src": name}, images=pictures)
    assert (told.counts, told.code) == ((1, 0, 0, 0), 0)
    assert f"The image {name!r} was not imported." in told.notes[0]
    assert not models.Image.objects.exists()
    assert not settings.MEDIA_ROOT.exists()


@pytest.mark.parametrize(
    "source",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "https://example.com/..%2f..%2foutside.png",
        "file:///etc/passwd",
        "..\\outside.png",
        "..",
        ".",
        "/",
        "https://example.com/",
        "?",
        "%00.png",
        "http://[broken/red.png",
    ],
)
def test_a_picture_is_looked_for_in_the_folder_and_nowhere_else(take, pictures, source):
    Picture.new("RGB", (4, 4)).save(pictures.parent / "outside.png")
    told = take(MUG | {"Image Src": source}, images=pictures)
    assert told.counts == (1, 0, 0, 0)
    assert len(told.notes) == 1
    assert not models.Image.objects.exists()


def test_a_link_out_of_the_folder_is_the_folders_owners_business(take, pictures):
    """Who may write into the folder may read it anyway; only the file cannot lead out."""
    (pictures / "linked.png").symlink_to(pictures / "red.png")
    assert take(MUG | {"Image Src": "linked.png"}, images=pictures).notes == []


def test_an_address_too_long_to_keep_is_told(take, pictures):
    source = "https://example.com/" + "x" * 1_100 + "/red.png"
    told = take(MUG | {"Image Src": source}, images=pictures)
    assert told.counts[0] == 1
    assert len(told.notes) == 1
    assert not models.Image.objects.exists()


def test_a_folder_that_does_not_exist_is_told(take, tmp_path):
    with pytest.raises(CommandError, match="is not a folder"):
        take(MUG, images=tmp_path / "none")


# ── size ─────────────────────────────────────────────────────────────────────────────────────────────


def _lines(products):
    """A file of so many products, 5 kB each, that is nowhere whole."""
    header, row = csv_of(MUG | {"Handle": "HANDLE", "Variant SKU": "", "Body (HTML)": "x" * 5_000}).splitlines()
    yield header + "\n"
    for number in range(products):
        yield row.replace("HANDLE", f"mug-{number}") + "\n"


def _peak(products, monkeypatch):
    """The most memory that was taken at once, the database left out."""
    monkeypatch.setattr(
        shopify_csv.products, "save", lambda draft, **given: (models.Product(slug=draft.slug), SaveResult.CREATED)
    )
    tracemalloc.start()
    outcomes = shopify_csv.import_products(lines=_lines(products), images=None, dry_run=True, actor=None, now=NOW)
    assert sum(outcome is SaveResult.CREATED for outcome in outcomes) == products
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_file_of_any_length_takes_the_memory_of_one_product(monkeypatch):
    _peak(10, monkeypatch)  # What is imported and cached on first use is not counted.
    assert _peak(800, monkeypatch) < _peak(80, monkeypatch) + 200_000


# ── the exports of real shops, where they are at hand ────────────────────────────────────────────────

EXPORTS = {"shopify-apparel.csv": (25, 96), "shopify-snowdevil.csv": (278, 622)}
AT_HAND = [path for path in sorted(Path(__file__).parents[3].glob("shared/data/*.csv")) if path.name in EXPORTS]

if AT_HAND:  # They belong to other shops, and are not in the repository.

    @pytest.mark.parametrize("file", AT_HAND, ids=lambda path: path.name)
    def test_the_export_of_a_real_shop_is_taken_whole_and_again_unchanged(take, file):
        products, variants = EXPORTS[file.name]
        content = file.read_bytes()
        told = take(content)
        assert (told.counts, told.code) == ((products, 0, 0, 0), 0)
        assert (models.Product.objects.count(), models.ProductVariant.objects.count()) == (products, variants)
        assert take(content).counts == (0, 0, products, 0)
