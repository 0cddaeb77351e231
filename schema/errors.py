"""Refusals as clients see them: expected ones as `userErrors`, the rest as GraphQL errors with a code."""

import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from graphql import GraphQLError

from domain.cart import CartLocked as CartLockedError
from domain.errors import DomainError
from domain.orders import TotalChanged as TotalChangedError
from domain.stock import InsufficientStock as InsufficientStockError
from schema.scalars import Money

if TYPE_CHECKING:
    from schema.catalog import ProductVariant
    from schema.orders import Order


def bad_user_input(message: str) -> GraphQLError:
    """An argument that no user could have given: a front end's mistake, not a shopper's."""
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


@strawberry.enum(description="Why a mutation did nothing.")
class ErrorCode(Enum):
    INVALID = strawberry.enum_value("INVALID", description="The input breaks a rule that the message states.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="There is no such thing, or it is not the viewer's.")
    INSUFFICIENT_STOCK = strawberry.enum_value("INSUFFICIENT_STOCK", description="See `InsufficientStock`.")
    NOT_FOR_SALE = strawberry.enum_value("NOT_FOR_SALE", description="The variant is unknown or withdrawn.")
    CART_EMPTY = strawberry.enum_value("CART_EMPTY", description="There is nothing in the cart.")
    CART_LOCKED = strawberry.enum_value("CART_LOCKED", description="See `CartLocked`.")
    TOTAL_CHANGED = strawberry.enum_value("TOTAL_CHANGED", description="See `TotalChanged`.")
    EMAIL_MISSING = strawberry.enum_value("EMAIL_MISSING", description="The checkout has no e-mail address.")
    ADDRESS_INCOMPLETE = strawberry.enum_value(
        "ADDRESS_INCOMPLETE", description="A part of an address is missing, or the shop does not sell there."
    )
    SHIPPING_UNAVAILABLE = strawberry.enum_value(
        "SHIPPING_UNAVAILABLE",
        description="No shipping option is chosen, or it is not offered for the address.",
    )
    ORDER_STATE = strawberry.enum_value("ORDER_STATE", description="The order's state does not allow it.")
    PAYMENT_DECLINED = strawberry.enum_value("PAYMENT_DECLINED", description="Refused: try another method.")
    PAYMENT_UNAVAILABLE = strawberry.enum_value(
        "PAYMENT_UNAVAILABLE",
        description="The provider is not enabled, or gave no answer: try the same again.",
    )


@strawberry.interface(description="Why a mutation did nothing, in a way that a program can act on.")
class UserError:
    code: ErrorCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(description="For people, in English.")
    field: list[str] | None = strawberry.field(
        description='The path into the input (`["lines", "0", "quantity"]`), or into the cart for what keeps it '
        "from becoming an order; null when it is about no one field."
    )


@strawberry.type(description="Everything that needs no data beyond its code and message.")
class InvalidInput(UserError):
    pass


@strawberry.type(description="Fewer units can be had than were asked for.")
class InsufficientStock(UserError):
    variant: Annotated["ProductVariant", strawberry.lazy("schema.catalog")] = strawberry.field(
        description="What there is too little of."
    )
    requested: int = strawberry.field(description="Units that the line would have had.")
    available: int = strawberry.field(description="Units that can be had now.")


@strawberry.type(description="The cart no longer costs what the buyer saw. Show the new total, then place again.")
class TotalChanged(UserError):
    expected: Money = strawberry.field(description="What was sent.")
    actual: Money = strawberry.field(description="What the cart costs now.")


@strawberry.type(description="The cart can no longer change.")
class CartLocked(UserError):
    order: Annotated["Order", strawberry.lazy("schema.orders")] | None = strawberry.field(
        description="What it became; null when it was merged into another cart."
    )


def _camel(part: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), part)


def user_error(error: DomainError) -> UserError:
    """The schema's form of a domain error."""
    basics: dict[str, Any] = {
        "code": ErrorCode(error.code),
        "message": error.message,
        "field": [_camel(part) for part in error.field] or None,
    }
    match error:
        case InsufficientStockError():
            variant: Any = error.variant
            return InsufficientStock(**basics, variant=variant, requested=error.requested, available=error.available)
        case TotalChangedError():
            return TotalChanged(
                **basics,
                expected=Money.of(error.expected, error.currency),
                actual=Money.of(error.actual, error.currency),
            )
        case CartLockedError():
            order: Any = error.order
            return CartLocked(**basics, order=order)
        case _:
            return InvalidInput(**basics)


class Refusals:
    """`with Refusals() as errors:` turns the domain's errors into a payload's; call the domain in it, once."""

    def __enter__(self) -> list[UserError]:
        self._errors: list[UserError] = []
        return self._errors

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        raised = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        refusals = [each for each in raised if isinstance(each, DomainError)]
        self._errors += [user_error(refusal) for refusal in refusals]
        return len(refusals) == len(raised)
