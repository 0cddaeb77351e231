"""Refusals as clients see them: expected ones as `userErrors`, the rest as GraphQL errors with a code."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from graphql import GraphQLError

from domain.cart import CartLocked as CartLockedError
from domain.cart import UnknownCartCode
from domain.errors import DomainError
from domain.orders import TotalChanged as TotalChangedError
from domain.stock import InsufficientStock as InsufficientStockError
from domain.throttle import RateLimited as RateLimitedError
from schema.context import Info
from schema.loading import Together, load
from schema.scalars import Money
from storefront import models

if TYPE_CHECKING:
    from schema.catalog import ProductVariant
    from schema.orders import Order


def bad_user_input(message: str) -> GraphQLError:
    """An argument that no user could have given: a front end's mistake, not a shopper's."""
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


@contextmanager
def telling_limits() -> Iterator[None]:
    """Tells of too many attempts as a query does, which has no `userErrors`."""
    try:
        yield
    except RateLimitedError as error:
        extensions = {"code": error.code, "retryAfter": error.retry_after}
        raise GraphQLError(error.message, extensions=extensions) from None


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
    INVALID_CREDENTIALS = strawberry.enum_value(
        "INVALID_CREDENTIALS", description="E-mail and password do not belong together."
    )
    TOKEN_EXPIRED = strawberry.enum_value(
        "TOKEN_EXPIRED", description="The refresh token, or the link of a mail, is too old, unknown or used up."
    )
    TOKEN_REUSED = strawberry.enum_value(
        "TOKEN_REUSED", description="A used refresh token came back, so its session was ended: log in again."
    )
    RATE_LIMITED = strawberry.enum_value("RATE_LIMITED", description="See `RateLimited`.")


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
    variants: strawberry.Private["Together[models.ProductVariant]"]
    variant_id: strawberry.Private[int]
    requested: int = strawberry.field(description="Units that the line would have had.")
    available: int = strawberry.field(description="Units that can be had now.")

    @strawberry.field(
        graphql_type=Annotated["ProductVariant", strawberry.lazy("schema.catalog")],
        description="What there is too little of.",
    )
    def variant(self, info: Info) -> models.ProductVariant:
        return self.variants.get(self.variant_id, info)


@strawberry.type(description="The cart no longer costs what the buyer saw. Show the new total, then place again.")
class TotalChanged(UserError):
    expected: Money = strawberry.field(description="What was sent.")
    actual: Money = strawberry.field(description="What the cart costs now.")


@strawberry.type(description="The cart can no longer change.")
class CartLocked(UserError):
    order_id: strawberry.Private[UUID | None]

    @strawberry.field(
        graphql_type=Annotated["Order", strawberry.lazy("schema.orders")] | None,
        description="What it became; null when it was merged into another cart.",
    )
    def order(self, info: Info) -> models.Order | None:
        return load(models.Order.objects.filter(pk=self.order_id), info).first() if self.order_id else None


@strawberry.type(description="Too many attempts. Nothing was tried.")
class RateLimited(UserError):
    retry_after: int = strawberry.field(description="Seconds until there will be new ones.")


def camel(part: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), part)


def user_errors(errors: Iterable[DomainError]) -> list[UserError]:
    """The schema's form of domain errors; what they name is loaded for all of them at once."""
    errors = list(errors)
    short = [error.variant.pk for error in errors if isinstance(error, InsufficientStockError)]
    variants = Together(models.ProductVariant.objects.filter(pk__in=short))
    return [_user_error(error, variants) for error in errors]


def _user_error(error: DomainError, variants: Together[models.ProductVariant]) -> UserError:
    basics: dict[str, Any] = {
        "code": ErrorCode(error.code),
        "message": error.message,
        "field": [camel(part) for part in error.field] or None,
    }
    match error:
        case InsufficientStockError():
            basics |= {"requested": error.requested, "available": error.available}
            return InsufficientStock(**basics, variants=variants, variant_id=error.variant.pk)
        case TotalChangedError():
            return TotalChanged(
                **basics,
                expected=Money.of(error.expected, error.currency),
                actual=Money.of(error.actual, error.currency),
            )
        case RateLimitedError():
            return RateLimited(**basics, retry_after=error.retry_after)
        case CartLockedError():
            return CartLocked(**basics, order_id=error.order.pk if error.order else None)
        case _:
            return InvalidInput(**basics)


class Refusals:
    """`with Refusals(info) as errors:` turns the domain's errors into a payload's; call the domain in it, once."""

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
        """Whoever tries cart codes is told no more after some tries."""
        try:
            if isinstance(error, UnknownCartCode):
                self._context.count_unknown_cart()
        except RateLimitedError as limited:
            return limited
        return error
