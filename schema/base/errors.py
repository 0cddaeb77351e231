"""Errors as clients see them: expected ones as `userErrors`, the others as GraphQL errors with a code.

Each type of `userErrors` is defined next to the type that it is about, and registers itself with `user_error`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any, TypeVar

import strawberry
from graphql import GraphQLError

from domain.accounts.throttle import RateLimited as RateLimitedError
from domain.base.change_log import StaleVersion as StaleVersionError
from domain.base.errors import DomainError, NotFound
from domain.base.errors import InvalidInput as InvalidInputError
from schema.base import ids
from schema.base.context import Info
from schema.base.loading import load_as
from storefront import models


class BadRequest(Exception):
    """A request that cannot be executed as GraphQL. `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


def bad_user_input(message: str) -> GraphQLError:
    """An invalid argument that is a mistake of the front end, not of the user."""
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


@contextmanager
def invalid_input_as_graphql_error() -> Iterator[None]:
    """For queries, which have no `userErrors`: turns invalid input into a GraphQL error."""
    try:
        yield
    except (InvalidInputError, NotFound) as error:
        raise bad_user_input(error.message) from None


@contextmanager
def rate_limit_as_graphql_error() -> Iterator[None]:
    """For queries, which have no `userErrors`: turns RateLimited into a GraphQL error."""
    try:
        yield
    except RateLimitedError as error:
        extensions = {"code": error.code, "retryAfter": error.retry_after}
        raise GraphQLError(error.message, extensions=extensions) from None


@strawberry.enum(description="The reason why a mutation failed, for programs.")
class ErrorCode(Enum):
    INVALID = strawberry.enum_value("INVALID", description="The input breaks a rule; `message` states the rule.")
    NOT_FOUND = strawberry.enum_value(
        "NOT_FOUND", description="The object does not exist, or it belongs to somebody else."
    )
    INSUFFICIENT_STOCK = strawberry.enum_value(
        "INSUFFICIENT_STOCK", description="Not enough units are available. See `InsufficientStock`."
    )
    NOT_FOR_SALE = strawberry.enum_value(
        "NOT_FOR_SALE", description="The variant does not exist or is no longer sold. See `NotForSale`."
    )
    CART_EMPTY = strawberry.enum_value("CART_EMPTY", description="The cart has no lines.")
    CART_LOCKED = strawberry.enum_value(
        "CART_LOCKED", description="The cart can no longer be changed. See `CartLocked`."
    )
    TOTAL_CHANGED = strawberry.enum_value(
        "TOTAL_CHANGED", description="The total differs from `expectedTotal`. See `TotalChanged`."
    )
    EMAIL_MISSING = strawberry.enum_value("EMAIL_MISSING", description="The checkout has no e-mail address.")
    ADDRESS_INCOMPLETE = strawberry.enum_value(
        "ADDRESS_INCOMPLETE",
        description="A required part of an address is missing or invalid, or the shop does not ship to its country. "
        "See `AddressIncomplete`.",
    )
    SHIPPING_UNAVAILABLE = strawberry.enum_value(
        "SHIPPING_UNAVAILABLE",
        description="No shipping option is chosen, or the chosen one is not available. See `ShippingUnavailable`.",
    )
    DISCOUNT_REFUSED = strawberry.enum_value(
        "DISCOUNT_REFUSED", description="A discount code cannot be used. See `DiscountRefused`."
    )
    CURRENCY_UNAVAILABLE = strawberry.enum_value(
        "CURRENCY_UNAVAILABLE",
        description="The shop does not sell in this currency. `shop.currencies` lists the available ones.",
    )
    PRICE_CHANGED = strawberry.enum_value(
        "PRICE_CHANGED",
        description="The price of a variant changed after it was added to the cart. See `PriceChanged`.",
    )
    IN_USE = strawberry.enum_value(
        "IN_USE",
        description="Other objects refer to this one, so it cannot be deleted. Deactivate or archive it instead.",
    )
    ORDER_STATE = strawberry.enum_value("ORDER_STATE", description="The state of the order does not allow this.")
    PAYMENT_DECLINED = strawberry.enum_value(
        "PAYMENT_DECLINED", description="The payment was declined. Try another payment method."
    )
    PAYMENT_UNAVAILABLE = strawberry.enum_value(
        "PAYMENT_UNAVAILABLE",
        description="The payment provider is not enabled, or it did not answer. Try again.",
    )
    INVALID_CREDENTIALS = strawberry.enum_value(
        "INVALID_CREDENTIALS", description="The e-mail address or the password is wrong."
    )
    TOKEN_EXPIRED = strawberry.enum_value(
        "TOKEN_EXPIRED",
        description="The refresh token, or the token of a link in a mail, has expired, is unknown or was used before.",
    )
    TOKEN_REUSED = strawberry.enum_value(
        "TOKEN_REUSED", description="A refresh token was used twice, so its session was ended. Log in again."
    )
    REQUEST_ID_REUSED = strawberry.enum_value(
        "REQUEST_ID_REUSED", description="This `requestId` was used before with another input."
    )
    STALE_VERSION = strawberry.enum_value(
        "STALE_VERSION", description="The object changed after it was read. See `StaleVersion`."
    )
    STORAGE_UNAVAILABLE = strawberry.enum_value(
        "STORAGE_UNAVAILABLE", description="The storage for images did not answer. Try again."
    )
    RATE_LIMITED = strawberry.enum_value("RATE_LIMITED", description="Too many attempts. See `RateLimited`.")


@strawberry.interface(description="Why a mutation failed, with data that a program can act on.")
class UserError:
    code: ErrorCode = strawberry.field(description="The reason, for programs.")
    message: str = strawberry.field(description="The reason, for people, in English.")
    field: list[str] | None = strawberry.field(
        description='The path to the invalid field of the input (`["lines", "0", "quantity"]`), or of the cart for '
        "`Cart.problems`; null if the error is not about one field."
    )

    @classmethod
    def data(cls, error: Any) -> dict[str, Any]:  # noqa: ARG003 (for types that show more of it)
        """The values of the fields that a type adds to the interface, from the domain error."""
        return {}

    @classmethod
    def data_of_all(cls, errors: Sequence[Any]) -> list[dict[str, Any]]:
        """The same for several errors. A type that loads rows overrides this, to load them for all errors at once."""
        return [cls.data(error) for error in errors]


Shown = TypeVar("Shown", bound=type[UserError])
_types: dict[type[DomainError], type[UserError]] = {}


def user_error(condition: type[DomainError]) -> Callable[[Shown], Shown]:
    """Registers the type that shows a domain error, and its subclasses, to clients.

        @user_error(TotalChangedError)
        @strawberry.type(description="...")
        class TotalChanged(UserError):
            expected: Money = ...

            @classmethod
            def data(cls, error: TotalChangedError) -> dict[str, Any]:
                return {"expected": ...}

    A domain error without a type of its own is shown as InvalidInput, with its own code.
    """

    def register(type_: Shown) -> Shown:
        _types[condition] = type_
        return type_

    return register


def user_error_types() -> list[type[UserError]]:
    """Every type that implements UserError, once the modules that define them are imported."""
    return [InvalidInput, *_types.values()]


def _type_of(error: DomainError) -> type[UserError]:
    return next((_types[kind] for kind in type(error).__mro__ if kind in _types), InvalidInput)


@strawberry.type(description="An error without more data than its code and message.")
class InvalidInput(UserError):
    pass


@user_error(StaleVersionError)
@strawberry.type(
    description="Somebody changed the object after the `version` that was sent. Show both states to the user, then "
    "send the change again with the current `version`."
)
class StaleVersion(UserError):
    row: strawberry.Private[models.Versioned]

    @strawberry.field(graphql_type=ids.Versioned, description="The object as it is now, with its current `version`.")
    def current(self, info: Info) -> models.Versioned:
        model = type(self.row)
        rows = model._default_manager.filter(pk=self.row.pk)
        return load_as(rows, info, ids.type_of(model, info.schema._schema)).first() or self.row

    @classmethod
    def data(cls, error: StaleVersionError) -> dict[str, Any]:
        return {"row": error.current}


@user_error(RateLimitedError)
@strawberry.type(description="Too many attempts. Nothing was changed.")
class RateLimited(UserError):
    retry_after: int = strawberry.field(description="Seconds to wait before the next attempt.")

    @classmethod
    def data(cls, error: RateLimitedError) -> dict[str, Any]:
        return {"retry_after": error.retry_after}


def camel(part: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), part)


def user_errors(errors: Iterable[DomainError]) -> list[UserError]:
    """What clients see of domain errors, in the same order. Rows that they name are loaded for all of them at once."""
    errors = list(errors)
    shown: dict[int, UserError] = {}
    for type_ in dict.fromkeys(map(_type_of, errors)):
        alike = [error for error in errors if _type_of(error) is type_]
        for error, data in zip(alike, type_.data_of_all(alike), strict=True):
            field = [camel(part) for part in error.field] or None
            shown[id(error)] = type_(code=ErrorCode(error.code), message=error.message, field=field, **data)
    return [shown[id(error)] for error in errors]


class Refusals:
    """Collects domain errors for a payload. Call the domain once inside the block:

    with Refusals(info) as errors:
        return CartPayload(row=carts.clear(...))
    return CartPayload(user_errors=errors)
    """

    def __init__(self, info: Info) -> None:
        self._context = info.context

    def __enter__(self) -> list[UserError]:
        self.raised: list[DomainError] = []
        self._errors: list[UserError] = []
        return self._errors

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        raised = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        self.raised = [self._counted(each) for each in raised if isinstance(each, DomainError)]
        self._errors += user_errors(self.raised)
        return len(self.raised) == len(raised)

    def _counted(self, error: DomainError) -> DomainError:
        """The error itself, or RateLimited instead for a client that has tried too many codes."""
        try:
            self._context.count_guess(error)
        except RateLimitedError as limited:
            return limited
        return error
