"""Accounts: who registers, logs in, proves an e-mail, changes a password, and leaves.

Nothing here tells whether an e-mail has an account: the same answer, the same work (docs/adr/0009).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password, get_hasher, make_password
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q

from domain.accounts import sessions, throttle
from domain.accounts.sessions import Entry, TokenExpired
from domain.base import contact, locks, outbox
from domain.base.errors import DomainError, InvalidInput, NotFound, raise_all
from domain.sales import cart as carts
from storefront.models import Address, Cart, CartState, Checkout, SavedAddress, Session, User

logger = logging.getLogger(__name__)

MAX_PASSWORD = 128
MAX_NAME = 200
MAX_ADDRESSES = 50

RESET_SALT, PROOF_SALT = "commercia.password-reset", "commercia.email-proof"


class InvalidCredentials(DomainError):
    """E-mail and password belong to no account, or not together: which, is not told."""

    code: ClassVar[str] = "INVALID_CREDENTIALS"


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the network address, what the browser calls itself, and the refresh token that it holds."""

    address: str
    user_agent: str = ""
    refresh_token: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user with a session, and what became of the lines of the guest's cart; None where that could not be merged."""

    session: Session
    refresh_token: str
    changes: list[carts.CartChange] | None = None

    @property
    def user(self) -> User:
        return self.session.user


# ── coming in ────────────────────────────────────────────────────────────────────────────────────────


def register(
    *, email: str, password: str, name: str = "", cart: carts.CartKey, client: Client, now: datetime
) -> LoggedIn:
    """Opens an account that claims the e-mail, logs in to it, and merges the guest's cart. Again is a login.

    Raises InvalidInput, RateLimited. An e-mail that another account has proven hinders nothing:
    a mail tells its owner.
    """
    email = contact.email(given=email)
    user = User(claimed_email=email, name=_checked_name(name), joined_at=now)
    _check_password(password, user)
    throttle.count(action="register", address=client.address, account=email, now=now)
    user.set_password(password)
    while True:
        known = _accounts(email)
        found = _matching(known, password)
        if found or _created(user=user, known=known):
            break
    if found and not found.email:
        _owe_proof(found, now=now)
    return _enter(found or user, cart=cart, client=client, now=now)


@transaction.atomic(durable=True)
def _created(*, user: User, known: list[User]) -> bool:
    """False when another account with the e-mail came first: it may be the same person's."""
    locks.email(address=user.claimed_email)
    if _accounts(user.claimed_email) != known:
        return False
    user.save(force_insert=True)
    if known and known[0].email:
        outbox.put(kind="account_known", payload={"to": user.claimed_email}, now=user.joined_at)
    else:
        _owe_proof(user, now=user.joined_at)
    return True


def login(*, email: str, password: str, cart: carts.CartKey, client: Client, now: datetime) -> LoggedIn:
    """Begins a session and merges the guest's cart. Raises InvalidCredentials, RateLimited, InvalidInput."""
    email = contact.email(given=email)
    throttle.count(action="login", address=client.address, account=email, now=now)
    user = _matching(_accounts(email), password)
    if user is None:
        raise InvalidCredentials("The e-mail or the password is wrong.")
    if user.email:  # Whoever only claims it could win the owner's attempts back with a password of their own.
        throttle.forgive(action="login", address=client.address, account=email, now=now)
    return _enter(user, cart=cart, client=client, now=now)


def _accounts(email: str) -> list[User]:
    """The accounts that the e-mail may log in to: whose it is, then those that claim it, the newest first; two."""
    named = User.objects.filter(Q(email=email) | Q(claimed_email=email), is_active=True)
    return list(named.order_by(F("email").asc(nulls_last=True), "-joined_at", "pk")[:2])


def _matching(accounts: Sequence[User], password: str) -> User | None:
    """The first account with that password. Two passwords are verified, however many accounts there are."""
    matching = [user for user in accounts if user.check_password(password)]
    for _ in range(2 - len(accounts)):
        check_password(password, _nobodys_password(get_hasher().algorithm))
    return next(iter(matching), None)


@cache
def _nobodys_password(algorithm: str) -> str:
    return make_password("nobody's", hasher=algorithm)


def _enter(user: User, *, cart: carts.CartKey, client: Client, now: datetime) -> LoggedIn:
    return _with_cart(_begun(user=user, client=client, now=now), cart, now=now)


@transaction.atomic(durable=True)
def _begun(*, user: User, client: Client, now: datetime) -> Entry:
    """Begins a session, if the password that was verified is still the user's."""
    locked = locks.user(candidates=User.objects.filter(pk=user.pk, token_version=user.token_version, is_active=True))
    if locked is None:
        raise InvalidCredentials("The e-mail or the password is wrong.")
    locked.last_login = now
    locked.save(update_fields=["last_login"])
    return sessions.begin(user=locked, user_agent=client.user_agent, replaces=client.refresh_token, now=now)


def _with_cart(entry: Entry, cart: carts.CartKey, *, now: datetime) -> LoggedIn:
    """Merges the guest's cart. Whatever goes wrong with it stops no login: the cart stays as it was."""
    changes: list[carts.CartChange] | None
    try:
        changes = carts.merge(key=cart, user=entry.session.user, now=now)
    except Exception:
        logger.exception("A guest's cart was not merged into that of user %s.", entry.session.user_id)
        changes = None
    return LoggedIn(entry.session, entry.refresh_token, changes)


# ── e-mail and password ──────────────────────────────────────────────────────────────────────────────


def verify_email(*, token: str) -> User:
    """Makes the claimed e-mail the account's. Again changes nothing. Raises TokenExpired, InvalidInput."""
    claim = _signed(token, PROOF_SALT, timedelta(days=settings.EMAIL_PROOF_DAYS))
    return _verified(user_id=UUID(claim["user"]), email=claim["email"])


@transaction.atomic(durable=True)
def _verified(*, user_id: UUID, email: str) -> User:
    locks.email(address=email)
    user = locks.user(
        candidates=User.objects.filter(Q(email=email) | Q(claimed_email=email), pk=user_id, is_active=True)
    )
    if user is None:
        raise _link_expired()
    if not (user.email or _proven(user)):
        raise InvalidInput("This e-mail belongs to another account: log in to that one.", field=["token"])
    return user


def _proven(user: User) -> bool:
    """Gives a locked user the e-mail they claim, unless somebody has it. The e-mail is locked as well."""
    if User.objects.filter(email=user.claimed_email).exists():
        return False
    user.email, user.claimed_email = user.claimed_email, ""
    user.save(update_fields=["email", "claimed_email"])
    return True


def request_password_reset(*, email: str, client: Client, now: datetime) -> None:
    """Sends a mail to the address, whether it has an account or not. Raises InvalidInput, RateLimited."""
    email = contact.email(given=email)
    throttle.count(action="reset", address=client.address, account=email, now=now)
    user = next(iter(_accounts(email)), None)
    if user is None:
        outbox.put(kind="account_unknown", payload={"to": email}, now=now)
    else:
        outbox.put(kind="password_reset", payload={"to": email, "user": str(user.pk)}, now=now)


def reset_password(*, token: str, password: str, cart: carts.CartKey, client: Client, now: datetime) -> LoggedIn:
    """Sets a new password by the link of a mail, which also proves the e-mail, and logs in. Every session ends.

    Raises TokenExpired, InvalidInput.
    """
    claim = _signed(token, RESET_SALT, timedelta(minutes=settings.PASSWORD_RESET_MINUTES))
    user = User.objects.filter(pk=claim["user"], token_version=claim["version"], is_active=True).first()
    if user is None:
        raise _link_expired()
    return _with_cart(_with_password(user, password, client=client, now=now, proves=True), cart, now=now)


def change_password(*, user: User, current: str, password: str, client: Client, now: datetime) -> LoggedIn:
    """Sets a new password and begins a new session; every other one ends.

    Raises InvalidCredentials for the current one, InvalidInput for the new one, RateLimited.
    """
    _confirm(user, current, field="current", client=client, now=now)
    entry = _with_password(user, password, client=client, now=now, proves=False)
    return LoggedIn(entry.session, entry.refresh_token)


def _with_password(user: User, password: str, *, client: Client, now: datetime, proves: bool) -> Entry:
    version = user.token_version
    _check_password(password, user)
    user.set_password(password)
    return _changed(user=user, version=version, client=client, now=now, proves=proves)


@transaction.atomic(durable=True)
def _changed(*, user: User, version: str, client: Client, now: datetime, proves: bool) -> Entry:
    if user.claimed_email:
        locks.email(address=user.claimed_email)
    locked = locks.user(candidates=User.objects.filter(pk=user.pk, token_version=version, is_active=True))
    if locked is None:  # It was changed by another request in the meantime.
        raise _link_expired()
    locked.password, locked.token_version, locked.last_login = user.password, user.token_version, now
    locked.save(update_fields=["password", "token_version", "last_login"])
    if proves and locked.claimed_email:
        _proven(locked)
    return sessions.begin(user=locked, user_agent=client.user_agent, replaces=client.refresh_token, now=now)


def _confirm(user: User, password: str, *, field: str, client: Client, now: datetime) -> None:
    """That it is the user who asks, and not who found their session open."""
    throttle.count(action="login", address=client.address, account=str(user.pk), now=now)
    if _matching([user], password) is None:
        raise InvalidCredentials("The password is wrong.", field=[field])
    throttle.forgive(action="login", address=client.address, account=str(user.pk), now=now)


def _check_password(password: str, user: User) -> None:
    if len(password) > MAX_PASSWORD:
        raise InvalidInput(f"At most {MAX_PASSWORD} characters.", field=["password"])
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise_all(errors=[InvalidInput(message, field=["password"]) for message in error.messages])


def _owe_proof(user: User, *, now: datetime) -> None:
    outbox.put(kind="email_proof", payload={"to": user.claimed_email, "user": str(user.pk)}, now=now)


def proof_link(*, user: User) -> str:
    """Where the mail leads that lets a user prove the e-mail they claim: a path of the storefront."""
    return f"/verify-email?token={signing.dumps({'user': str(user.pk), 'email': user.claimed_email}, salt=PROOF_SALT)}"


def reset_link(*, user: User) -> str:
    """Where the mail leads that lets a user set a new password: a path of the storefront."""
    token = signing.dumps({"user": str(user.pk), "version": user.token_version}, salt=RESET_SALT)
    return f"/reset-password?token={token}"


def _signed(token: str, salt: str, max_age: timedelta) -> dict[str, Any]:
    try:
        claim: dict[str, Any] = signing.loads(token, salt=salt, max_age=max_age)
    except signing.BadSignature:
        raise _link_expired() from None
    return claim


def _link_expired() -> TokenExpired:
    return TokenExpired("This link is too old, or was used already.", field=["token"])


# ── the account itself ───────────────────────────────────────────────────────────────────────────────


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if len(name) > MAX_NAME:
        raise InvalidInput(f"At most {MAX_NAME} characters.", field=["name"])
    return name


@transaction.atomic(durable=True)
def update_profile(*, user: User, name: str | None) -> None:
    """Changes what is not None. Raises InvalidInput."""
    if name is not None:
        _own(user)
        user.name = _checked_name(name)
        user.save(update_fields=["name"])


def _own(user: User) -> None:
    """Locks the account of a request that may have come too late. Raises NotFound."""
    if locks.user(candidates=User.objects.filter(pk=user.pk, is_active=True)) is None:
        raise NotFound("There is no such account.")


@transaction.atomic(durable=True)
def save_address(*, user: User, address_id: UUID | None, address: Address, now: datetime) -> SavedAddress:
    """Adds to the address book, or replaces an entry of it.

    Raises AddressIncomplete, InvalidInput for the address, NotFound for the entry.
    """
    address = contact.address(given=address, field=["address"])
    _own(user)
    if address_id is None:
        if user.addresses.count() >= MAX_ADDRESSES:
            raise InvalidInput(f"An address book has at most {MAX_ADDRESSES} entries.", field=["address"])
        return SavedAddress.objects.create(user=user, address=address, created_at=now)
    saved = user.addresses.filter(pk=address_id).first()
    if saved is None:
        raise NotFound("There is no such saved address.", field=["id"])
    saved.address = address
    saved.save(update_fields=["address"])
    return saved


@transaction.atomic(durable=True)
def delete_address(*, user: User, address_id: UUID) -> None:
    """Takes an entry out of the address book. Raises NotFound."""
    if not user.addresses.filter(pk=address_id).delete()[0]:
        raise NotFound("There is no such saved address.", field=["id"])


def delete_account(*, user: User, password: str, client: Client, now: datetime) -> None:
    """Forgets the viewer: nobody can log in any more, and the e-mail is free. Their orders stay, for the shop's books.

    Raises InvalidCredentials, RateLimited.
    """
    _confirm(user, password, field="password", client=client, now=now)
    forget(user=user)


@transaction.atomic(durable=True)
def forget(*, user: User) -> None:
    """Takes from an account whatever tells who its owner was, and the way in."""
    locked = locks.user(candidates=User.objects.filter(pk=user.pk))
    if locked is None:
        return
    sessions.forget(user=locked)
    locked.addresses.all().delete()
    locks.carts(candidates=Cart.objects.filter(user=locked))
    # What an order needs of a checkout, it holds itself.
    Checkout.objects.filter(cart__user=locked).delete()
    Cart.objects.filter(user=locked, state=CartState.ACTIVE).update(state=CartState.ABANDONED)
    # Last: an order that is just being placed refers to the row, and holds a cart that was waited for above.
    locked.email, locked.claimed_email, locked.name, locked.is_active = None, "", "", False
    locked.is_staff = locked.is_superuser = False
    locked.set_unusable_password()
    locked.save()
