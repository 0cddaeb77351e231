"""Refusals as clients see them: expected ones as `userErrors`, the rest as GraphQL errors with a code."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from graphql import GraphQLError

from domain.accounts.throttle import RateLimited as RateLimitedError
from domain.base import contact
from domain.base.change_log import StaleVersion as StaleVersionError
from domain.base.errors import DomainError, NotFound
from domain.base.errors import InvalidInput as InvalidInputError
from domain.catalog.stock import InsufficientStock as InsufficientStockError
from domain.sales import promotions, shipping
from domain.sales.cart import CartLocked as CartLockedError
from domain.sales.cart import NotForSale as NotForSaleError
from domain.sales.cart import UnknownCartCode
from domain.sales.checkout import PriceChanged as PriceChangedError
from domain.sales.orders import TotalChanged as TotalChangedError
from schema.base import ids
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.loading import Together, load, load_as
from schema.base.scalars import Money
from storefront import models

if TYPE_CHECKING:
    from schema.shop.catalog import ProductVariant
    from schema.shop.checkout import AddressRules, ShippingOption
    from schema.shop.orders import Order


class BadRequest(Exception):
    """A request that no GraphQL executor can be asked to run. `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


def bad_user_input(message: str) -> GraphQLError:
    """An argument that no user could have given: a front end's mistake, not a shopper's."""
    return GraphQLError(message, extensions={"code": "BAD_USER_INPUT"})


@contextmanager
def telling_bad_input() -> Iterator[None]:
    """Tells of an argument as a query does, which has no `userErrors`."""
    try:
        yield
    except (InvalidInputError, NotFound) as error:
        raise bad_user_input(error.message) from None


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
    DISCOUNT_REFUSED = strawberry.enum_value("DISCOUNT_REFUSED", description="See `DiscountRefused`.")
    CURRENCY_UNAVAILABLE = strawberry.enum_value(
        "CURRENCY_UNAVAILABLE", description="The shop does not sell in it; `shop.currencies` are those it does."
    )
    PRICE_CHANGED = strawberry.enum_value("PRICE_CHANGED", description="See `PriceChanged`.")
    IN_USE = strawberry.enum_value("IN_USE", description="Something hangs on it: withdraw it rather than delete it.")
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
    REQUEST_ID_REUSED = strawberry.enum_value(
        "REQUEST_ID_REUSED", description="The `requestId` was used for something else."
    )
    STALE_VERSION = strawberry.enum_value("STALE_VERSION", description="See `StaleVersion`.")
    STORAGE_UNAVAILABLE = strawberry.enum_value(
        "STORAGE_UNAVAILABLE", description="The storage of pictures gave no answer: try the same again."
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
    line_id: strawberry.ID | None = strawberry.field(
        description="The line that asks for them, for `updateCartLine`; null for one that is not in the cart."
    )

    @strawberry.field(
        graphql_type=Annotated["ProductVariant", strawberry.lazy("schema.shop.catalog")],
        description="What there is too little of.",
    )
    def variant(self, info: Info) -> models.ProductVariant:
        return self.variants.get(self.variant_id, info)


@strawberry.type(description="The variant is unknown or withdrawn.")
class NotForSale(UserError):
    line_id: strawberry.ID | None = strawberry.field(
        description="The line that holds it, for `removeFromCart`; null for one that is not in the cart."
    )


@strawberry.type(
    description="A unit costs something else than when it was put into the cart. Show it; `placeOrder` with the new "
    "`Cart.total` accepts it, and so does `updateCartLine`, with the same quantity too."
)
class PriceChanged(UserError):
    # Never null; but with another type than its siblings' it could not be asked for beside theirs.
    line_id: strawberry.ID | None = strawberry.field(description="`CartLine.id`, for `updateCartLine`.")
    before: Money = strawberry.field(description="What one unit cost then.")
    now: Money = strawberry.field(description="What one unit costs now.")


@strawberry.type(description="The parts of an address that are needed, and what may be in them.")
class AddressIncomplete(UserError):
    country_code: strawberry.Private[str]

    @strawberry.field(
        graphql_type=Annotated["AddressRules", strawberry.lazy("schema.shop.checkout")] | None,
        description="What to ask for there; null without a country that the shop sells to.",
    )
    def rules(self) -> contact.AddressRules | None:
        return contact.address_rules(country_code=self.country_code) if self.country_code else None


@strawberry.type(description="No way of shipping is chosen, or the chosen one does not fit the cart and its address.")
class ShippingUnavailable(UserError):
    offers: strawberry.Private[list[shipping.Offer]]

    @strawberry.field(
        graphql_type=list[Annotated["ShippingOption", strawberry.lazy("schema.shop.checkout")]],
        description="Those that do, for `checkout`; empty without an address.",
    )
    def options(self) -> list[shipping.Offer]:
        return self.offers


expose(
    promotions.Refusal,
    "Why a discount code does not count.",
    name="DiscountRefusal",
    UNKNOWN="There is no such code.",
    NOT_YET="It begins later.",
    OVER="It has ended.",
    USED_UP="As many orders as may have used it have.",
    USED_BY_CUSTOMER="This account or e-mail has used it as often as one may.",
    BELOW_MINIMUM="The goods cost less than the code's `minimum`.",
    COVERS_NOTHING="Nothing that it covers is in the cart.",
    TOO_MANY="The cart holds as many codes as it may.",
)


@strawberry.type(description="A discount code does not count. `removeDiscountCode` takes it out of the cart.")
class DiscountRefused(UserError):
    discount_code: str = strawberry.field(description="The code, as the shop writes it.")
    reason: promotions.Refusal = strawberry.field(description="Why.")
    minimum: Money | None = strawberry.field(description="Of BELOW_MINIMUM: what the goods have to cost; else null.")


@strawberry.type(description="The cart no longer costs what the buyer saw. Show the new total, then place again.")
class TotalChanged(UserError):
    expected: Money = strawberry.field(description="What was sent.")
    actual: Money = strawberry.field(description="What the cart costs now.")


@strawberry.type(description="The cart can no longer change.")
class CartLocked(UserError):
    order_id: strawberry.Private[UUID | None]

    @strawberry.field(
        graphql_type=Annotated["Order", strawberry.lazy("schema.shop.orders")] | None,
        description="What it became; null when it was merged into another cart.",
    )
    def order(self, info: Info) -> models.Order | None:
        return load(models.Order.objects.filter(pk=self.order_id), info).first() if self.order_id else None


@strawberry.type(description="Somebody has changed it since the version that was given. Show both, and send it again.")
class StaleVersion(UserError):
    row: strawberry.Private[models.Versioned]

    @strawberry.field(graphql_type=ids.Versioned, description="As it is now, with the version to give then.")
    def current(self, info: Info) -> models.Versioned:
        model = type(self.row)
        rows = model._default_manager.filter(pk=self.row.pk)
        return load_as(rows, info, ids.type_of(model, info.schema._schema)).first() or self.row


@strawberry.type(description="Too many attempts. Nothing was tried.")
class RateLimited(UserError):
    retry_after: int = strawberry.field(description="Seconds until there will be new ones.")


def camel(part: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), part)


def user_errors(errors: Iterable[DomainError]) -> list[UserError]:
    """The schema's form of domain errors; what they name is loaded for all of them at once."""
    errors = list(errors)
    if not errors:
        return []
    short = [error.variant.pk for error in errors if isinstance(error, InsufficientStockError)]
    variants = Together(models.ProductVariant.objects.filter(pk__in=short))
    return [_user_error(error, variants) for error in errors]


def _line_id(line: models.CartLine | None) -> strawberry.ID | None:
    return ids.encode("CartLine", line.pk) if line else None


def _user_error(error: DomainError, variants: Together[models.ProductVariant]) -> UserError:
    form: type[UserError] = InvalidInput
    data: dict[str, Any] = {}
    match error:
        case InsufficientStockError() | NotForSaleError() | PriceChangedError():
            form, data = _of_line(error, variants)
        case contact.AddressIncomplete():
            form, data = AddressIncomplete, {"country_code": error.country_code}
        case shipping.ShippingUnavailable():
            form, data = ShippingUnavailable, {"offers": error.offers}
        case promotions.DiscountRefused():
            minimum = None if error.minimum is None else Money.of(error.minimum, error.currency)
            form, data = DiscountRefused, {"reason": error.reason, "minimum": minimum}
            data["discount_code"] = error.discount_code
        case TotalChangedError():
            expected = Money.of(error.expected, error.expected_currency)
            form, data = TotalChanged, {"expected": expected, "actual": Money.of(error.actual, error.currency)}
        case StaleVersionError():
            form, data = StaleVersion, {"row": error.current}
        case RateLimitedError():
            form, data = RateLimited, {"retry_after": error.retry_after}
        case CartLockedError():
            form, data = CartLocked, {"order_id": error.order.pk if error.order else None}
    field = [camel(part) for part in error.field] or None
    return form(code=ErrorCode(error.code), message=error.message, field=field, **data)


def _of_line(
    error: InsufficientStockError | NotForSaleError | PriceChangedError, variants: Together[models.ProductVariant]
) -> tuple[type[UserError], dict[str, Any]]:
    data: dict[str, Any] = {"line_id": _line_id(error.line)}
    match error:
        case InsufficientStockError():
            told = {"requested": error.requested, "available": error.available}
            return InsufficientStock, data | told | {"variants": variants, "variant_id": error.variant.pk}
        case PriceChangedError():
            before, now = (Money.of(amount, error.currency) for amount in (error.before, error.now))
            return PriceChanged, data | {"before": before, "now": now}
    return NotForSale, data


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
        """Whoever tries codes of carts or of discounts is told no more after some tries."""
        try:
            if isinstance(error, UnknownCartCode):
                self._context.count_unknown_cart()
            if isinstance(error, promotions.DiscountRefused) and error.reason in promotions.TELLING:
                self._context.count_refused_discount()
        except RateLimitedError as limited:
            return limited
        return error
