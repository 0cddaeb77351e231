"""Who may do what: every field for staff, asked for by everybody. A new field without a row here fails."""

from functools import partial

import pytest
from django.contrib.auth.models import Group, Permission
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    get_nullable_type,
    is_required_argument,
    is_required_input_field,
)

from schema.base import ids
from schema.root import graphql_schema
from storefront import groups
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

CLERK, MANAGER, SUPPORT, OWNER = groups.GROUPS
EVERYBODY = {CLERK, MANAGER, SUPPORT, OWNER}

# The fields for staff, each with the groups that may ask for it.
MATRIX = {
    # the catalogue
    "staffProducts": EVERYBODY,
    "staffProduct": EVERYBODY,
    "createProduct": {MANAGER, OWNER},
    "updateProduct": {MANAGER, OWNER},
    "updateProducts": {MANAGER, OWNER},
    "deleteProduct": {MANAGER, OWNER},
    "saveCategory": {MANAGER, OWNER},
    "deleteCategory": {MANAGER, OWNER},
    "createImageUpload": {MANAGER, OWNER},
    "attachImage": {MANAGER, OWNER},
    "updateImage": {MANAGER, OWNER},
    "deleteImage": {MANAGER, OWNER},
    "importProducts": {MANAGER, OWNER},
    "runProductImport": {MANAGER, OWNER},
    "productImport": {MANAGER, OWNER},
    # stock
    "importStock": {CLERK, MANAGER, OWNER},
    "runStockImport": {CLERK, MANAGER, OWNER},
    "stockImport": {CLERK, MANAGER, OWNER},
    "stockMovements": {CLERK, MANAGER, OWNER},
    "lowStock": EVERYBODY,
    "adjustStock": {CLERK, MANAGER, OWNER},
    # orders and customers
    "orders": {CLERK, SUPPORT, OWNER},
    "shipOrder": {CLERK, SUPPORT, OWNER},
    "markOrderDelivered": {CLERK, SUPPORT, OWNER},
    "refundPayment": {SUPPORT, OWNER},
    "customers": {SUPPORT, OWNER},
    # answering for the shop
    "salesReport": {OWNER},
    "changes": {MANAGER, OWNER},
    "audit": {CLERK, SUPPORT, OWNER},
    # the shop's terms
    "discounts": {MANAGER, SUPPORT, OWNER},
    "saveDiscount": {OWNER},
    "deleteDiscount": {OWNER},
    "currencies": {MANAGER, OWNER},
    "saveCurrency": {OWNER},
    "deleteCurrency": {OWNER},
    "saveVariantPrice": {MANAGER, OWNER},
    "deleteVariantPrice": {MANAGER, OWNER},
    "shippingZones": {OWNER},
    "saveShippingZone": {OWNER},
    "deleteShippingZone": {OWNER},
    "saveShippingMethod": {OWNER},
    "deleteShippingMethod": {OWNER},
    "taxClasses": {MANAGER, OWNER},
    "saveTaxClass": {OWNER},
    "deleteTaxClass": {OWNER},
    "taxRates": {OWNER},
    "saveTaxRate": {OWNER},
    "deleteTaxRate": {OWNER},
}
# The fields for buyers, who see what is public and what is theirs: `test_ownership.py` tries that.
OPEN = {
    *("shop", "product", "products", "category", "categories", "cart", "order", "me"),
    *("register", "login", "refreshToken", "logout", "requestPasswordReset", "resetPassword", "verifyEmail"),
    *("changePassword", "updateProfile", "saveAddress", "deleteAddress", "deleteAccount"),
    *("addToCart", "updateCartLine", "removeFromCart", "clearCart"),
    *("checkout", "applyDiscountCode", "removeDiscountCode", "placeOrder", "cancelOrder", "startPayment"),
}
ROOTS = {"query": graphql_schema.query_type.fields, "mutation": graphql_schema.mutation_type.fields}
FIELDS = {name: (kind, field) for kind, fields in ROOTS.items() for name, field in fields.items()}
# Something that each scalar accepts; an id is nobody's.
SCALARS = {
    "ID": ids.encode("Nobody", 1),
    "String": "x",
    "Int": 1,
    "Boolean": True,
    "Decimal": "1",
    "DateTime": "2030-01-01T00:00:00Z",
    "Upload": None,  # It is sent beside the operation.
}


def test_every_field_is_for_buyers_or_has_a_row():
    assert MATRIX.keys() | OPEN == FIELDS.keys()
    assert not MATRIX.keys() & OPEN


def test_a_field_says_whether_it_is_for_staff():
    assert {name for name, (_, field) in FIELDS.items() if field.description.startswith("For staff")} == MATRIX.keys()


def example(type_):
    """The least that an argument of the type accepts."""
    named = get_named_type(type_)
    if isinstance(get_nullable_type(type_), GraphQLList):
        return [example(GraphQLNonNull(named))]
    if isinstance(named, GraphQLInputObjectType):
        needed = {name: part.type for name, part in named.fields.items() if is_required_input_field(part)}
        return {name: example(part) for name, part in needed.items()}
    return next(iter(named.values)) if isinstance(named, GraphQLEnumType) else SCALARS[named.name]


def question(name):
    """A document that asks for the field with the least that it takes, and the variables for it."""
    kind, field = FIELDS[name]
    given = {key: it.type for key, it in field.args.items() if is_required_argument(it)}
    variables = ", ".join(f"${key}: {type_}" for key, type_ in given.items())
    passed = ", ".join(f"{key}: ${key}" for key in given)
    parts = (f"({variables})" if given else "", f"({passed})" if given else "")
    below = " { __typename }"
    return f"{kind} {parts[0]} {{ {name}{parts[1]}{below} }}", {key: example(type_) for key, type_ in given.items()}


def takes_a_file(name):
    types = [get_named_type(it.type) for it in FIELDS[name][1].args.values()]
    return any("file" in it.fields for it in types if isinstance(it, GraphQLInputObjectType))


@pytest.fixture
def answer(api):
    """`answer("orders", user)`: the codes of the GraphQL errors that the user meets."""

    def ask(name, user):
        api.client.logout()
        if user is not None:
            api.client.force_login(user)
        document, variables = question(name)
        send = partial(api.upload, b"no CSV") if takes_a_file(name) else api.post
        errors = send(document, **variables).json().get("errors", ())
        return {error["extensions"]["code"] for error in errors}

    return ask


@pytest.fixture
def people():
    """By group, somebody of the staff who is in it."""

    def member(name):
        user = UserFactory(is_staff=True)
        user.groups.set(Group.objects.filter(name=name))
        assert user.groups.count() == 1
        return user

    return {name: member(name) for name in groups.GROUPS}


def test_the_groups_of_its_row_may_ask_for_a_field_and_nobody_else(subtests, answer, people):
    customer, staff = UserFactory(), UserFactory(is_staff=True)
    for name, groups_of_row in MATRIX.items():
        with subtests.test(name):
            assert answer(name, None) == {"UNAUTHENTICATED"}
            assert answer(name, customer) == {"FORBIDDEN"}
            assert answer(name, staff) == {"FORBIDDEN"}
            for group, user in people.items():
                # BAD_USER_INPUT: let in, and told that what it asks for is nobody's.
                allowed = answer(name, user) - {"BAD_USER_INPUT"}
                assert allowed == (set() if group in groups_of_row else {"FORBIDDEN"}), group


def test_whoever_left_the_staff_may_nothing_though_still_in_a_group(answer, people):
    owner = people[OWNER]
    owner.is_staff = False
    owner.save()
    assert answer("orders", owner) == {"FORBIDDEN"}


def test_every_permission_that_a_group_is_given_exists():
    known = set(Permission.objects.filter(content_type__app_label="storefront").values_list("codename", flat=True))
    for name, wanted in groups.GROUPS.items():
        assert set(wanted or ()) <= known, name
        given = Group.objects.get(name=name).permissions.filter(content_type__app_label="storefront")
        assert set(given.values_list("codename", flat=True)) == (known if wanted is None else set(wanted))


def test_a_group_that_is_missing_is_made_and_one_that_the_owner_changed_stays():
    clerk = Group.objects.get(name=CLERK)
    clerk.permissions.clear()
    Group.objects.get(name=SUPPORT).delete()
    groups.make_missing_groups()
    assert clerk.permissions.count() == 0
    assert Group.objects.get(name=SUPPORT).permissions.filter(codename="add_refund").exists()
