import pytest
from django.db import connection

from domain.catalog import browse, products, search
from storefront.models import Category, Product, Tag
from tests.factories import NOW, VariantFactory

pytestmark = pytest.mark.django_db


def find(text):
    """The titles that the text finds, best first."""
    found = browse.browse(filter=browse.ProductFilter(), query=search.parse_query(text=text), now=NOW)
    return [product.title for product in found.order_by("-score", "title")]


def shelve(*titles, **fields):
    for title in titles:
        VariantFactory(product__title=title, **{f"product__{name}": value for name, value in fields.items()})


@pytest.mark.parametrize("text", ["shirt", "SHIRT", "  shirt  ", "shirt!", '"shirt"', "(shirt)", "shirt*", "-shirt"])
def test_product_is_found_by_a_word_of_its_title(text):
    shelve("Linen Shirt", "Wool Coat")
    assert find(text) == ["Linen Shirt"]


@pytest.mark.parametrize("text", ["li", "lin", "line", "linen", "shi"])
def test_product_is_found_by_the_beginning_of_a_word(text):
    shelve("Linen Shirt", "Wool Coat")
    assert find(text) == ["Linen Shirt"]


@pytest.mark.parametrize("text", ["linen shi", "lin shirt", "li sh", "shi linen"])
def test_each_word_may_be_a_beginning(text):
    shelve("Linen Shirt", "Wool Coat")
    assert find(text) == ["Linen Shirt"]


def test_end_of_a_word_is_not_enough_where_another_begins_so():
    shelve("Linen Shirt", "Nentir")
    assert find("nen") == ["Nentir"]


@pytest.mark.parametrize(("title", "text"), [("Linen Shirt", "shirts"), ("Two Shirts", "shirt"), ("Boxes", "box")])
def test_singular_and_plural_find_each_other(title, text):
    shelve(title, "Wool Coat")
    assert find(text) == [title]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Café Crème", "cafe creme"),
        ("Cafe Creme", "CAFÉ crème"),
        ("Cafe\u0301", "café"),
        ("Über Tasse", "uber"),
        ("Straße", "strasse"),
        ("STRASSE", "straße"),
        ("Ｆｕｌｌ width", "full"),
    ],
)
def test_accents_and_case_do_not_matter(title, text):
    shelve(title, "Wool Coat")
    assert find(text) == [title]


@pytest.mark.parametrize("sku", ["TEE-M-SAND", "SKU-123", "AB.12", "A_1", "X/12-3", "4006381333931", "ABC123"])
def test_product_is_found_by_its_sku(sku):
    VariantFactory(sku=sku, product__title="This one")
    VariantFactory(sku=f"{sku[:-1]}9", product__title="Another")
    assert find(sku) == find(sku.lower()) == ["This one"]


def test_product_is_found_by_vendor_type_tag_category_and_description():
    product = VariantFactory(
        product__title="This one",
        product__vendor="Northfold",
        product__product_type="Blouse",
        product__description_html="<p>Woven in <b>Flanders</b>.</p><p>Cool</p>",
    ).product
    product.tags.add(Tag.objects.create(name="summer"))
    product.categories.add(Category.objects.create(name="Clothes", slug="clothes"))
    products.refresh_derived(product=product)
    shelve("Another")
    for text in ("northfold", "blouse", "summer", "clothes", "flanders", "cool"):
        assert find(text) == ["This one"], text


def test_markup_is_not_searched():
    shelve("Linen Shirt", description_html='<p class="fancy"><strong>Cool</strong></p>')
    shelve("Fancy Strong Coat")
    assert find("fancy") == find("strong") == ["Fancy Strong Coat"]


def test_all_words_have_to_match_wherever_they_stand():
    shelve("Linen Shirt", vendor="Northfold")
    shelve("Linen Coat", "Wool Shirt", vendor="Harrow")
    assert find("linen shirt") == find("shirt linen") == find("shirt northfold") == ["Linen Shirt"]


@pytest.mark.parametrize("others", [["Teapot", "Mug", "Rug", "Scarf", "Lamp"], []], ids=["few-have-it", "all-have-it"])
def test_title_counts_more_than_the_description(others):
    shelve(*others)
    shelve("Coat", description_html="<p>Goes with a linen shirt.</p>")
    shelve("Linen Shirt", description_html="<p>Goes with a coat.</p>")
    assert find("shirt") == ["Linen Shirt", "Coat"]


@pytest.mark.parametrize("text", ["shrit", "shrt", "shirtt", "linnen shrit"])
def test_misspelt_word_finds_what_was_meant(text):
    shelve("Linen Shirt", "Wool Coat", "Teapot")
    assert find(text) == ["Linen Shirt"]


def test_right_spelling_is_not_second_guessed():
    shelve("Linen Shirt", "Linen Skirt")
    assert find("skirt") == ["Linen Skirt"]


def test_nothing_like_it_finds_nothing():
    shelve("Linen Shirt")
    assert find("zzzzqqqq") == []


def test_hidden_products_are_not_found():
    shelve("Linen Shirt", published_at=None)
    assert find("shirt") == find("shrit") == []


def test_renamed_product_is_found_by_its_new_name_only():
    shelve("Linen Shirt")
    product = Product.objects.get()
    product.title = "Wool Coat"
    product.save()
    products.refresh_derived(product=product)
    assert find("coat") == ["Wool Coat"]
    assert find("linen") == []


def test_deleted_product_is_no_longer_found():
    shelve("Linen Shirt")
    Product.objects.all().delete()
    assert find("shirt") == []


@pytest.fixture
def few_are_many(monkeypatch):
    """Three products are too many to be ranked."""
    monkeypatch.setattr(search, "MAX_RANKED", 2)


too_many = pytest.mark.usefixtures("few_are_many")


@too_many
def test_word_that_too_many_have_is_looked_for_in_names_only():
    shelve("Linen Shirt", "Shirt")
    shelve("Coat", description_html="<p>Goes with a shirt.</p>")
    found = search.parse_query(text="shirt")
    assert found.is_ranked
    assert set(find("shirt")) >= {"Linen Shirt", "Shirt"}
    assert ("Coat" in find("shirt")) == (connection.vendor == "sqlite")  # It ranks everything.


@too_many
def test_names_that_too_many_have_are_all_found_unranked():
    shelve("Linen Shirt", "Shirt", "Wool Shirt")
    shelve("Coat", description_html="<p>Goes with a shirt.</p>")
    assert search.parse_query(text="shirt").is_ranked == (connection.vendor == "sqlite")
    assert set(find("shirt")) >= {"Linen Shirt", "Shirt", "Wool Shirt"}


@too_many
def test_what_several_words_find_is_unranked_too_where_it_is_too_much():
    shelve("Linen Shirt", "Linen Shirt two", "Shirt of linen")
    assert len(find("linen shirt")) == 3


@too_many
def test_descriptions_count_however_many_there_are_where_no_name_has_the_word():
    shelve("Coat", "Hat", "Scarf", description_html="<p>Goes with a shirt.</p>")
    assert sorted(find("shirt")) == ["Coat", "Hat", "Scarf"]


@too_many
@pytest.mark.parametrize("text", ["shirt", "shirts", "shir", "sh", "linen sh", "li shirt", "shrit"])
def test_beginnings_are_found_too_however_many_have_the_word_itself(text):
    shelve("Linen Shirt", "Linen Shirt two", "Linen Shirt three", "Linen Shirtdress", "Wool Coat")
    assert set(find(text)) == {"Linen Shirt", "Linen Shirt two", "Linen Shirt three", "Linen Shirtdress"}


def test_word_is_known_as_soon_as_a_product_has_it_in_its_name():
    shelve("Linen Shirt")
    product = Product.objects.get()
    product.title = "Woollen Jumper"
    product.save()
    products.refresh_derived(product=product)
    assert find("jmper") == ["Woollen Jumper"]


def test_word_of_any_length_can_be_shelved_and_found():
    shelve("x" * 300)
    assert find("x" * 200) == ["x" * 300]


JUNK = [
    *["", " ", "\t\n", "'", '"', "''", '""', "'; DROP TABLE storefront_product; --", "\\", "\\'", "`", "%", "%s", "_"],
    *["AND", "OR", "NOT", "NEAR", "AND OR NOT", "NEAR(a b)", "*", "a*", "**", ":", "title:", "a:b", "title : shirt"],
    *["(", ")", "((", "()", "{}", "[", "^", "^a", "+", "-", "--", "a - b", "&", "|", "!", "& | !", "<->", "a <-> b"],
    *["a & b", "!a", ":*", "a:*", "?", "$$", "$1", "the", "the and of", "½", "²", "e\u0301", "\u200b", "🙂", "👩‍👩‍👧"],
    *["\ufdfa", "\ufdfa" * 200, "\u3300" * 200, "中文", "x" * 10_000, "shirt " * 2_000, "' OR 1=1", '"' * 10_000],
    *["a_b", "__", "a" * 200, "\U00010400" * 200, "1e400", "-1", "0x10", "1.5", "a.b@c.example", "http://x/y?z=1"],
]


@pytest.mark.parametrize("text", JUNK, ids=lambda text: ascii(text[:20]))
def test_no_text_is_an_error(text):
    shelve("Linen Shirt")
    assert isinstance(find(text), list)


@pytest.mark.parametrize("text", ["", "   ", "'\"*:()&|!<->", "%", "🙂"])
def test_text_without_a_word_finds_nothing(text):
    shelve("Linen Shirt")
    assert find(text) == []


@pytest.mark.parametrize("operator", ["AND", "OR", "NOT", "NEAR"])
def test_operators_are_words_like_any_other(operator):
    shelve("Linen Shirt", "Wool Coat")
    assert find(f"shirt {operator} coat") == []
    assert find(f"linen OR {operator} wool") == []


if connection.vendor == "postgresql":

    @too_many
    @pytest.mark.parametrize(
        ("names", "bodies", "count"), [(0, 0, 0), (1, 1, 2), (2, 1, 2), (3, 0, 3), (1, 5, 1), (0, 5, 3)]
    )
    def test_what_matches_is_counted_as_it_is_found(names, bodies, count):
        shelve(*(f"Shirt {number}" for number in range(names)), published_at=NOW)
        shelve(*(f"Coat {number}" for number in range(bodies)), published_at=NOW, description_html="Goes with a shirt.")
        shelve("Shirt to come", published_at=None)
        assert search.parse_query(text="shirt", now=NOW).count == count

    @too_many
    def test_names_are_looked_for_in_an_index_of_their_own():
        shelve("Linen Shirt", "Shirt", "Wool Shirt")
        names = search.parse_query(text="shirt").matches
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN {names.sql}", names.params)
            assert "searchdocument_names" in str(cursor.fetchall())
