"""E-mail and postal addresses as people type them, made one of a kind and checked."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email

from domain.errors import DomainError, InvalidInput, raise_all
from storefront.models import Address
from storefront.models.accounts import normal_email


class AddressIncomplete(DomainError):
    """A part of the address that is needed is missing, or the shop does not deliver there."""

    code: ClassVar[str] = "ADDRESS_INCOMPLETE"


_REQUIRED = {"name": "a name", "line1": "a street and number", "city": "a city", "country_code": "a country"}
_MAX_LENGTH = 200


def address(given: Address, *, field: Sequence[str]) -> Address:
    """Trims the parts and checks them. Raises AddressIncomplete for each that is missing, InvalidInput if too long."""
    parts = {part.name: " ".join(getattr(given, part.name).split()) for part in fields(Address)}
    parts["country_code"] = parts["country_code"].upper()
    errors: list[DomainError] = [
        AddressIncomplete(f"The address needs {what}.", field=[*field, part])
        for part, what in _REQUIRED.items()
        if not parts[part]
    ]
    errors += [
        InvalidInput(f"At most {_MAX_LENGTH} characters.", field=[*field, part])
        for part, value in parts.items()
        if len(value) > _MAX_LENGTH
    ]
    if parts["country_code"] and parts["country_code"] not in settings.SHOP_COUNTRIES:
        errors.append(AddressIncomplete("The shop does not sell to this country.", field=[*field, "country_code"]))
    raise_all(errors)
    return replace(given, **parts)


def email(given: str) -> str:
    """The one spelling of an e-mail address (`normal_email`). Raises InvalidInput."""
    try:
        normal = normal_email(given)
        validate_email(normal)
        MaxLengthValidator(254)(normal)  # RFC 5321, 4.5.3.1.3: a path is 256 with its brackets.
    except (UnicodeError, ValidationError):
        raise InvalidInput("This is not an e-mail address.", field=["email"]) from None
    return normal
