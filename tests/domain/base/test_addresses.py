"""Postal addresses by the rules of their country: real ones are taken, broken ones refused with the part named."""

from dataclasses import replace

import pytest

from domain.base import contact
from domain.base.contact import AddressIncomplete, AddressPart
from domain.base.errors import DomainError, InvalidInput
from storefront.models import Address

# Public buildings: country, line1, city, region, postal code, phone.
REAL = [
    ("DE", "Platz der Republik 1", "Berlin", "", "11011", "+49 30 2270"),
    ("AT", "Dr.-Karl-Renner-Ring 3", "Wien", "", "1017", "+43 1 401100"),
    ("CH", "Bundesplatz 3", "Bern", "", "3003", "+41 58 322 90 00"),
    ("FR", "126 Rue de l'Université", "Paris", "", "75355", "+33 1 40 63 60 00"),
    ("NL", "Prinses Irenestraat 6", "Den Haag", "", "2595 BD", "+31 70 318 2211"),
    ("BE", "Rue de la Loi 16", "Bruxelles", "", "1000", "+32 2 501 02 11"),
    ("LU", "33 Boulevard Roosevelt", "Luxembourg", "", "2450", ""),
    ("IT", "Piazza di Monte Citorio 33", "Roma", "RM", "00186", "+39 06 67601"),
    ("ES", "Calle de Floridablanca 1", "Madrid", "Madrid", "28014", "+34 913 90 60 00"),
    ("PT", "Palácio de São Bento", "Lisboa", "", "1249-068", "+351 21 391 9000"),
    ("GB", "10 Downing Street", "London", "", "SW1A 2AA", "+44 20 7925 0918"),
    ("IE", "Leinster House, Kildare Street", "Dublin 2", "Co. Dublin", "D02 XR20", "+353 1 618 3000"),
    ("DK", "Christiansborg", "København K", "", "1240", "+45 33 37 55 00"),
    ("SE", "Riksgatan 1", "Stockholm", "", "100 12", "+46 8 786 40 00"),
    ("FI", "Mannerheimintie 30", "Helsinki", "", "00102", "+358 9 4321"),
    ("PL", "ul. Wiejska 4/6/8", "Warszawa", "", "00-902", "+48 22 694 25 00"),
    ("US", "1600 Pennsylvania Avenue NW", "Washington", "DC", "20500", "+1 202 456 1111"),
    ("CA", "111 Wellington Street", "Ottawa", "ON", "K1A 0A9", "+1 613 992 4793"),
    ("AU", "Parliament Drive", "Canberra", "ACT", "2600", "+61 2 6277 7111"),
    ("JP", "1-7-1 Nagatacho, Chiyoda-ku", "", "Tokyo", "100-0014", "+81 3 3581 5111"),
]
# The same, each broken in one way: what is changed, and the part that the refusal names.
BROKEN = [
    ({"postal_code": "1101"}, "postal_code"),
    ({"postal_code": "10170"}, "postal_code"),
    ({"city": ""}, "city"),
    ({"postal_code": ""}, "postal_code"),
    ({"postal_code": "2595"}, "postal_code"),
    ({"line1": " "}, "line1"),
    ({"phone": "12"}, "phone"),
    ({"region": "XX"}, "region"),
    ({"postal_code": "280145"}, "postal_code"),
    ({"postal_code": "1249068X"}, "postal_code"),
    ({"postal_code": "SW1A"}, "postal_code"),
    ({"region": "Co. Nowhere"}, "region"),
    ({"name": ""}, "name"),
    ({"postal_code": "ABCDE"}, "postal_code"),
    ({"phone": "+358 9 4321 4321 4321 4321"}, "phone"),
    ({"postal_code": "00.902"}, "postal_code"),
    ({"region": "CA"}, "postal_code"),  # 20500 is not in California.
    ({"postal_code": "90210"}, "postal_code"),
    ({"region": ""}, "region"),
    ({"region": "Atlantis"}, "region"),
]


def address(country, line1, city, region, postal_code, phone):
    return Address(
        name="Ada Lovelace",
        line1=line1,
        city=city,
        region=region,
        postal_code=postal_code,
        country_code=country,
        phone=phone,
    )


def refused(given):
    with pytest.raises((DomainError, ExceptionGroup)) as caught:
        contact.clean_address(given=given, field=["address"])
    errors = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else [caught.value]
    return {error.field[-1]: type(error) for error in errors}


@pytest.fixture(autouse=True)
def _sells_everywhere(settings):
    settings.SHOP_COUNTRIES = [country for country, *_ in REAL]


def test_there_are_twenty_of_each():
    assert len({country for country, *_ in REAL}) == len(BROKEN) == 20


@pytest.mark.parametrize("real", REAL, ids=[country for country, *_ in REAL])
def test_a_real_address_is_taken_and_stays_what_it_is(real):
    once = contact.clean_address(given=address(*real), field=["address"])
    assert contact.clean_address(given=once, field=["address"]) == once
    assert (once.line1, once.city) == (real[1], real[2])


@pytest.mark.parametrize(
    ("real", "broken"), list(zip(REAL, BROKEN, strict=True)), ids=[country for country, *_ in REAL]
)
def test_a_broken_one_is_refused_with_the_part_named(real, broken):
    changes, part = broken
    kind = AddressIncomplete if not changes.get(part, "x").strip() else InvalidInput
    assert refused(replace(address(*real), **changes)) == {part: kind}


def test_a_region_is_kept_by_its_code_whatever_it_was_called():
    ottawa = address("CA", "111 Wellington Street", "Ottawa", "ontario", "k1a 0a9", "")
    kept = contact.clean_address(given=ottawa, field=["address"])
    assert (kept.region, kept.postal_code) == ("ON", "K1A 0A9")
    names = {contact.address_rules(country_code="JP").find_region(name).code for name in ("Tokyo", "東京都")}
    assert len(names) == 1


@pytest.mark.parametrize(("typed", "kept"), [("030 2270", "+49302270"), ("+33 1 40 63 60 00", "+33140636000")])
def test_a_telephone_number_is_one_of_the_country_unless_it_says_otherwise(typed, kept):
    assert contact.clean_phone(given=typed, country_code="DE") == kept


def test_a_code_of_another_country_is_told_with_an_example():
    with pytest.raises(InvalidInput, match=r"Example: \d{5}"):
        contact.clean_address(given=address("DE", "Am Hafen 1", "Hamburg", "", "SW1A 2AA", ""), field=[])


@pytest.mark.parametrize("code", ["SW1A 2AA and more", "GIR 0AAA", "xBFPO 1"])
def test_a_code_with_something_around_it_is_refused(code):
    assert refused(address("GB", "10 Downing Street", "London", "", code, "")) == {"postal_code": InvalidInput}


def test_everything_that_is_missing_is_told_at_once():
    empty = Address(name="", line1="", city="", country_code="us")
    assert set(refused(empty)) == {"name", "line1", "city", "region", "postal_code"}
    assert set(refused(replace(empty, country_code=""))) == {"name", "line1", "country_code"}
    assert set(refused(replace(empty, country_code="BR"))) == {"name", "line1", "country_code"}


def test_rules_say_what_to_ask_for():
    germany, states = contact.address_rules(country_code="DE"), contact.address_rules(country_code="US")
    assert AddressPart.REGION not in germany.used
    assert set(germany.required) == {AddressPart.NAME, AddressPart.LINE1, AddressPart.CITY, AddressPart.POSTAL_CODE}
    assert (states.region_kind, states.postal_code_kind) == ("state", "zip")
    assert states.find_region("california").code == "CA"
    assert len(contact.address_rules(country_code="US", region_code="CA").postal_code_patterns) == 2
    assert contact.address_rules(country_code="HK").postal_code_patterns == ()


def test_there_are_no_rules_for_a_country_that_is_none():
    with pytest.raises(InvalidInput):
        contact.address_rules(country_code="QQ")
