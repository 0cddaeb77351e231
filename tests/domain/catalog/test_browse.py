from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.catalog import browse, facets, search
from domain.catalog.browse import OptionFilter, ProductFilter
from domain.catalog.facets import FacetKind
from storefront.models import Category, StockPolicy, Tag
from tests.factories import NOW, CategoryFactory, ProductFactory, VariantFactory

pytestmark = pytest.mark.django_db


# ── browsing ─────────────────────────────────────────────────────────────────────────────────────────


def shown(question=None, **wanted):
    asked = search.parse_query(text=question) if question else None
    return set(browse.browse(filter=ProductFilter(**wanted), query=asked, now=NOW))


def product_with(*variants, **fields):
    """A product with the options Size and Colour; each variant is (size, colour, on hand)."""
    product = ProductFactory(option1_name="Size", option2_name="Colour", **fields)
    for size, colour, on_hand in variants:
        VariantFactory(product=product, option1=size, option2=colour, stock__on_hand=on_hand)
    return product


def test_drafts_and_scheduled_products_are_not_shown():
    ProductFactory(published_at=None)
    ProductFactory(published_at=NOW + timedelta(seconds=1))
    since_now = ProductFactory(published_at=NOW)
    assert shown() == {since_now}


def test_category_shows_what_hangs_on_it_or_below_it():
    clothes = CategoryFactory()
    shirts = CategoryFactory(parent=clothes)
    linen = CategoryFactory(parent=shirts)
    on, below, elsewhere = ProductFactory.create_batch(3)
    on.categories.add(shirts, clothes)
    below.categories.add(linen)
    elsewhere.categories.add(CategoryFactory())
    assert shown(categories=Category.objects.filter(pk=clothes.pk)) == {on, below}
    assert shown(categories=Category.objects.filter(pk=linen.pk)) == {below}


def test_unknown_category_shows_nothing():
    ProductFactory()
    assert shown(categories=Category.objects.none()) == set()


def test_way_to_a_category_is_told_from_the_root_down():
    root = CategoryFactory()
    middle = CategoryFactory(parent=root)
    leaf = CategoryFactory(parent=middle)
    tree = browse.CategoryTree()
    assert tree.ancestors(leaf) == [root, middle]
    assert tree.ancestors(root) == []
    assert (tree.parent(leaf), tree.parent(root)) == (middle, None)


def test_tree_of_categories_is_walked_down_in_the_shops_order():
    last, first = CategoryFactory(position=2), CategoryFactory(position=1)
    lower, upper = CategoryFactory(parent=first, position=2), CategoryFactory(parent=first, position=1)
    leaf = CategoryFactory(parent=lower)
    tree = browse.CategoryTree()
    assert (tree.children(None), tree.children(first), tree.children(leaf)) == ([first, last], [upper, lower], [])
    assert tree.with_descendants(first)[0] == first
    assert set(tree.with_descendants(first)) == {first, upper, lower, leaf}
    assert len(tree.with_descendants(first)) == 4
    assert tree.with_descendants(leaf) == [leaf]


def test_tree_of_categories_is_read_in_one_statement(statements):
    root = CategoryFactory()
    leaf = CategoryFactory(parent=CategoryFactory(parent=root))
    with statements() as counted:
        tree = browse.CategoryTree()
        assert (len(tree.ancestors(leaf)), len(tree.with_descendants(root)), len(tree.children(None))) == (2, 3, 1)
    assert len(counted) == 1


def test_values_of_one_filter_are_alternatives_and_filters_add_up():
    harrow, northfold, other = (ProductFactory(vendor=vendor) for vendor in ("Harrow", "Northfold", "Other"))
    shirt = ProductFactory(vendor="Harrow", product_type="Shirt")
    assert shown(vendors=("Harrow", "Northfold")) == {harrow, northfold, shirt}
    assert shown(vendors=("Harrow", "Northfold"), product_types=("Shirt",)) == {shirt}
    assert other not in shown(vendors=("Harrow",))


def test_product_with_several_of_the_tags_is_shown_once():
    linen, summer = Tag.objects.bulk_create([Tag(name="linen"), Tag(name="summer")])
    both, one, _none = ProductFactory.create_batch(3)
    both.tags.set([linen, summer])
    one.tags.set([linen])
    found = browse.browse(filter=ProductFilter(tags=("linen", "summer")), query=None, now=NOW)
    assert sorted(found, key=lambda product: product.pk) == [both, one]
    assert shown(tags=("summer",)) == {both}
    assert shown(tags=("wool",)) == set()


def test_price_bounds_hold_the_lowest_price_and_are_inclusive():
    cheap, dear = (VariantFactory(price=Decimal(price)).product for price in ("10.00", "20.00"))
    VariantFactory(product=cheap, price=Decimal(50), option1="Large")
    assert shown(price_gte=Decimal(10), price_lte=Decimal(20)) == {cheap, dear}
    assert shown(price_gte=Decimal("10.01")) == {dear}
    assert shown(price_lte=Decimal("19.99")) == {cheap}
    assert shown(price_gte=Decimal(20), price_lte=Decimal(10)) == set()


def test_option_is_found_under_whichever_number_it_has():
    first = product_with(("M", "Sand", 1))
    second = ProductFactory(option1_name="Colour", option2_name="Size")
    VariantFactory(product=second, option1="Sand", option2="M")
    misnamed = ProductFactory(option1_name="Fit")
    VariantFactory(product=misnamed, option1="M")
    assert shown(options=(OptionFilter("Size", ("M",)),)) == {first, second}


def test_options_hold_for_one_and_the_same_variant():
    medium_sand = product_with(("M", "Sand", 1), ("L", "Black", 1))
    product_with(("M", "Black", 1), ("L", "Sand", 1))
    size, colour = OptionFilter("Size", ("M",)), OptionFilter("Colour", ("Sand",))
    assert shown(options=(size, colour)) == {medium_sand}


def test_values_of_one_option_are_alternatives():
    medium, large, _small = (product_with((size, "Sand", 1)) for size in ("M", "L", "S"))
    assert shown(options=(OptionFilter("Size", ("M", "L")),)) == {medium, large}


def test_chosen_option_has_to_be_there_to_be_sold():
    there = product_with(("M", "Sand", 1))
    gone = product_with(("M", "Sand", 0), ("L", "Sand", 9))
    size = (OptionFilter("Size", ("M",)),)
    assert shown(options=size, available=True) == {there}
    assert shown(options=size, available=False) == {gone}
    assert shown(options=size) == {there, gone}


def test_available_is_what_has_a_variant_that_can_be_sold():
    some, none = product_with(("M", "Sand", 0), ("L", "Sand", 1)), product_with(("M", "Sand", 0))
    on_order = VariantFactory(stock__on_hand=0, stock__policy=StockPolicy.BACKORDER).product
    voucher = VariantFactory(stock__on_hand=0, stock__policy=StockPolicy.UNTRACKED).product
    all_promised = VariantFactory(stock__on_hand=3, stock__reserved=3).product
    assert shown(available=True) == {some, on_order, voucher}
    assert shown(available=False) == {none, all_promised}


def test_products_are_found_by_their_keys_unless_hidden():
    here, hidden = ProductFactory(), ProductFactory(published_at=None)
    ProductFactory()
    assert shown(ids=(here.pk, hidden.pk)) == {here}
    assert shown(ids=()) == set()


def test_filters_narrow_what_a_question_finds():
    linen = VariantFactory(product__title="Linen shirt", product__vendor="Northfold").product
    VariantFactory(product__title="Linen coat")
    assert shown("linen", vendors=("Northfold",)) == {linen}


# ── facets ───────────────────────────────────────────────────────────────────────────────────────────


def counts(question=None, **wanted):
    asked = search.parse_query(text=question) if question else None
    found = facets.count(filter=ProductFilter(**wanted), query=asked, now=NOW)
    return {facet.name: {value.value: value.count for value in facet.values} for facet in found}


@pytest.fixture
def shelf():
    """Shirts and coats of two vendors, in sizes and colours, some of them sold out."""
    linen, wool = Tag.objects.bulk_create([Tag(name="linen"), Tag(name="wool")])
    shirt = product_with(("M", "Sand", 1), ("L", "Black", 1), vendor="Harrow", product_type="Shirt")
    blouse = product_with(("M", "Black", 0), ("L", "Sand", 1), vendor="Northfold", product_type="Shirt")
    coat = product_with(("M", "Black", 1), vendor="Northfold", product_type="Coat")
    shirt.tags.set([linen])
    blouse.tags.set([linen, wool])
    coat.tags.set([wool])
    product_with(("XS", "Pink", 1), vendor="Hidden", published_at=None)


def test_facets_count_what_is_shown(shelf):
    assert counts() == {
        "Vendor": {"Northfold": 2, "Harrow": 1},
        "Type": {"Shirt": 2, "Coat": 1},
        "Tag": {"linen": 2, "wool": 2},
        "Size": {"M": 3, "L": 2},
        "Colour": {"Black": 3, "Sand": 2},
    }


def test_facet_counts_under_the_other_filters_and_not_its_own(shelf):
    found = counts(vendors=("Northfold",), product_types=("Shirt",))
    assert found["Vendor"] == {"Harrow": 1, "Northfold": 1}
    assert found["Type"] == {"Coat": 1, "Shirt": 1}
    assert found["Tag"] == {"linen": 1, "wool": 1}
    assert counts(options=(OptionFilter("Size", ("L",)),))["Size"] == {"M": 3, "L": 2}


def test_facets_count_what_a_question_finds():
    for title, vendor in [("Linen shirt", "Harrow"), ("Linen coat", "Northfold"), ("Wool coat", "Northfold")]:
        VariantFactory(product__title=title, product__vendor=vendor)
    assert counts("linen")["Vendor"] == {"Harrow": 1, "Northfold": 1}


def test_facets_tell_the_most_frequent_first(shelf):
    vendors, *_ = facets.count(filter=ProductFilter(), query=None, now=NOW)
    assert (vendors.kind, [value.value for value in vendors.values]) == (FacetKind.VENDOR, ["Northfold", "Harrow"])


def test_facet_without_values_is_left_out():
    ProductFactory(vendor="")
    assert counts() == {}


def chosen(wanted, kind, name, value):
    """The filter, with the facet's own part replaced by one value."""
    if kind == FacetKind.OPTION:
        others = tuple(option for option in wanted.options if option.name != name)
        return replace(wanted, options=(*others, OptionFilter(name, (value,))))
    part = {FacetKind.VENDOR: "vendors", FacetKind.PRODUCT_TYPE: "product_types", FacetKind.TAG: "tags"}[kind]
    return replace(wanted, **{part: (value,)})


@pytest.mark.parametrize(
    "wanted",
    [
        ProductFilter(),
        ProductFilter(vendors=("Northfold",), tags=("wool",)),
        ProductFilter(available=True),
        ProductFilter(available=False),
        ProductFilter(options=(OptionFilter("Size", ("M",)),)),
        ProductFilter(options=(OptionFilter("Size", ("M",)), OptionFilter("Colour", ("Black",))), available=True),
    ],
    ids=["all", "vendor-tag", "available", "sold-out", "size", "size-colour-available"],
)
def test_count_is_how_many_products_the_choice_leaves(shelf, wanted):
    for facet in facets.count(filter=wanted, query=None, now=NOW):
        told = {value.value: value.count for value in facet.values}
        left = {
            value: browse.browse(filter=chosen(wanted, facet.kind, facet.name, value), query=None, now=NOW).count()
            for value in told
        }
        assert told == left, facet.name
