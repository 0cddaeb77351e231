"""How the domain's errors become `userErrors`."""

from domain.base.errors import DomainError
from domain.sales.cart import NotForSale
from domain.sales.checkout import CartEmpty
from schema.base import errors
from schema.root import graphql_schema


def names(shown):
    return [(type(error).__name__, error.code.value, error.message) for error in shown]


def test_an_error_without_a_type_of_its_own_is_invalid_input_with_its_own_code():
    (shown,) = errors.user_errors([CartEmpty("The cart is empty.", field=["cart_code"])])
    assert type(shown) is errors.InvalidInput
    assert (shown.code, shown.message, shown.field) == (
        errors.ErrorCode.CART_EMPTY,
        "The cart is empty.",
        ["cartCode"],
    )


def test_errors_of_several_types_keep_their_order():
    shown = errors.user_errors([NotForSale("One."), CartEmpty("Two."), NotForSale("Three."), DomainError("Four.")])
    assert names(shown) == [
        ("NotForSale", "NOT_FOR_SALE", "One."),
        ("InvalidInput", "CART_EMPTY", "Two."),
        ("NotForSale", "NOT_FOR_SALE", "Three."),
        ("InvalidInput", "INVALID", "Four."),
    ]


def test_a_subclass_of_an_error_is_shown_as_that_error():
    class Withdrawn(NotForSale):
        """An error that no type is registered for."""

    assert names(errors.user_errors([Withdrawn("Gone.")])) == [("NotForSale", "NOT_FOR_SALE", "Gone.")]


def test_every_registered_type_is_in_the_schema():
    registered = {type_.__name__ for type_ in errors.user_error_types()}
    interface = graphql_schema.type_map["UserError"]
    assert registered == {type_.name for type_ in graphql_schema.get_possible_types(interface)}
    assert {"InvalidInput", "InsufficientStock", "CartLocked", "RateLimited", "StaleVersion"} <= registered
