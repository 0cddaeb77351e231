"""Scalars and value types that the whole schema shares."""

import re
from datetime import MAXYEAR, MINYEAR, datetime
from decimal import Decimal
from typing import Any

import strawberry
from django.core.files.uploadedfile import TemporaryUploadedFile
from graphql import GraphQLError, ValueNode
from strawberry.types.scalar import ScalarDefinition

from domain.base.errors import InvalidInput
from domain.base.money import quantize

_DECIMAL = re.compile(r"-?[0-9]{1,11}(\.[0-9]{1,8})?")


def _parse_decimal(value: Any) -> Decimal:
    text = value if isinstance(value, str) else repr(value)
    if not _DECIMAL.fullmatch(text):
        raise GraphQLError('Expected a number such as "19.90", with up to 11 digits before the point and 8 after it.')
    return Decimal(text)


def plain(number: Decimal) -> Decimal:
    """The number without trailing zeros."""
    return Decimal(f"{number.normalize():f}")


def moment(value: datetime) -> datetime:
    """The given time. Raises InvalidInput if it has no UTC offset, or if its year is the first or last possible one."""
    if value.tzinfo is None or not MINYEAR < value.year < MAXYEAR:
        raise InvalidInput('Expected a time with an offset from UTC, such as "2030-06-01T00:00:00Z".')
    return value


DECIMAL: ScalarDefinition = strawberry.scalar(
    name="Decimal",
    description='A decimal number as a string, so that no digits are lost: "19.90".',
    serialize=str,
    parse_value=_parse_decimal,
)


def _parse_upload(value: Any) -> TemporaryUploadedFile:
    if not isinstance(value, TemporaryUploadedFile):
        raise GraphQLError("Expected a file, sent as multipart/form-data.")
    return value


def _parse_upload_literal(_: ValueNode, __: Any = None) -> TemporaryUploadedFile:
    raise GraphQLError("Expected a variable, with the file sent as multipart/form-data.")


UPLOAD: ScalarDefinition = strawberry.scalar(
    name="Upload",
    description="A file, sent together with the operation as multipart/form-data: "
    "https://github.com/jaydenseric/graphql-multipart-request-spec",
    parse_value=_parse_upload,
    parse_literal=_parse_upload_literal,
)


@strawberry.type(description="An amount of money.")
class Money:
    amount: Decimal = strawberry.field(
        description='In the main unit of the currency, with all its decimals: "19.90" for EUR, "1990" for JPY.'
    )
    currency: str = strawberry.field(description="ISO 4217 currency code.")

    @classmethod
    def of(cls, amount: Decimal, currency: str) -> "Money":
        return cls(amount=quantize(amount=amount, currency=currency), currency=currency)
