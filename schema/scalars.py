"""Scalars and values that every part of the schema shares."""

from decimal import Decimal, InvalidOperation
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from domain.money import quantize

_MAX_DIGITS = 14


def _parse_decimal(value: Any) -> Decimal:
    try:
        number = Decimal(value if type(value) in (str, int) else repr(value))
    except (InvalidOperation, ValueError):
        raise GraphQLError('A decimal number such as "19.90" is expected.') from None
    if not number.is_finite() or abs(number) >= 10**11 or len(number.as_tuple().digits) > _MAX_DIGITS:
        raise GraphQLError(f"A finite number of at most {_MAX_DIGITS} digits is expected.")
    return number


DECIMAL: ScalarDefinition = strawberry.scalar(
    name="Decimal",
    description='A decimal number as a string, never a binary fraction: "19.90".',
    serialize=str,
    parse_value=_parse_decimal,
)


@strawberry.type(description="An amount of money.")
class Money:
    amount: Decimal = strawberry.field(
        description='In the currency\'s main unit, with all its decimals: "19.90", or "1990" for JPY.'
    )
    currency: str = strawberry.field(description="ISO 4217 code.")

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> "Money":
        return cls(amount=quantize(amount, currency), currency=currency)
