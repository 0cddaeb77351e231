import re
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, MD5PasswordHasher, PBKDF2PasswordHasher
from django.core import signing
from django.core.management import call_command
from django.test import Client as Browser
from django.utils.html import escape

from domain.accounts import accounts, sessions
from domain.accounts.accounts import MAX_ADDRESSES, Client, InvalidCredentials
from domain.accounts.sessions import TokenExpired
from domain.base.contact import AddressIncomplete
from domain.base.errors import DomainError, InvalidInput, NotFound
from domain.sales import cart as carts
from domain.sales import orders
from domain.sales.cart import CartKey
from storefront.models import Cart, CartState, Checkout, Order, SavedAddress, Session, User
from tests.factories import ADDRESS, NOW, UserFactory, VariantFactory

pytestmark = pytest.mark.django_db

ADA, PASSWORD, OTHER = "ada@example.com", "correct-horse-battery", "another-good-one"
CLIENT = Client("192.0.2.1", "Firefox")
GUEST = CartKey()


@pytest.fixture
def posted(delivered):
    """What a call returned, and the mails that it owes."""

    def made(call):
        delivered()
        result = call()
        return result, delivered()

    return made


@pytest.fixture
def reset_token(posted):
    def asked(email=ADA):
        _, (mail,) = posted(partial(accounts.request_password_reset, email=email, client=CLIENT, now=NOW))
        return token_in(mail)

    return asked


@pytest.fixture
def time_passes(monkeypatch):
    """Until a signed link is looked at."""

    def passed(**given):
        ahead = timedelta(**given).total_seconds()
        monkeypatch.setattr(signing, "time", SimpleNamespace(time=lambda: time.time() + ahead))

    return passed


def account(email=ADA, *, claimed="", password=PASSWORD, **given):
    """One that has proven its e-mail, or (`email=None`) only claims one."""
    user = UserFactory.build(email=email, claimed_email=claimed, joined_at=NOW, **given)
    user.set_password(password)
    user.save()
    return user


def register(email=ADA, password=PASSWORD, name="", now=NOW):
    return accounts.register(email=email, password=password, name=name, cart=GUEST, client=CLIENT, now=now)


def login(email=ADA, password=PASSWORD, now=NOW):
    return accounts.login(email=email, password=password, cart=GUEST, client=CLIENT, now=now)


def reset(token, password=OTHER):
    return accounts.reset_password(token=token, password=password, cart=GUEST, client=CLIENT, now=NOW)


def change(user, current=PASSWORD, password=OTHER):
    user = User.objects.get(pk=user.pk)
    return accounts.change_password(user=user, current=current, password=password, client=CLIENT, now=NOW)


def delete(user, password=PASSWORD):
    accounts.delete_account(user=User.objects.get(pk=user.pk), password=password, client=CLIENT, now=NOW)


def token_in(mail):
    return re.search(r"token=(\S+)", mail.body)[1]


def may_log_in(email=ADA, password=PASSWORD):
    try:
        login(email, password)
    except InvalidCredentials:
        return False
    return True


def goes_on(entry):
    try:
        sessions.refresh(refresh_token=entry.refresh_token, now=NOW)
    except TokenExpired:
        return False
    return True


def refusals(call):
    with pytest.raises((InvalidInput, ExceptionGroup)) as refused:
        call()
    errors = refused.value.exceptions if isinstance(refused.value, ExceptionGroup) else [refused.value]
    assert {type(error) for error in errors} == {InvalidInput}
    return [(*error.field, error.message) for error in errors]


# ── registering ──────────────────────────────────────────────────────────────────────────────────────


def test_who_registers_claims_an_email_and_is_logged_in(posted):
    entered, (mail,) = posted(lambda: register(" Ada@Example.COM ", name="  Ada \n Lovelace "))
    user = User.objects.get()
    assert (user.email, user.claimed_email, user.address, user.name) == (None, ADA, ADA, "Ada Lovelace")
    assert (user.joined_at, user.last_login, user.is_staff, user.is_superuser) == (NOW, NOW, False, False)
    assert (entered.user, entered.session, entered.changes) == (user, Session.objects.get(), [])
    assert (entered.session.user_agent, mail.to) == ("Firefox", [ADA])
    assert goes_on(entered)
    assert may_log_in()


def test_password_is_kept_as_a_hash():
    register()
    user = User.objects.get()
    assert PASSWORD not in user.password
    assert user.check_password(PASSWORD)


def test_registering_again_with_the_same_password_is_a_login_and_sends_the_proof_again(posted):
    first, (one,) = posted(register)
    again, (other,) = posted(lambda: register("ADA@example.com", name="Eve"))
    assert again.user == first.user == User.objects.get()
    assert again.session != first.session
    assert User.objects.get().name == ""
    assert one.subject == other.subject
    assert accounts.verify_email(token=token_in(other)).email == ADA
    assert goes_on(first)
    assert goes_on(again)


def test_registering_with_another_password_is_another_account(posted):
    first, _ = posted(register)
    other, (mail,) = posted(lambda: register(password=OTHER))
    assert other.user != first.user
    assert {user.claimed_email for user in User.objects.all()} == {ADA}
    assert accounts.verify_email(token=token_in(mail)) == other.user
    assert login(password=PASSWORD).user == first.user


def test_proven_email_hinders_nobody_from_registering_and_its_owner_is_told(posted):
    owner = account(name="Ada")
    before = User.objects.filter(pk=owner.pk).values().get()
    entered, (mail,) = posted(lambda: register(password=OTHER, name="Eve"))
    assert User.objects.filter(pk=owner.pk).values().get() == before
    assert not owner.sessions.exists()
    assert (entered.user.email, entered.user.claimed_email) == (None, ADA)
    assert (mail.to, mail.subject) == ([ADA], "You already have an account")
    assert "token" not in mail.body
    assert "Eve" not in mail.body + mail.alternatives[0].content


def test_owner_who_registers_with_their_own_password_is_logged_in_without_a_mail(posted):
    owner = account()
    entered, mails = posted(register)
    assert (entered.user, User.objects.get(), mails) == (owner, owner, [])


def test_answer_to_registering_tells_nothing_of_other_accounts(posted):
    fresh, _ = posted(lambda: register("new@example.com", OTHER))
    account()
    known, _ = posted(lambda: register(password=OTHER))
    assert vars_of(fresh) == vars_of(known)


def vars_of(entered):
    return {
        "email": entered.user.email,
        "name": entered.user.name,
        "changes": entered.changes,
        "token": len(entered.refresh_token),
        "expires": entered.session.expires_at,
    }


def test_registering_costs_the_same_whoever_has_the_email(statements, hashes):
    account("proven@example.com")
    account(None, claimed="claimed@example.com")
    costs = set()
    for email in ("new@example.com", "claimed@example.com", "proven@example.com"):
        hashes.clear()
        with statements() as counted:
            register(email, OTHER)
        costs.add((len(counted), len(hashes)))
    assert len(costs) == 1
    assert costs.pop()[1] == 3


@pytest.mark.parametrize("email", ["", "ada", "ada@", "а@example.com", "x" * 10_000 + "@example.com"])
def test_account_needs_an_email(email):
    assert [error[0] for error in refusals(lambda: register(email))] == ["email"]
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["x" * 201, "x" * 10_000])
def test_name_has_200_characters_at_most(name):
    assert [error[0] for error in refusals(lambda: register(name=name))] == ["name"]
    assert register(name="x" * 200).user.name == "x" * 200


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", ["too short"]),
        ("Zx81!qw", ["too short"]),
        ("        ", []),
        ("password123", ["too common"]),
        ("84019357204817", ["entirely numeric"]),
        ("12345678", ["too common", "entirely numeric"]),
        ("123", ["too short", "too common", "entirely numeric"]),
        ("ada.lovelace@example.com", ["similar"]),
        ("Lovelace1", ["similar"]),
        ("AugustaByron", ["similar to the name"]),
        ("zX9?" * 32 + "z", ["at most 128"]),
        ("zX9?" * 2_500, ["at most 128"]),
        ("zX9?" * 32, []),
        ("correct horse battery staple", []),
        ("Пароль-из-слов", []),
        ("🐎🔋📎🐎🔋📎🐎🔋", []),
        ("e\u0301" * 8, []),
    ],
    ids=lambda value: ascii(value)[:30] if isinstance(value, str) else "",
)
def test_password_rules(password, words):
    join = partial(register, "ada.lovelace@example.com", password, "Augusta Byron")
    if not words:
        assert join().user == login("ada.lovelace@example.com", password).user
        return
    told = refusals(join)
    assert [field for field, _ in told] == ["password"] * len(words)
    for word, (_, message) in zip(words, told, strict=True):
        assert word in message
    assert not User.objects.exists()


@pytest.mark.parametrize("set_again", ["register", "reset", "change"])
def test_password_rules_hold_wherever_a_password_is_set(set_again, reset_token):
    user = account(None, claimed="ada.lovelace@example.com")
    calls = {
        "register": lambda: register("ada.lovelace@example.com", "Lovelace1"),
        "reset": lambda: reset(reset_token("ada.lovelace@example.com"), "Lovelace1"),
        "change": lambda: change(user, password="Lovelace1"),
    }
    assert [error[0] for error in refusals(calls[set_again])] == ["password"]
    assert User.objects.get() == login("ada.lovelace@example.com").user


def test_spaces_of_a_password_are_part_of_it():
    register(password=f" {PASSWORD} ")
    assert not may_log_in(password=PASSWORD)
    assert may_log_in(password=f" {PASSWORD} ")


# ── logging in ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", [{"email": ADA}, {"email": None, "claimed": ADA}], ids=["proven", "claimed"])
def test_account_is_logged_in_to_by_its_email(given):
    user = account(**given)
    entered = login()
    assert (entered.user, entered.session.user_agent) == (user, "Firefox")
    assert User.objects.get().last_login == NOW
    assert goes_on(entered)


@pytest.mark.parametrize(
    ("registered", "typed"),
    [
        ("ada@example.com", "ADA@Example.COM"),
        ("Ada@example.com", "ada@example.com"),
        ("ada@example.com", "  ada@example.com\n"),
        ("ada@münchen.de", "ada@xn--mnchen-3ya.de"),
        ("ada@xn--mnchen-3ya.de", "ada@MÜNCHEN.DE"),
        ("ada@example.com", "ada@ｅｘａｍｐｌｅ.com"),
        ("ada@straße.de", "ada@strasse.de"),
        ("ada@example.com", "ada@example。com"),
    ],
)
def test_same_email_in_another_spelling_is_the_same_account(registered, typed):
    user = register(registered).user
    assert login(typed).user == user
    assert register(typed).user == user


@pytest.mark.parametrize(
    "spelling", ["ad\u0430@example.com", "ıda@example.com", "\u212aate@example.com", "aſh@example.com"]
)
def test_look_alike_of_an_email_is_refused_everywhere(spelling):
    for attempt in (
        lambda: register(spelling),
        lambda: login(spelling),
        lambda: accounts.request_password_reset(email=spelling, client=CLIENT, now=NOW),
    ):
        assert [error[0] for error in refusals(attempt)] == ["email"]


@pytest.mark.parametrize(
    "password", ["", "wrong", PASSWORD.upper(), PASSWORD + " ", "x" * 10_000, "\u202e", "\U0010ffff"]
)
def test_wrong_password_is_refused(password):
    account()
    with pytest.raises(InvalidCredentials) as refused:
        login(password=password)
    assert (refused.value.code, refused.value.field) == ("INVALID_CREDENTIALS", ())
    assert not Session.objects.exists()


def test_unknown_email_is_refused_in_the_same_words_as_a_wrong_password():
    account()
    account(None, claimed="claimed@example.com")
    told = set()
    for email in (ADA, "claimed@example.com", "nobody@example.com"):
        with pytest.raises(InvalidCredentials) as refused:
            login(email, "wrong")
        told.add((refused.value.message, refused.value.field))
    assert len(told) == 1


def test_each_of_two_accounts_with_an_email_is_opened_by_its_own_password():
    owner, claimant = account(), account(None, claimed=ADA, password=OTHER)
    assert login(password=PASSWORD).user == owner
    assert login(password=OTHER).user == claimant


def test_proven_account_goes_before_a_claim_with_the_same_password():
    account(None, claimed=ADA)
    owner = account()
    account(None, claimed=ADA)
    assert login().user == owner


def test_newest_claim_goes_before_an_older_one_with_the_same_password():
    account(None, claimed=ADA)
    newer = account(None, claimed=ADA)
    User.objects.filter(pk=newer.pk).update(joined_at=NOW + timedelta(days=1))
    assert login().user == newer


@pytest.mark.parametrize(("given", "strangers"), [({}, 5), ({"email": None, "claimed": ADA}, 1)])
def test_strangers_claims_keep_nobody_out(given, strangers):
    owner = account(**given)
    for number in range(strangers):
        register(password=f"{OTHER}-{number}", now=NOW + timedelta(hours=1 + number))
    assert login(now=NOW + timedelta(days=1)).user == owner


def test_link_of_the_mail_lets_in_who_was_kept_out_by_many_claims(posted):
    entered, (mail,) = posted(register)
    for number in range(3):
        register(password=f"{OTHER}-{number}", now=NOW + timedelta(hours=1 + number))
    accounts.verify_email(token=token_in(mail))
    assert login(now=NOW + timedelta(days=1)).user == entered.user


def test_account_that_may_not_log_in_is_refused():
    account(is_active=False)
    account(None, claimed=ADA, is_active=False)
    assert not may_log_in()


@pytest.mark.parametrize("password", [None, ""])
def test_account_without_a_password_is_opened_by_none(password):
    User.objects.create_user(ADA, password=None)
    assert not may_log_in(password=password or "")
    assert not may_log_in(password=User.objects.get().password)


def test_account_that_staff_made_is_logged_in_to():
    user = User.objects.create_user(" Ada@Example.com", PASSWORD)
    assert login().user == user


def test_account_that_staff_made_with_a_domain_in_another_script_is_logged_in_to():
    user = User.objects.create_user("ada@münchen.de", PASSWORD)
    assert login("ada@münchen.de").user == user


@pytest.fixture
def hashes(monkeypatch):
    """Each time that a password was hashed, by whatever way."""
    made, encode = [], MD5PasswordHasher.encode

    def encoded(self, password, salt):
        made.append(salt)
        return encode(self, password, salt)

    with pytest.raises(InvalidCredentials):
        login("nobody@example.com", PASSWORD)  # What is hashed once a process is hashed now.
    monkeypatch.setattr(MD5PasswordHasher, "encode", encoded)
    return made


def test_login_costs_the_same_whether_the_email_is_known_or_not(statements, hashes):
    account("proven@example.com")
    account(None, claimed="claimed@example.com")
    account("both@example.com")
    account(None, claimed="both@example.com")
    account("banned@example.com", is_active=False)
    User.objects.create_user("none@example.com", password=None)
    costs = {}
    for name in ("proven", "claimed", "both", "banned", "none", "unknown"):
        hashes.clear()
        with statements() as counted, pytest.raises(InvalidCredentials):
            login(f"{name}@example.com", "wrong")
        costs[name] = (len(hashes), len(counted))
    assert len(set(costs.values())) == 1, costs
    assert costs["unknown"][0] == 2


def test_login_that_succeeds_verifies_no_fewer_passwords(hashes):
    account()
    account(None, claimed="claimed@example.com")
    for email in (ADA, "claimed@example.com"):
        hashes.clear()
        login(email)
        assert len(hashes) == 2


# ── hashes ───────────────────────────────────────────────────────────────────────────────────────────

OLD_HASH = PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, iterations=1)
HASHERS = [
    f"django.contrib.auth.hashers.{hasher.__name__}"
    for hasher in (Argon2PasswordHasher, MD5PasswordHasher, PBKDF2PasswordHasher)
]


@pytest.fixture
def old_hash(settings):
    """An account that was made when the shop hashed passwords in another way."""

    def made(hashers, **given):
        settings.PASSWORD_HASHERS = hashers
        user = account(**given)
        User.objects.update(password=OLD_HASH)
        return User.objects.get(pk=user.pk)

    return made


@pytest.mark.parametrize(("hashers", "begins"), [(HASHERS, "argon2$argon2id$"), (HASHERS[1:], "md5$")])
def test_login_makes_a_stronger_hash_and_ends_no_session(old_hash, hashers, begins):
    user = old_hash(hashers)
    earlier = login()
    User.objects.update(password=OLD_HASH)
    later = login()
    now = User.objects.get()
    assert now.password.startswith(begins)
    assert now.token_version == user.token_version
    assert goes_on(earlier)
    assert goes_on(later)
    assert may_log_in()


def test_wrong_password_makes_no_new_hash(old_hash):
    old_hash(HASHERS[1:])
    assert not may_log_in(password="wrong")
    assert User.objects.get().password == OLD_HASH


def test_password_with_an_old_hash_can_be_changed(old_hash):
    user = old_hash(HASHERS[1:])
    assert goes_on(change(user))
    assert (may_log_in(), may_log_in(password=OTHER)) == (False, True)


def test_staff_whose_hash_is_made_anew_at_the_admin_s_login_stay_logged_in(old_hash):
    user = old_hash(HASHERS[1:], is_staff=True, is_superuser=True)
    browser = Browser()
    assert browser.login(username=ADA, password=PASSWORD)
    assert browser.get("/admin/").status_code == 200
    assert User.objects.get().token_version == user.token_version


# ── the e-mail's proof ───────────────────────────────────────────────────────────────────────────────


def test_link_of_the_mail_proves_the_email(posted):
    entered, (mail,) = posted(register)
    user = accounts.verify_email(token=token_in(mail))
    assert user == entered.user
    assert (User.objects.get().email, User.objects.get().claimed_email) == (ADA, "")
    assert may_log_in()
    assert goes_on(entered)


def test_link_that_is_followed_again_changes_nothing(posted):
    entered, (mail,) = posted(register)
    for _ in range(3):
        assert accounts.verify_email(token=token_in(mail)) == entered.user
    assert User.objects.get().email == ADA


def test_link_is_good_for_its_days(posted, time_passes, settings):
    _, (mail,) = posted(register)
    time_passes(days=settings.EMAIL_PROOF_DAYS, minutes=1)
    with pytest.raises(TokenExpired) as refused:
        accounts.verify_email(token=token_in(mail))
    assert refused.value.field == ("token",)
    assert User.objects.get().email is None
    time_passes(days=settings.EMAIL_PROOF_DAYS, minutes=-1)
    assert accounts.verify_email(token=token_in(mail)).email == ADA


def test_link_that_was_sent_again_is_as_good_as_the_first(posted):
    _, (first,) = posted(register)
    _, (second,) = posted(register)
    assert accounts.verify_email(token=token_in(second)) == accounts.verify_email(token=token_in(first))


def test_email_that_another_account_has_proven_is_not_proven_again(posted):
    late, (late_mail,) = posted(register)
    soon, (soon_mail,) = posted(lambda: register(password=OTHER))
    accounts.verify_email(token=token_in(soon_mail))
    with pytest.raises(InvalidInput) as refused:
        accounts.verify_email(token=token_in(late_mail))
    assert refused.value.field == ("token",)
    assert User.objects.get(email=ADA) == soon.user
    assert User.objects.get(pk=late.user.pk).claimed_email == ADA
    assert login(password=PASSWORD).user == late.user


def test_email_of_an_account_that_was_shut_is_not_proven_by_another(posted):
    account(is_active=False)
    _, (mail,) = posted(register)
    with pytest.raises(InvalidInput):
        accounts.verify_email(token=token_in(mail))


def test_claim_of_an_account_that_was_shut_is_not_proven(posted):
    _, (mail,) = posted(register)
    User.objects.update(is_active=False)
    with pytest.raises(TokenExpired):
        accounts.verify_email(token=token_in(mail))
    assert User.objects.get().email is None


def test_claim_that_was_changed_is_not_proven_by_the_old_link(posted):
    _, (mail,) = posted(register)
    User.objects.update(claimed_email="new@example.com")
    with pytest.raises(TokenExpired):
        accounts.verify_email(token=token_in(mail))


TAMPERED = pytest.mark.parametrize(
    "tamper",
    [
        lambda token: "",
        lambda token: "x",
        lambda token: "é:ü:ß",
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: "A" + token,
        lambda token: token.replace(":", ""),
        lambda token: token.rpartition(":")[0],
        lambda token: ":".join(reversed(token.split(":"))),
        lambda token: signing.dumps({"user": str(User.objects.get().pk), "email": ADA}),
        lambda token: signing.dumps({"user": str(User.objects.get().pk), "email": ADA}, key="another", salt="x"),
    ],
)


@TAMPERED
def test_tampered_link_proves_nothing(posted, tamper):
    _, (mail,) = posted(register)
    with pytest.raises(TokenExpired):
        accounts.verify_email(token=tamper(token_in(mail)))
    assert User.objects.get().email is None


@TAMPERED
def test_tampered_link_sets_no_password(reset_token, tamper):
    account()
    with pytest.raises(TokenExpired):
        reset(tamper(reset_token()))
    assert may_log_in()


def test_link_of_one_mail_does_not_do_what_that_of_another_does(posted, reset_token):
    _, (mail,) = posted(register)
    with pytest.raises(TokenExpired):
        reset(token_in(mail))
    with pytest.raises(TokenExpired):
        accounts.verify_email(token=reset_token())
    assert User.objects.get().email is None
    assert may_log_in()


# ── the password forgotten ───────────────────────────────────────────────────────────────────────────


def test_link_of_the_mail_sets_a_new_password_and_logs_in(reset_token):
    user = account()
    before = [login(), login()]
    entered = reset(reset_token())
    assert (entered.user, entered.changes, entered.session.user_agent) == (user, [], "Firefox")
    assert [goes_on(entry) for entry in [*before, entered]] == [False, False, True]
    assert (may_log_in(), may_log_in(password=OTHER)) == (False, True)
    assert User.objects.get().last_login == NOW


def test_link_that_sets_a_password_proves_the_email(reset_token):
    user = account(None, claimed=ADA)
    reset(reset_token())
    user.refresh_from_db()
    assert (user.email, user.claimed_email) == (ADA, "")


def test_link_sets_a_password_once(reset_token):
    account()
    token = reset_token()
    entered = reset(token)
    with pytest.raises(TokenExpired):
        reset(token, "a-third-password")
    assert goes_on(entered)
    assert may_log_in(password=OTHER)


def test_asking_twice_makes_two_links_of_which_one_is_good(reset_token):
    account()
    first, second = reset_token(), reset_token()
    reset(first)
    with pytest.raises(TokenExpired):
        reset(second)


def test_asking_alone_changes_nothing(reset_token):
    account()
    entered = login()
    reset_token()
    assert goes_on(entered)
    assert may_log_in()


def test_password_that_is_refused_leaves_the_link_good(reset_token):
    account()
    token = reset_token()
    refusals(lambda: reset(token, "short"))
    assert may_log_in()
    assert goes_on(reset(token))


def test_link_that_sets_a_password_is_good_for_its_minutes(reset_token, time_passes, settings):
    account()
    token = reset_token()
    time_passes(minutes=settings.PASSWORD_RESET_MINUTES, seconds=5)
    with pytest.raises(TokenExpired):
        reset(token)
    assert may_log_in()
    time_passes(minutes=settings.PASSWORD_RESET_MINUTES, seconds=-5)
    assert goes_on(reset(token))


@pytest.mark.parametrize(
    "what",
    [
        change,
        lambda user: sessions.end_all(user=user),
        delete,
        lambda user: User.objects.update(is_active=False),
    ],
    ids=["password changed", "all sessions ended", "account deleted", "account shut"],
)
def test_link_that_sets_a_password_is_dead_after(reset_token, what):
    user = account()
    token = reset_token()
    what(user)
    with pytest.raises(TokenExpired):
        reset(token, "a-third-password")
    assert not may_log_in(password="a-third-password")


def test_login_leaves_the_link_that_sets_a_password_good(reset_token):
    account()
    token = reset_token()
    login()
    assert goes_on(reset(token))


def test_owner_of_the_email_resets_their_own_password_and_not_that_of_a_claim(reset_token):
    claimant, owner = account(None, claimed=ADA, password="claimed-by-another"), account()
    assert reset(reset_token()).user == owner
    assert login(password="claimed-by-another").user == claimant


def test_email_that_somebody_else_proved_in_the_meantime_is_not_proven_by_a_reset(reset_token):
    claimant = account(None, claimed=ADA)
    token = reset_token()
    owner = account()
    assert reset(token).user == claimant
    assert User.objects.get(email=ADA) == owner
    assert User.objects.get(pk=claimant.pk).claimed_email == ADA


def test_shut_account_gets_no_link(posted):
    account(is_active=False)
    _, (mail,) = posted(lambda: accounts.request_password_reset(email=ADA, client=CLIENT, now=NOW))
    assert "token" not in mail.body


def test_asking_for_a_new_password_costs_the_same_whoever_has_the_email(statements, delivered):
    account()
    account(None, claimed="claimed@example.com")
    costs = set()
    for email in (ADA, "claimed@example.com", "nobody@example.com"):
        with statements() as counted:
            accounts.request_password_reset(email=email, client=CLIENT, now=NOW)
        costs.add((len(counted), len(delivered())))
    assert len(costs) == 1
    assert costs.pop()[1] == 1


# ── mails ────────────────────────────────────────────────────────────────────────────────────────────


def ask(email=ADA):
    accounts.request_password_reset(email=email, client=CLIENT, now=NOW)


@pytest.mark.parametrize(
    ("given", "act", "subject", "link"),
    [
        ({}, register, "Confirm your e-mail address", "/verify-email?token="),
        ({"email": None, "claimed": ADA}, register, "Confirm your e-mail address", "/verify-email?token="),
        ({"password": OTHER}, register, "You already have an account", "/login"),
        ({}, ask, "No account with this e-mail address", "/register"),
        ({"email": ADA}, ask, "Reset your password", "/reset-password?token="),
        ({"email": None, "claimed": ADA}, ask, "Reset your password", "/reset-password?token="),
    ],
)
def test_mail_says_what_it_is_about_in_text_and_html(posted, settings, given, act, subject, link):
    settings.STOREFRONT_URL, settings.SHOP_NAME = "https://shop.example.com/de", "Nuts & Bolts"
    if given:
        account(**given)
    _, (mail,) = posted(act)
    ((html, kind),) = mail.alternatives
    assert (mail.subject, mail.to, mail.cc, mail.bcc, kind) == (subject, [ADA], [], [], "text/html")
    leads = re.compile(re.escape(f"https://shop.example.com/de{link}") + r"[\w:.-]*")
    (in_text,) = leads.findall(mail.body)
    assert set(leads.findall(html)) == {in_text}
    assert f'href="{in_text}"' in html
    assert in_text.endswith(link) != ("token" in link)
    assert "Nuts & Bolts" in mail.body
    assert "Nuts &amp; Bolts" in html
    assert subject in html
    assert "{{" not in mail.body + html
    assert "{%" not in mail.body + html


def test_mail_is_owed_with_the_account_and_sent_later(delivered, mailoutbox):
    register()
    assert (len(mailoutbox), len(delivered())) == (0, 1)


def test_odd_email_breaks_no_mail(posted):
    odd = '"<b>&{{to}}</b>"@example.com'
    _, (mail,) = posted(lambda: register(odd))
    assert mail.to == [odd]
    assert odd in mail.body
    assert escape(odd) in mail.alternatives[0].content
    assert "<b>" not in mail.alternatives[0].content


# ── one browser ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["login", "register", "reset", "change"])
def test_browser_that_comes_in_again_leaves_its_session_for_a_new_one(how, reset_token):
    user, bob = account(), account("bob@example.com")
    elsewhere = login("bob@example.com")
    before = login("bob@example.com")
    client = replace(CLIENT, refresh_token=before.refresh_token)
    given = {"client": client, "now": NOW}
    calls = {
        "login": lambda: accounts.login(email=ADA, password=PASSWORD, cart=GUEST, **given),
        "register": lambda: accounts.register(email="new@example.com", password=PASSWORD, cart=GUEST, **given),
        "reset": lambda: accounts.reset_password(token=reset_token(), password=OTHER, cart=GUEST, **given),
        "change": lambda: accounts.change_password(user=user, current=PASSWORD, password=OTHER, **given),
    }
    entered = calls[how]()
    assert [goes_on(entry) for entry in (before, entered, elsewhere)] == [False, True, True]
    assert bob.sessions.get() == elsewhere.session


def test_browser_that_is_refused_keeps_its_session():
    account()
    before = login()
    client = replace(CLIENT, refresh_token=before.refresh_token)
    with pytest.raises(InvalidCredentials):
        accounts.login(email=ADA, password="wrong", cart=GUEST, client=client, now=NOW)
    assert goes_on(before)


# ── the password changed ─────────────────────────────────────────────────────────────────────────────


def test_new_password_ends_every_session_and_begins_one():
    user = account()
    before = [login(), login()]
    entered = change(user)
    assert (entered.user, entered.changes) == (user, None)
    assert [goes_on(entry) for entry in [*before, entered]] == [False, False, True]
    assert user.sessions.get() == entered.session
    assert (may_log_in(), may_log_in(password=OTHER)) == (False, True)


def test_new_password_proves_no_email():
    user = account(None, claimed=ADA)
    change(user)
    user.refresh_from_db()
    assert (user.email, user.claimed_email) == (None, ADA)


@pytest.mark.parametrize("current", ["", "wrong", OTHER, "x" * 10_000])
def test_password_is_not_changed_without_the_current_one(current):
    user = account()
    entered = login()
    with pytest.raises(InvalidCredentials) as refused:
        change(user, current=current)
    assert refused.value.field == ("current",)
    assert goes_on(entered)
    assert may_log_in()


def test_password_changed_twice_from_one_page_is_changed_once():
    account()
    page, other_page = User.objects.get(), User.objects.get()
    given = {"current": PASSWORD, "client": CLIENT, "now": NOW}
    entered = accounts.change_password(user=page, password=OTHER, **given)
    with pytest.raises((TokenExpired, InvalidCredentials)):
        accounts.change_password(user=other_page, password="a-third-password", **given)
    assert goes_on(entered)
    assert may_log_in(password=OTHER)


def by_django(user):
    user.set_password(OTHER)
    user.save()


def by_command(user):
    call_command("changepassword", user.email, verbosity=0)


def by_admin(user, **given):
    owner = UserFactory(is_staff=True, is_superuser=True)
    browser = Browser()
    browser.force_login(owner)
    given = {"usable_password": "true", "password1": OTHER, "password2": OTHER} | given
    assert browser.post(f"/admin/storefront/user/{user.pk}/password/", given).status_code == 302


@pytest.mark.parametrize("changed", [by_django, by_command, by_admin])
def test_password_ends_what_the_old_one_opened_however_it_is_changed(changed, monkeypatch, reset_token):
    monkeypatch.setattr("getpass.getpass", lambda prompt: OTHER)
    user = account(is_staff=True, is_superuser=True)
    entered, token, browser = login(), reset_token(), Browser()
    browser.force_login(User.objects.get())
    assert browser.get("/admin/").status_code == 200
    changed(User.objects.get(pk=user.pk))
    assert not goes_on(entered)
    assert browser.get("/admin/").status_code == 302
    with pytest.raises(TokenExpired):
        reset(token)
    assert (may_log_in(), may_log_in(password=OTHER)) == (False, True)


def test_password_that_staff_take_away_ends_what_it_opened():
    user = account()
    entered = login()
    by_admin(user, **{"usable_password": "false", "unset-password": "Disable"})
    assert not User.objects.get(pk=user.pk).has_usable_password()
    assert not may_log_in()
    assert not goes_on(entered)


# ── the profile ──────────────────────────────────────────────────────────────────────────────────────


def test_name_is_trimmed_and_may_be_empty():
    user = account()
    for given, kept in [(" Ada \t Lovelace ", "Ada Lovelace"), ("x" * 200, "x" * 200), ("", ""), (" ", "")]:
        accounts.update_profile(user=user, name=given)
        assert User.objects.get().name == kept


def test_name_that_is_not_given_or_too_long_stays_as_it_was():
    user = account(name="Ada")
    accounts.update_profile(user=user, name=None)
    assert [error[0] for error in refusals(lambda: accounts.update_profile(user=user, name="x" * 201))] == ["name"]
    assert User.objects.get().name == "Ada"


def test_name_changed_on_an_old_page_brings_nothing_else_back():
    account()
    page = User.objects.get()
    change(page)
    page.password = "stale"
    accounts.update_profile(user=page, name="Lady Ada")
    assert User.objects.get().name == "Lady Ada"
    assert may_log_in(password=OTHER)


# ── the address book ─────────────────────────────────────────────────────────────────────────────────


def save(user, address=ADDRESS, address_id=None):
    return accounts.save_address(user=user, address_id=address_id, address=address, now=NOW)


def book(user):
    return [saved.address.city for saved in user.addresses.all()]


def test_addresses_are_added_replaced_and_taken_out():
    user = account()
    one, two = save(user), save(user, replace(ADDRESS, city=" Bremen "))
    assert sorted(book(user)) == ["Bremen", "Hamburg"]
    assert save(user, replace(ADDRESS, city="Kiel"), one.pk) == one
    assert sorted(book(user)) == ["Bremen", "Kiel"]
    accounts.delete_address(user=user, address_id=two.pk)
    assert book(user) == ["Kiel"]
    with pytest.raises(NotFound):
        accounts.delete_address(user=user, address_id=two.pk)


def test_address_book_has_at_most_50_entries():
    user, other = account(), account("bob@example.com")
    SavedAddress.objects.bulk_create(
        SavedAddress(user=user, address=ADDRESS, created_at=NOW) for _ in range(MAX_ADDRESSES - 1)
    )
    last = save(user)
    assert [error[0] for error in refusals(lambda: save(user))] == ["address"]
    assert save(user, replace(ADDRESS, city="Kiel"), last.pk) == last
    assert save(other).user == other
    accounts.delete_address(user=user, address_id=last.pk)
    save(user)
    assert user.addresses.count() == MAX_ADDRESSES == 50


@pytest.mark.parametrize("whose", ["another's", "nobody's"])
def test_entry_of_somebody_else_is_not_found(whose):
    user, other = account(), account("bob@example.com")
    entry = save(other).pk if whose == "another's" else uuid.uuid4()
    with pytest.raises(NotFound) as refused:
        save(user, replace(ADDRESS, city="Kiel"), entry)
    assert refused.value.field == ("id",)
    with pytest.raises(NotFound):
        accounts.delete_address(user=user, address_id=entry)
    assert book(other) in (["Hamburg"], [])
    assert book(user) == []


@pytest.mark.parametrize(
    ("parts", "error", "field"),
    [
        ({"city": ""}, AddressIncomplete, "city"),
        ({"country_code": "XX"}, AddressIncomplete, "country_code"),
        ({"line1": "x" * 201}, InvalidInput, "line1"),
    ],
)
def test_address_that_is_incomplete_or_too_long_is_not_saved(parts, error, field):
    user = account()
    saved = save(user)
    for address_id in (None, saved.pk):
        with pytest.raises(error) as refused:
            save(user, replace(ADDRESS, **parts), address_id)
        assert refused.value.field == ("address", field)
    assert book(user) == ["Hamburg"]


# ── leaving ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", [{"email": ADA}, {"email": None, "claimed": ADA}], ids=["proven", "claimed"])
def test_account_that_is_deleted_tells_nothing_of_the_person(given):
    user = account(name="Ada", is_staff=True, is_superuser=True, **given)
    entered = login()
    save(user)
    delete(user)
    user.refresh_from_db()
    assert (user.email, user.claimed_email, user.name, user.address) == (None, "", "", "")
    assert (user.is_active, user.is_staff, user.is_superuser, user.has_usable_password()) == (False,) * 4
    assert not SavedAddress.objects.exists()
    assert not Session.objects.exists()
    assert not goes_on(entered)
    assert not may_log_in()
    random = {"id", "password", "token_version"}  # Hexadecimal digits spell "ada" now and then.
    for row in User.objects.values():
        assert "ada" not in str({name: value for name, value in row.items() if name not in random}).lower()


@pytest.mark.parametrize("password", ["", "wrong", "x" * 10_000])
def test_account_is_not_deleted_without_the_password(password):
    user = account()
    entered = login()
    with pytest.raises(InvalidCredentials) as refused:
        delete(user, password)
    assert refused.value.field == ("password",)
    assert goes_on(entered)
    assert may_log_in()


def test_email_of_a_deleted_account_is_free_for_a_new_one(posted):
    old = account()
    delete(old)
    entered, (mail,) = posted(register)
    assert mail.subject == "Confirm your e-mail address"
    assert accounts.verify_email(token=token_in(mail)) == entered.user != old


def test_links_of_a_deleted_account_are_dead(posted, reset_token):
    entered, (mail,) = posted(register)
    token = reset_token()
    delete(entered.user)
    with pytest.raises(TokenExpired):
        accounts.verify_email(token=token_in(mail))
    with pytest.raises(TokenExpired):
        reset(token)
    assert not User.objects.get().address


def test_orders_of_a_deleted_account_stay_as_they_were(placed_order):
    user = account()
    order = placed_order({VariantFactory(): 2}, user)
    before = Order.objects.values().get()
    delete(user)
    assert Order.objects.values().get() == before
    assert (order.email, order.shipping_address, order.lines.get().quantity) == (ADA, ADDRESS, 2)
    assert (
        orders.cancel(order_id=order.pk, viewer=None, receipt=orders.receipt(order=order), now=NOW).state == "CANCELLED"
    )


def test_carts_of_a_deleted_account_are_abandoned_without_what_was_told(ready_cart, placed_order):
    user, other = account(), account("bob@example.com")
    placed_order({VariantFactory(): 1}, user)
    cart = ready_cart({VariantFactory(): 1}, user)
    others = ready_cart({VariantFactory(): 1}, other)
    delete(user)
    cart.refresh_from_db()
    assert cart.state == CartState.ABANDONED
    assert list(Checkout.objects.all()) == [others.checkout]
    assert Cart.objects.get(user=other).state == CartState.ACTIVE
    with pytest.raises(carts.CartLocked):
        carts.clear(key=CartKey(code=cart.code, user=user), now=NOW)
    with pytest.raises(NotFound):
        carts.clear(key=CartKey(code=cart.code), now=NOW)


@pytest.mark.parametrize("late", ["name", "address"])
def test_request_that_comes_too_late_leaves_nothing_of_the_person_in_a_deleted_account(late):
    user = account()
    page = User.objects.get(pk=user.pk)
    delete(user)
    with suppress(DomainError):
        if late == "name":
            accounts.update_profile(user=page, name="Ada")
        else:
            save(page)
    assert User.objects.get().name == ""
    assert not SavedAddress.objects.exists()


def test_account_is_deleted_once():
    user = account()
    page = User.objects.get(pk=user.pk)
    delete(user)
    with pytest.raises(InvalidCredentials):
        delete(user)
    accounts.delete_account(user=page, password=PASSWORD, client=CLIENT, now=NOW)
    assert not User.objects.get().is_active


def test_other_accounts_are_not_touched_when_one_is_deleted():
    user, other = account(), account(None, claimed=ADA, password=OTHER)
    entered = login(password=OTHER)
    save(other)
    delete(user)
    assert goes_on(entered)
    assert book(other) == ["Hamburg"]
    assert may_log_in(password=OTHER)
