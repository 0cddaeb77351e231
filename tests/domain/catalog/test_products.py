from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.base.change_log import StaleVersion
from domain.base.crud import InUse
from domain.base.errors import DomainError, InvalidInput, NotFound
from domain.catalog import browse, products, stock, variants
from domain.catalog.drafts import KEEP, BulkUpdate, ProductDraft, VariantDraft
from domain.catalog.products import SaveResult
from domain.sales import cart as carts
from storefront.models import Category, Change, Product, ProductVariant, StockMovement, StockPolicy, Tag
from tests.factories import NOW, CategoryFactory, DiscountFactory, ImageFactory, ProductFactory, UserFactory

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
    tree = browse.CategoryTree()
    return {
        tuple(above.name for above in [*tree.ancestors(category), category]) for category in product.categories.all()
    }


# ── saving a product ─────────────────────────────────────────────────────────────────────────────────


def test_product_is_created_as_the_draft_says():
    product, saved = save(TEE)
    assert saved == SaveResult.CREATED
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
    assert saved == SaveResult.UNCHANGED
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
    assert save(replace(TEE, **change))[1] == SaveResult.UPDATED
    assert save(replace(TEE, **change))[1] == SaveResult.UNCHANGED
    assert Product.objects.count() == 1


def test_variants_that_the_draft_does_not_name_stay():
    save(TEE)
    product, _ = save(replace(TEE, variants=(VariantDraft("TEE-M", Decimal(20), options=("M",)),)))
    assert [variant.sku for variant in product.variants.all()] == ["TEE-S", "TEE-L", "TEE-M"]


def test_what_a_draft_does_not_say_stays():
    save(TEE)
    more = ProductDraft(slug="linen-tee", variants=(VariantDraft("TEE-M", Decimal(20), options=("M",)),))
    product, saved = save(more)
    assert (saved, product.title, product.variants.count()) == (SaveResult.UPDATED, "Linen Tee", 3)
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
    assert save(TEE, dry_run=True)[1] == SaveResult.CREATED
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
    assert save(replace(TEE, description_html=given))[1] == SaveResult.UNCHANGED


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
    assert save(replace(TEE, variants=(replace(SMALL, image_source="tee.png"),)))[1] == SaveResult.UPDATED
    assert ProductVariant.objects.get(sku="TEE-S").image == image


# ── staff's own ways ─────────────────────────────────────────────────────────────────────────────────

LATER = NOW + timedelta(days=1)


def create(draft=TEE, actor=None):
    return products.create(draft=draft, actor=actor, now=NOW)


def update(product, version=None, actor=None, **parts):
    return products.update(product_id=product.pk, version=version, draft=ProductDraft(**parts), actor=actor, now=LATER)


def variant(product, sku):
    return product.variants.get(sku=sku)


def fields(refused):
    errors = getattr(refused.value, "exceptions", [refused.value])
    return [(type(error), error.field) for error in errors]


def test_a_new_product_is_called_by_its_title_and_is_refused_when_sent_again():
    product = create(replace(TEE, slug=KEEP, title="Linen Tee, Ärmellos"))
    assert (product.slug, product.version) == ("linen-tee-ärmellos", 1)
    with pytest.raises(InvalidInput) as refused:
        create(replace(TEE, slug=product.slug))
    assert fields(refused) == [(InvalidInput, ("slug",))]
    assert Product.objects.count() == 1


def test_a_new_product_has_a_variant():
    with pytest.raises(InvalidInput):
        create(replace(TEE, variants=()))
    assert not Product.objects.exists()


def test_what_a_change_does_not_say_stays():
    product = create()
    update(product, title="Summer Tee")
    product.refresh_from_db()
    assert (product.title, product.vendor, product.published_at) == ("Summer Tee", "Harrow", NOW)
    assert (product.tags.count(), product.variants.count()) == (2, 2)
    small = variant(product, "TEE-S")
    update(product, variants=(VariantDraft(key=small.pk, price=Decimal(5)),))
    small.refresh_from_db()
    assert (small.price, small.option1, small.stock.on_hand) == (Decimal(5), "S", 5)


def test_every_change_counts_and_what_changes_nothing_does_not():
    product = create()
    for count, parts in enumerate(
        [
            {"title": "Summer Tee"},
            {"tags": ()},
            {"categories": ()},
            {"variants": (VariantDraft(sku="TEE-S", price=Decimal(1)),)},
            {"variants": (VariantDraft(sku="TEE-S", policy=StockPolicy.BACKORDER),)},
        ],
        start=2,
    ):
        assert update(product, version=count - 1, **parts).version == count
        assert update(product, version=count, **parts).version == count
        assert Product.objects.get().version == count


def test_a_change_of_what_another_has_changed_since_is_refused_with_the_row_as_it_is():
    product = create()
    update(product, version=1, title="Summer Tee")
    with pytest.raises(StaleVersion) as refused:
        update(product, version=1, title="Winter Tee")
    assert (refused.value.current.title, refused.value.current.version) == ("Summer Tee", 2)
    with pytest.raises(StaleVersion):
        products.delete(product_id=product.pk, version=1, actor=None, now=NOW)
    assert Product.objects.get().title == "Summer Tee"


def test_variants_take_each_others_options_and_skus():
    product = create()
    small, large = variant(product, "TEE-S"), variant(product, "TEE-L")
    swapped = (
        VariantDraft(key=small.pk, sku="TEE-L", options=("L",)),
        VariantDraft(key=large.pk, sku="TEE-S", options=("S",)),
    )
    update(product, variants=swapped)
    assert {(each.pk, each.sku, each.option1) for each in product.variants.all()} == {
        (small.pk, "TEE-L", "L"),
        (large.pk, "TEE-S", "S"),
    }


def test_units_of_what_is_there_are_not_counted_by_the_way():
    product = create()
    with pytest.raises(InvalidInput) as refused:
        update(product, variants=(VariantDraft(sku="TEE-M", price=Decimal(1), options=("M",), on_hand=3), SMALL))
    assert fields(refused) == [(InvalidInput, ("variants", "1", "on_hand"))]
    update(product, variants=(VariantDraft(sku="TEE-M", price=Decimal(1), options=("M",), on_hand=3),))
    assert variant(product, "TEE-M").stock.on_hand == 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"variants": (VariantDraft(sku="NEW"),)}, (InvalidInput, ("variants", "0", "price"))),
        ({"variants": (VariantDraft(price=Decimal(1)),)}, (InvalidInput, ("variants", "0", "sku"))),
        ({"variants": (VariantDraft(key=0),)}, (NotFound, ("variants", "0", "id"))),
        ({"variants": (VariantDraft("TEE-S", Decimal("1.999")),)}, (InvalidInput, ("variants", "0", "price"))),
        ({"variants": (VariantDraft("TEE-S", Decimal("Infinity")),)}, (InvalidInput, ("variants", "0", "price"))),
        ({"variants": (VariantDraft(sku="TEE-S", price=None),)}, (InvalidInput, ("variants", "0", "price"))),
        ({"variants": (VariantDraft(sku="TEE-S", options=("L",)),)}, (InvalidInput, ("variants", "0", "options"))),
        ({"variants": (VariantDraft(sku="TEE-S"), VariantDraft(sku="TEE-S"))}, (InvalidInput, ("variants", "1"))),
        ({"categories": (0,)}, (NotFound, ("category_ids",))),
        ({"tax_class_id": 0}, (NotFound, ("tax_class_id",))),
        ({"tags": ("fine", "")}, (InvalidInput, ("tags", "1", "name"))),
        ({"tags": tuple(map(str, range(101)))}, (InvalidInput, ("tags",))),
        ({"title": "   "}, (InvalidInput, ("title",))),
        ({"slug": "taken"}, (InvalidInput, ("slug",))),
        ({"delete_variants": (0,)}, (NotFound, ("delete_variant_ids",))),
        ({"is_published": True, "is_archived": True}, (InvalidInput, ("is_archived",))),
    ],
    ids=lambda given: str(given)[:60],
)  # fmt: skip
def test_a_change_that_cannot_be_is_refused_with_its_place_and_nothing_is_half_written(given, told):
    ProductFactory(slug="taken")
    product = create()
    before = Product.objects.values().get(pk=product.pk)
    with pytest.raises((DomainError, ExceptionGroup)) as refused:
        update(product, **{"vendor": "Another", **given})
    assert fields(refused) == [told]
    assert Product.objects.values().get(pk=product.pk) == before
    assert Change.objects.count() == 1


def test_what_is_withdrawn_is_neither_in_the_price_range_nor_for_sale():
    product = create()
    update(product, variants=(VariantDraft(sku="TEE-S", is_withdrawn=True),))
    product.refresh_from_db()
    assert (product.min_price, product.max_price) == (Decimal("24.90"), Decimal("24.90"))
    assert not carts.is_for_sale(variant=variant(product, "TEE-S"), now=NOW)
    with pytest.raises(InvalidInput):
        update(product, variants=(VariantDraft(sku="TEE-L", is_withdrawn=True),))
    assert carts.is_for_sale(variant=variant(product, "TEE-L"), now=NOW)


def test_what_is_archived_is_withdrawn_and_what_is_published_is_no_longer_archived():
    product = create()
    update(product, is_archived=True)
    product.refresh_from_db()
    assert (product.published_at, product.archived_at) == (None, LATER)
    update(product, is_published=True)
    product.refresh_from_db()
    assert (product.published_at, product.archived_at) == (LATER, None)


# ── deleting ─────────────────────────────────────────────────────────────────────────────────────────

UNCOUNTED = replace(TEE, variants=(replace(SMALL, on_hand=0), LARGE))


def delete(product):
    products.delete(product_id=product.pk, actor=None, now=NOW)


def test_what_nothing_hangs_on_is_deleted_with_its_variants():
    delete(create(UNCOUNTED))
    assert not Product.objects.exists()
    assert not ProductVariant.objects.exists()


def in_a_cart(small, ready_cart):
    carts.add_lines(key=carts.CartKey(), lines=[carts.NewLine(small.pk, 1)], now=NOW)


def in_an_order(small, placed_order):
    placed_order({small: 1})


def in_the_ledger(small, _):
    stock.adjust(request_id="1", lines=[stock.Adjustment(small.pk, 1)], actor=None, now=NOW)


def under_a_discount(small, _):
    DiscountFactory().products.add(small.product)


@pytest.mark.parametrize("use", [in_a_cart, in_an_order, in_the_ledger, under_a_discount])
def test_what_something_hangs_on_is_not_deleted(use, placed_order):
    product = create(replace(UNCOUNTED, variants=(replace(SMALL, on_hand=0, policy=StockPolicy.BACKORDER), LARGE)))
    use(variant(product, "TEE-S"), placed_order)
    with pytest.raises(InUse):
        delete(product)
    if use is not under_a_discount:
        with pytest.raises(InUse):
            update(product, delete_variants=(variant(product, "TEE-S").pk,))
    assert product.variants.count() == 2


def test_a_variant_that_nothing_hangs_on_is_deleted_but_not_the_last():
    product = create(UNCOUNTED)
    small, large = (variant(product, sku).pk for sku in ("TEE-S", "TEE-L"))
    update(product, delete_variants=(small,))
    assert [each.pk for each in product.variants.all()] == [large]
    with pytest.raises(InvalidInput):
        update(product, delete_variants=(large,))
    assert product.variants.count() == 1


# ── many at once ─────────────────────────────────────────────────────────────────────────────────────


def revise(*chosen, **parts):
    keys = [product.pk for product in chosen]
    return products.update_many(product_ids=keys, changes=BulkUpdate(**parts), actor=None, now=LATER)


def test_many_are_published_and_tagged_alike():
    sale = CategoryFactory()
    one, other = (ProductFactory(published_at=None) for _ in range(2))
    revise(one, other, add_tags=("old",))
    revise(
        one,
        other,
        vendor="Northfold",
        is_published=True,
        add_tags=("sale",),
        remove_tags=("old",),
        add_categories=(sale.pk,),
    )
    for product in Product.objects.all():
        assert (product.vendor, product.published_at, product.version) == ("Northfold", LATER, 3)
        assert ([tag.name for tag in product.tags.all()], list(product.categories.all())) == (["sale"], [sale])
    revise(one, is_archived=True, remove_categories=(sale.pk,))
    one.refresh_from_db()
    assert (one.archived_at, one.categories.count(), other.categories.count()) == (LATER, 0, 1)


def test_many_are_changed_all_or_none():
    product = ProductFactory()
    for chosen, parts, told in [
        ([product, Product(pk=10**9)], {"vendor": "x"}, [(NotFound, ("ids", "1"))]),
        ([product], {"vendor": "x", "add_categories": (0,)}, [(NotFound, ("add_category_ids",))]),
        ([product], {"vendor": "x" * 201}, [(InvalidInput, ("vendor",))]),
        ([], {"vendor": "x"}, [(InvalidInput, ("ids",))]),
        ([product] * 101, {"vendor": "x"}, [(InvalidInput, ("ids",))]),
    ]:
        with pytest.raises(DomainError) as refused:
            revise(*chosen, **parts)
        assert fields(refused) == told
    assert Product.objects.get().vendor == product.vendor


# ── who changed what ─────────────────────────────────────────────────────────────────────────────────


def test_each_change_is_told_with_who_and_how_it_was():
    olive = UserFactory(is_staff=True)
    product = create(actor=olive)
    update(
        product,
        actor=olive,
        title="Summer Tee",
        tags=("summer",),
        variants=(VariantDraft(sku="TEE-S", price=Decimal(5)),),
    )
    products.delete(
        product_id=create(replace(UNCOUNTED, slug="other", variants=(replace(LARGE, sku="X"),))).pk,
        actor=olive,
        now=NOW,
    )
    made, changed, _, deleted = Change.objects.order_by("id")
    assert (made.action, made.actor, made.kind, made.label, made.at) == ("CREATED", olive, "Product", "Linen Tee", NOW)
    assert made.fields["TEE-S on_hand"] == [None, 5]
    assert (changed.action, changed.key, changed.at) == ("UPDATED", str(product.pk), LATER)
    assert changed.fields == {
        "title": ["Linen Tee", "Summer Tee"],
        "tags": [["linen", "summer"], ["summer"]],
        "TEE-S price": ["19.900", "5"],
    }
    assert (deleted.action, deleted.fields["slug"]) == ("DELETED", ["other", None])


def test_a_long_text_is_told_in_part():
    create(replace(TEE, description_html="x" * 5_000))
    assert len(Change.objects.get().fields["description_html"][1]) == 2_001
