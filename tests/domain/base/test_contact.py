from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.base import contact
from domain.base.contact import AddressIncomplete
from domain.base.errors import DomainError, InvalidInput
from storefront.models import Address
from tests.factories import ADDRESS

# Letters that lower case, NFKC or a regular expression's IGNORECASE turn into others, and what parts an e-mail.
ODD = "ßſıİK\ufb01。．＠ａ\u0430\u03b1\u200b\u00ad\x01\n"
TYPED = st.text(st.sampled_from('aAzZ09@.-_+"[]: ' + ODD) | st.characters())


# ── e-mail ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace@Example.COM", "ada.lovelace@example.com"),
        ("\t ada@example.com \r\n", "ada@example.com"),
        ("\u00a0ada@example.com\u3000", "ada@example.com"),
        ("ada+shop@example.com", "ada+shop@example.com"),
        ("ada@münchen.de", "ada@xn--mnchen-3ya.de"),
        ("ada@MÜNCHEN.de", "ada@xn--mnchen-3ya.de"),
        ("ada@mu\u0308nchen.de", "ada@xn--mnchen-3ya.de"),
        ("ada@XN--MNCHEN-3YA.de", "ada@xn--mnchen-3ya.de"),
        ("ada@straße.de", "ada@strasse.de"),
        ("ada@ｅｘａｍｐｌｅ.com", "ada@example.com"),
        ("ada@example。com", "ada@example.com"),
        ("ada@exam\u00adple.com", "ada@example.com"),
        ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
        ("ada@localhost", "ada@localhost"),
        ('"Ada@home"@example.com', '"ada@home"@example.com'),
    ],
)
def test_email_has_one_spelling(typed, kept):
    assert contact.clean_email(given=typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "@",
        "ada",
        "ada@",
        "@example.com",
        "ada@@example.com",
        "a@b@example.com",
        "ada@example",
        "ada@example.",
        "ada@example.com.",
        "ada@.example.com",
        "ada@exam..ple.com",
        "ada@-example.com",
        "ada@exam_ple.com",
        "ada@exam ple.com",
        "a b@example.com",
        "a\nb@example.com",
        "ada@example.com\nBcc: eve@example.com",
        "Ada <ada@example.com>",
        "ada@example.com, eve@example.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..b@example.com",
        "ada\x00@example.com",
        "ada@example\x00.com",
        "ada\ud800@example.com",
        "ada@\ud800.com",
        "ada@[300.1.1.1]",
        "ada@xn--\u00fc.com",
        f"ada@{'a' * 64}.com",
        f"ada@{'a' * 100_000}",
        f"ada@{'a.' * 50_000}com",
        f"{'a' * 100_000}@example.com",
        "@" * 100_000,
    ],
    ids=lambda typed: ascii(typed[:30]),
)
def test_what_is_no_email_is_refused(typed):
    with pytest.raises(InvalidInput) as refused:
        contact.clean_email(given=typed)
    assert refused.value.field == ("email",)


@pytest.mark.parametrize("letter", "\u0430\u03b1éａıİßſ\u212a\ufb01\u200b١", ids=ascii)
def test_letter_of_another_script_does_not_pass_for_one_of_ours(letter):
    with pytest.raises(InvalidInput):
        contact.clean_email(given=f"ad{letter}@example.com")


def test_longest_email_of_the_standard_is_taken_and_no_longer_one():
    domain = f"{'b' * 60}.{'c' * 60}.{'d' * 60}.com"
    longest = f"{'a' * (254 - 1 - len(domain))}@{domain}"
    assert contact.clean_email(given=longest) == longest
    with pytest.raises(InvalidInput):
        contact.clean_email(given=f"a{longest}")


@given(typed=TYPED | st.builds("{}@{}.com".format, TYPED, TYPED) | st.emails())
@example("ı@example.com")
def test_email_is_ascii_in_lower_case_or_refused(typed):
    try:
        email = contact.clean_email(given=typed)
    except InvalidInput:
        return
    assert email.isascii()
    assert email == email.lower() == email.strip() == contact.clean_email(given=email)
    assert email.count("\n") + email.count("\r") == 0
    assert len(email) <= 254


# ── address ──────────────────────────────────────────────────────────────────────────────────────────


def refusals(**parts):
    with pytest.raises((DomainError, ExceptionGroup)) as refused:
        contact.clean_address(given=replace(ADDRESS, **parts), field=["address"])
    errors = refused.value.exceptions if isinstance(refused.value, ExceptionGroup) else [refused.value]
    return [(type(error), *error.field) for error in errors]


def test_address_is_trimmed_and_its_country_in_upper_case():
    typed = replace(ADDRESS, name="  Ada \t Lovelace\n", country_code=" de ", postal_code=" 20457 ")
    kept = contact.clean_address(given=typed, field=[])
    assert kept == replace(ADDRESS, name="Ada Lovelace", country_code="DE", postal_code="20457")
    assert contact.clean_address(given=kept, field=[]) == kept


@pytest.mark.parametrize("part", ["name", "line1", "city", "country_code"])
@pytest.mark.parametrize("nothing", ["", " \u00a0\n"])
def test_address_needs_its_main_parts(part, nothing):
    assert refusals(**{part: nothing}) == [(AddressIncomplete, "address", part)]


def test_address_does_without_the_other_parts():
    needed = Address(name="Ada", line1="Am Hafen 1", city="Hamburg", postal_code="20457", country_code="DE")
    assert contact.clean_address(given=needed, field=[]) == needed


@pytest.mark.parametrize("country", ["XX", "D", "DEU", "GERMANY", "ＤＥ", "\u0130E"])
def test_shop_does_not_deliver_everywhere(country):
    assert refusals(country_code=country) == [(AddressIncomplete, "address", "country_code")]


@pytest.mark.parametrize("part", [part.name for part in fields(Address) if part.name != "country_code"])
def test_each_part_of_an_address_has_200_characters_at_most(part):
    if part not in {"postal_code", "phone"}:
        longest = replace(ADDRESS, **{part: "x" * 200})
        assert contact.clean_address(given=longest, field=[]) == longest
    assert refusals(**{part: "x" * 201}) == [(InvalidInput, "address", part)]


def test_country_of_10_000_characters_is_refused():
    assert set(refusals(country_code="D" * 10_000)) == {
        (InvalidInput, "address", "country_code"),
        (AddressIncomplete, "address", "country_code"),
    }


def test_all_that_is_wrong_with_an_address_is_told_at_once():
    assert refusals(name="", city="x" * 201, country_code="XX") == [
        (InvalidInput, "address", "city"),
        (AddressIncomplete, "address", "name"),
        (AddressIncomplete, "address", "country_code"),
    ]
