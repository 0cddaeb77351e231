from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain import catalog, products, variants
from domain.drafts import KEEP, ProductDraft, VariantDraft
from domain.errors import DomainError, InvalidInput
from domain.products import Saved
from storefront.models import Category, Product, ProductVariant, StockMovement, StockPolicy, Tag
from tests.factories import NOW, ImageFactory

pytestmark = pytest.mark.django_db

SMALL = VariantDraft("TEE-S", Decimal("19.90"), options=("S",), on_hand=5)
LARGE = VariantDraft("TEE-L", Decimal("24.90"), options=("L",), on_hand=0)
TEE = ProductDraft(
    slug="linen-tee",
    title="Linen Tee",
    description_html="<p>Cool in summer.</p>",
    vendor="Harrow",
    product_type="Shirt",
    tags=("linen", "summer"),
    categories=(("Clothes", "Shirts"),),
    option_names=("Size",),
    is_published=True,
    variants=(SMALL, LARGE),
)


def save(draft, now=NOW, **given):
    return products.save(draft=draft, actor=None, now=now, **given)


def paths(product):
    tree = catalog.CategoryTree()
    return {
        tuple(above.name for above in [*tree.ancestors(category), category]) for category in product.categories.all()
    }


# ── saving a product ─────────────────────────────────────────────────────────────────────────────────


def test_product_is_created_as_the_draft_says():
    product, saved = save(TEE)
    assert saved == Saved.CREATED
    product = Product.objects.get(pk=product.pk)
    assert (product.title, product.vendor, product.product_type) == ("Linen Tee", "Harrow", "Shirt")
    assert (product.option_names, product.published_at) == (["Size"], NOW)
    assert {tag.name for tag in product.tags.all()} == {"linen", "summer"}
    assert paths(product) == {("Clothes", "Shirts")}
    small, large = product.variants.select_related("stock")
    assert (small.sku, small.price, small.title, small.stock.on_hand) == ("TEE-S", Decimal("19.90"), "S", 5)
    assert (large.sku, large.price, large.title, large.stock.on_hand) == ("TEE-L", Decimal("24.90"), "L", 0)


def test_price_range_is_that_of_the_variants():
    product, _ = save(TEE)
    assert (product.min_price, product.max_price) == (Decimal("19.90"), Decimal("24.90"))
    save(replace(TEE, variants=(replace(LARGE, price=Decimal(9)),)))
    product.refresh_from_db()
    assert (product.min_price, product.max_price) == (Decimal(9), Decimal("19.90"))


def test_same_draft_again_is_unchanged_and_writes_nothing(statements):
    save(TEE)
    with statements() as counted:
        _, saved = save(TEE, now=NOW + timedelta(days=1))
    assert saved == Saved.UNCHANGED
    assert not [query["sql"] for query in counted.captured_queries if not query["sql"].startswith("SELECT")]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Linen T-Shirt"},
        {"description_html": "<p>Warm.</p>"},
        {"vendor": "Northfold"},
        {"tags": ("linen",)},
        {"tags": ()},
        {"categories": ()},
        {"categories": (("Clothes", "Shirts"), ("Sale",))},
        {"option_names": ("Fit",)},
        {"is_published": False},
        {"variants": (replace(SMALL, price=Decimal(1)),)},
        {"variants": (replace(SMALL, on_hand=6),)},
        {"variants": (replace(SMALL, policy=StockPolicy.BACKORDER),)},
        {"variants": (VariantDraft("TEE-M", Decimal(1), options=("M",)),)},
    ],
)
def test_whatever_differs_makes_an_update_once(change):
    save(TEE)
    assert save(replace(TEE, **change))[1] == Saved.UPDATED
    assert save(replace(TEE, **change))[1] == Saved.UNCHANGED
    assert Product.objects.count() == 1


def test_variants_that_the_draft_does_not_name_stay():
    save(TEE)
    product, _ = save(replace(TEE, variants=(VariantDraft("TEE-M", Decimal(20), options=("M",)),)))
    assert [variant.sku for variant in product.variants.all()] == ["TEE-S", "TEE-L", "TEE-M"]


def test_what_a_draft_does_not_say_stays():
    save(TEE)
    more = ProductDraft(slug="linen-tee", variants=(VariantDraft("TEE-M", Decimal(20), options=("M",)),))
    product, saved = save(more)
    assert (saved, product.title, product.variants.count()) == (Saved.UPDATED, "Linen Tee", 3)
    assert (product.tags.count(), product.published_at) == (2, NOW)


def test_new_product_needs_a_title():
    with pytest.raises(InvalidInput) as refused:
        save(replace(TEE, title=KEEP))
    assert refused.value.field == ("title",)
    assert not Product.objects.exists()


def test_product_keeps_the_day_on_which_it_was_published():
    save(TEE)
    product, _ = save(replace(TEE, title="Another"), now=NOW + timedelta(days=1))
    assert product.published_at == NOW
    save(replace(TEE, is_published=False))
    product, _ = save(TEE, now=NOW + timedelta(days=2))
    assert product.published_at == NOW + timedelta(days=2)


def test_count_of_a_draft_is_told_in_the_ledger():
    save(TEE)
    save(replace(TEE, variants=(replace(SMALL, on_hand=3),)))
    moves = StockMovement.objects.filter(variant__sku="TEE-S")
    assert [move.on_hand_change for move in moves] == [5, -2]


def test_dry_run_says_what_would_be_and_writes_nothing():
    assert save(TEE, dry_run=True)[1] == Saved.CREATED
    assert not any(model.objects.exists() for model in (Product, ProductVariant, Tag, Category, StockMovement))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<p>Fine <b>linen</b></p>", "<p>Fine <b>linen</b></p>"),
        ("<script>alert(1)</script>Tee", "Tee"),
        ('<p onclick="alert(1)">Tee</p>', "<p>Tee</p>"),
        ('<a href="javascript:alert(1)">Tee</a>', '<a rel="noopener noreferrer">Tee</a>'),
        ('<img src="x" onerror="alert(1)">', '<img src="x">'),
        ("<p>Tee", "<p>Tee</p>"),
        ("2 < 3", "2 &lt; 3"),
    ],
)
def test_description_is_kept_without_what_could_run(given, kept):
    product, _ = save(replace(TEE, description_html=given))
    assert product.description_html == kept
    assert save(replace(TEE, description_html=given))[1] == Saved.UNCHANGED


def test_category_tree_grows_only_by_what_is_missing():
    save(TEE)
    product, _ = save(replace(TEE, slug="coat", categories=(("Clothes", "Coats"), ("Sale",)), variants=()))
    assert paths(product) == {("Clothes", "Coats"), ("Sale",)}
    assert Category.objects.count() == 4


def test_categories_of_the_same_name_below_others_are_others():
    product, _ = save(replace(TEE, categories=(("Women", "Shirts"), ("Men", "Shirts"))))
    assert paths(product) == {("Women", "Shirts"), ("Men", "Shirts")}
    assert set(Category.objects.values_list("slug", flat=True)) == {"women", "shirts", "men", "men-shirts"}


@pytest.mark.parametrize("other", ["shirts", "Shirts!"])
def test_category_names_that_give_the_same_slug_are_two_categories(other):
    product, _ = save(replace(TEE, categories=(("Shirts",), (other,))))
    assert paths(product) == {("Shirts",), (other,)}


def test_category_name_without_latin_letters_gets_a_slug_too():
    product, _ = save(replace(TEE, categories=(("衣類", "シャツ"),)))
    assert paths(product) == {("衣類", "シャツ")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "x" * 301},
        {"slug": "not a slug"},
        {"vendor": "x" * 201},
        {"tags": ("x" * 101,)},
        {"tags": ("",)},
        {"categories": ((),)},
        {"categories": (("",),)},
        {"option_names": ("Size", "Colour", "Fit", "Length")},
        {"variants": (replace(SMALL, sku=""),)},
        {"variants": (replace(SMALL, sku="x" * 101),)},
        {"variants": (replace(SMALL, price=Decimal("1.2345")),)},
        {"variants": (replace(SMALL, price=Decimal(10**12)),)},
        {"variants": (replace(SMALL, price=Decimal("NaN")),)},
        {"variants": (replace(SMALL, price=Decimal(-1)),)},
        {"variants": (replace(SMALL, price=Decimal(-5)),)},
        {"variants": (replace(SMALL, compare_at_price=Decimal(-5)),)},
        {"variants": (replace(SMALL, weight_grams=-5),)},
        {"variants": (replace(SMALL, weight_grams=10**20),)},
        {"variants": (replace(SMALL, on_hand=10**20),)},
        {"variants": (replace(SMALL, options=("S", "Sand", "Slim", "Long")),)},
        {"variants": (SMALL, replace(SMALL, sku="OTHER"))},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}={str(next(iter(wrong.values())))[:60]}",
)
def test_field_that_does_not_fit_is_refused_and_nothing_is_written(wrong):
    with pytest.raises((InvalidInput, ExceptionGroup)) as refused:
        save(replace(TEE, **wrong))
    errors = getattr(refused.value, "exceptions", [refused.value])
    assert all(isinstance(error, DomainError) and error.field for error in errors)
    assert not Product.objects.exists()


def test_sku_of_another_product_is_refused_by_its_place():
    save(TEE)
    with pytest.raises(InvalidInput) as refused:
        save(replace(TEE, slug="coat", title="Coat", variants=(replace(SMALL, sku="COAT"), LARGE)))
    assert refused.value.field == ("variants", "1", "sku")
    assert Product.objects.count() == 1


def test_product_has_500_variants_and_no_more():
    many = tuple(VariantDraft(f"V-{n}", Decimal(1), options=(str(n),)) for n in range(variants.MAX_VARIANTS + 1))
    with pytest.raises(InvalidInput):
        save(replace(TEE, variants=many))


def test_variant_shows_the_picture_that_its_draft_names():
    product, _ = save(TEE)
    image = ImageFactory(product=product, source="tee.png")
    assert save(replace(TEE, variants=(replace(SMALL, image_source="tee.png"),)))[1] == Saved.UPDATED
    assert ProductVariant.objects.get(sku="TEE-S").image == image
