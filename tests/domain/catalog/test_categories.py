"""The tree as staff write it."""

import pytest

from domain.base.change_log import StaleVersion
from domain.base.crud import InUse
from domain.base.errors import InvalidInput, NotFound
from domain.catalog import browse, categories, search
from domain.catalog.browse import ProductFilter
from storefront.models import Category, Change
from tests.factories import NOW, CategoryFactory, DiscountFactory, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db


def save(category=None, version=None, actor=None, **values):
    key = category.pk if category else None
    return categories.save(key=key, version=version, values=values, actor=actor, now=NOW)


def delete(category, version=None):
    categories.delete(key=category.pk, version=version, actor=None, now=NOW)


def found(text):
    return set(browse.browse(filter=ProductFilter(), query=search.parse_query(text=text), now=NOW))


def test_a_category_is_made_with_a_slug_of_its_name_and_refused_when_sent_again():
    shirts = save(name=" Summer shirts ", parent_id=CategoryFactory().pk)
    assert (shirts.name, shirts.slug, shirts.version) == ("Summer shirts", "summer-shirts", 1)
    with pytest.raises(InvalidInput) as refused:
        save(name="Summer shirts")
    assert refused.value.field == ("slug",)


def test_products_are_found_by_the_new_name_and_no_longer_by_the_old_one():
    shirts = CategoryFactory(name="Shirts")
    products = {VariantFactory().product for _ in range(3)}
    for product in products:
        product.categories.add(shirts)
    save(shirts, name="Blouses")
    assert (found("blouses"), found("shirts")) == (products, set())


def test_renaming_costs_the_same_for_many_products(statements):
    costs = set()
    for size in (1, 20):
        category = CategoryFactory()
        for _ in range(size):
            VariantFactory().product.categories.add(category)
        with statements() as counted:
            save(category, name=f"{category.name} of {size}")
        costs.add(len(counted))
    assert len(costs) == 1


def test_a_category_does_not_hang_below_itself():
    root = CategoryFactory()
    leaf = CategoryFactory(parent=CategoryFactory(parent=root))
    for parent in (root, leaf):
        with pytest.raises(InvalidInput) as refused:
            save(root, parent_id=parent.pk)
        assert refused.value.field == ("parent_id",)


def test_a_change_of_what_another_has_changed_since_is_refused():
    shirts = CategoryFactory()
    save(shirts, version=1, name="Blouses")
    with pytest.raises(StaleVersion) as refused:
        save(shirts, version=1, name="Tops")
    assert (refused.value.current.name, refused.value.current.version) == ("Blouses", 2)
    with pytest.raises(StaleVersion):
        delete(shirts, version=1)
    assert save(shirts, version=2, position=3).version == 3


def test_a_category_on_which_nothing_hangs_is_deleted_and_any_other_stays():
    below, product, discount = CategoryFactory(parent=CategoryFactory()), CategoryFactory(), CategoryFactory()
    VariantFactory().product.categories.add(product)
    DiscountFactory().categories.add(discount)
    for category in (below.parent, product, discount):
        with pytest.raises(InUse):
            delete(category)
    delete(below)
    assert set(Category.objects.all()) == {below.parent, product, discount}
    with pytest.raises(NotFound):
        delete(below)


def test_who_did_what_to_the_tree_is_told():
    olive = UserFactory(is_staff=True)
    shirts = save(name="Shirts", actor=olive)
    save(shirts, actor=olive, name="Blouses")
    save(shirts, actor=olive, name="Blouses")
    delete(shirts)
    told = [(change.action, change.actor, change.fields.get("name")) for change in Change.objects.order_by("id")]
    assert told == [
        ("CREATED", olive, [None, "Shirts"]),
        ("UPDATED", olive, ["Shirts", "Blouses"]),
        ("DELETED", None, ["Blouses", None]),
    ]
