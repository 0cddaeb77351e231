"""What is called public is the same for everyone: neither its types nor what resolves them know who asks."""

import inspect
import json
import re

import pytest
from django.test import RequestFactory
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    OperationDefinitionNode,
    get_named_type,
    parse,
)

from schema.base import public
from schema.base.context import Context
from schema.root import graphql_schema
from schema.serving import execution
from schema.serving.examples import tabs

SCHEMA = graphql_schema
PUBLIC_FIELDS = {"shop", "product", "products", "category", "categories"}
# Reviewed, each: nothing in them depends on who asks.
PUBLIC_TYPES = {
    "AddressRules",
    "Category",
    "Facet",
    "FacetValue",
    "Image",
    "Money",
    "PageInfo",
    "PriceRange",
    "Product",
    "ProductConnection",
    "ProductEdge",
    "ProductOption",
    "ProductVariant",
    "Region",
    "SelectedOption",
    "Shop",
}


def reachable():
    """Every type with fields that an answer to a public root field can hold."""
    waiting = [SCHEMA.query_type.fields[name].type for name in sorted(PUBLIC_FIELDS)]
    found = {}
    while waiting:
        type_ = get_named_type(waiting.pop())
        if isinstance(type_, GraphQLUnionType):
            waiting += type_.types
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and type_.name not in found:
            found[type_.name] = type_
            waiting += [field.type for field in type_.fields.values()]
            if isinstance(type_, GraphQLInterfaceType):
                waiting += SCHEMA.get_possible_types(type_)
    return found


def test_these_root_fields_are_public_and_no_others():
    assert public.fields(SCHEMA) == PUBLIC_FIELDS | {"__typename"}


def test_only_types_that_were_looked_through_can_be_reached_from_them():
    assert reachable().keys() == PUBLIC_TYPES


def resolvers():
    for type_ in reachable().values():
        for name, field in type_.fields.items():
            definition = field.extensions.get("strawberry-definition")
            if definition is not None and definition.base_resolver:
                yield f"{type_.name}.{name}", definition.base_resolver.wrapped_func
    for name in sorted(PUBLIC_FIELDS):
        yield (
            f"Query.{name}",
            SCHEMA.query_type.fields[name].extensions["strawberry-definition"].base_resolver.wrapped_func,
        )


@pytest.mark.parametrize("resolver", [pytest.param(function, id=name) for name, function in resolvers()])
def test_what_resolves_them_takes_of_its_request_what_is_the_same_for_everyone(resolver):
    asked = set(re.findall(r"\bcontext\.(\w+)", inspect.getsource(resolver)))
    assert asked <= {"now", "exchange", "shows_foreign_currency", "categories", "absolute"}


def test_nothing_for_staff_can_be_reached_from_them():
    for type_ in reachable().values():
        for name, field in type_.fields.items():
            assert "staff" not in (field.description or ""), f"{type_.name}.{name}"


class Nobody(Context):
    """A request that nothing may ask who sent it, or what for."""

    def forbidden(self, *_):
        pytest.fail("A public field asks who it is.")

    session = viewer = user = session_id = property(forbidden)
    allow = cookie = enter = leave = cart_key = forbidden


def documented():
    for tab in tabs():
        for part in parse(tab["query"]).definitions:
            if isinstance(part, OperationDefinitionNode):
                yield tab, part.name.value


@pytest.mark.django_db
def test_every_documented_operation_that_is_public_is_answered_for_nobody(demo_shop):
    asked = []
    for tab, name in documented():
        prepared = execution.prepare(tab["query"], name, pay=lambda _: None)
        if prepared.is_public:
            context = Nobody(request=RequestFactory().get("/graphql/"), trusts_cookies=False)
            variables = json.loads(tab["variables"] or "{}")
            assert not execution.execute(prepared, variables, context).has_errors
            assert not context.is_personal
            asked.append(name)
    assert asked == ["Browse", "Search", "ProductPage", "ProductInDollars"]


@pytest.mark.parametrize(
    ("document", "is_public"),
    [
        ("{ shop { name } }", True),
        ("{ __typename }", True),
        ("query @inContext(currency: \"EUR\") { a: shop { name } b: categories { name } }", True),
        ("{ ...A } fragment A on Query { ... { ...B } } fragment B on Query { shop { name } }", True),
        ("{ ...A ...A } fragment A on Query { categories { ...B } } fragment B on Category { name }", True),
        ("{ shop { name } me { name } }", False),
        ("{ shop { name } ... on Query { cart { id } } }", False),
        ("{ shop { name } ...A } fragment A on Query { ...B } fragment B on Query { me { name } }", False),
        ("{ shop { name } me @skip(if: true) { name } }", False),
        ("{ shop: me { name } }", False),
        ("{ __schema { queryType { name } } shop { name } }", False),
        ("mutation { clearCart { userErrors { code } } }", False),
    ],
)  # fmt: skip
def test_an_operation_is_public_if_each_of_its_root_fields_is(settings, document, is_public):
    settings.INTROSPECTION = True
    assert execution.prepare(document, None, pay=lambda _: None).is_public is is_public
