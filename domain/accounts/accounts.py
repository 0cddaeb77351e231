"""Accounts: registration, login, e-mail verification, passwords, the address book, and deletion.

No answer reveals whether an e-mail has an account: answers and response times are the same (docs/adr/0009).
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
from domain.accounts.sessions import ActiveSession, TokenExpired
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
    """The e-mail or the password is wrong. It does not say which."""

    code: ClassVar[str] = "INVALID_CREDENTIALS"


@dataclass(frozen=True, slots=True)
class Client:
    """The client of a request: its network address, user agent and current refresh token."""

    address: str
    user_agent: str = ""
    refresh_token: str = ""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user's new session. `changes` tells what happened to the guest cart's lines; None if merging failed."""

    session: Session
    refresh_token: str
    changes: list[carts.CartChange] | None = None

    @property
    def user(self) -> User:
        return self.session.user


# ── registration and login ───────────────────────────────────────────────────────────────────────────


def register(
    *, email: str, password: str, name: str = "", cart: carts.CartKey, client: Client, now: datetime
) -> LoggedIn:
    """Creates an account that claims the e-mail, logs in, and merges the guest's cart. Calling it again logs in.

    If another account has verified the e-mail, this works too, and a mail informs the owner. Raises InvalidInput,
    RateLimited.
    """
    email = contact.clean_email(given=email)
    user = User(claimed_email=email, name=_checked_name(name), joined_at=now)
    _check_password(password, user)
    throttle.count(action="register", address=client.address, account=email, now=now)
    user.set_password(password)
    while True:
        known = _accounts(email)
        found = _account_with_password(known, password)
        if found or _create_account(user=user, known=known):
            break
    if found and not found.email:
        _queue_email_proof(found, now=now)
    return _log_in(found or user, cart=cart, client=client, now=now)


@transaction.atomic(durable=True)
def _create_account(*, user: User, known: list[User]) -> bool:
    """Returns False if an account with the e-mail was created meanwhile: it may be the same person's."""
    locks.email(address=user.claimed_email)
    if _accounts(user.claimed_email) != known:
        return False
    user.save(force_insert=True)
    if known and known[0].email:
        outbox.put(kind="account_known", payload={"to": user.claimed_email}, now=user.joined_at)
    else:
        _queue_email_proof(user, now=user.joined_at)
    return True


def login(*, email: str, password: str, cart: carts.CartKey, client: Client, now: datetime) -> LoggedIn:
    """Starts a session and merges the guest's cart. Raises InvalidCredentials, RateLimited, InvalidInput."""
    email = contact.clean_email(given=email)
    throttle.count(action="login", address=client.address, account=email, now=now)
    user = _account_with_password(_accounts(email), password)
    if user is None:
        raise InvalidCredentials("The e-mail or the password is wrong.")
    if user.email:  # Only for the owner: a stranger's account with the same claimed e-mail must not reset the limit.
        throttle.reset(action="login", address=client.address, account=email, now=now)
    return _log_in(user, cart=cart, client=client, now=now)


def _accounts(email: str) -> list[User]:
    """At most two accounts that this e-mail can log in to: the owner's first, then the newest that claim it."""
    named = User.objects.filter(Q(email=email) | Q(claimed_email=email), is_active=True)
    return list(named.order_by(F("email").asc(nulls_last=True), "-joined_at", "pk")[:2])


def _account_with_password(accounts: Sequence[User], password: str) -> User | None:
    """The first account with this password. Always verifies two passwords: the response time must reveal nothing."""
    matching = [user for user in accounts if user.check_password(password)]
    for _ in range(2 - len(accounts)):
        check_password(password, _dummy_hash(get_hasher().algorithm))
    return next(iter(matching), None)


@cache
def _dummy_hash(algorithm: str) -> str:
    return make_password("nobody's", hasher=algorithm)


def _log_in(user: User, *, cart: carts.CartKey, client: Client, now: datetime) -> LoggedIn:
    return _merge_cart(_begin_session(user=user, client=client, now=now), cart, now=now)


@transaction.atomic(durable=True)
def _begin_session(*, user: User, client: Client, now: datetime) -> ActiveSession:
    """Starts a session, unless the password was changed after it was verified."""
    locked = locks.user(candidates=User.objects.filter(pk=user.pk, token_version=user.token_version, is_active=True))
    if locked is None:
        raise InvalidCredentials("The e-mail or the password is wrong.")
    locked.last_login = now
    locked.save(update_fields=["last_login"])
    return sessions.begin(user=locked, user_agent=client.user_agent, replaces=client.refresh_token, now=now)


def _merge_cart(entry: ActiveSession, cart: carts.CartKey, *, now: datetime) -> LoggedIn:
    """Merges the guest's cart. An error does not prevent the login; it leaves the cart as it was."""
    changes: list[carts.CartChange] | None
    try:
        changes = carts.merge(key=cart, user=entry.session.user, now=now)
    except Exception:
        logger.exception("Merging a guest's cart into the cart of user %s failed.", entry.session.user_id)
        changes = None
    return LoggedIn(entry.session, entry.refresh_token, changes)


# ── e-mail and password ──────────────────────────────────────────────────────────────────────────────


def verify_email(*, token: str) -> User:
    """Verifies the account's claimed e-mail. Calling it again changes nothing. Raises TokenExpired, InvalidInput."""
    claim = _read_token(token, PROOF_SALT, timedelta(days=settings.EMAIL_PROOF_DAYS))
    return _verify(user_id=UUID(claim["user"]), email=claim["email"])


@transaction.atomic(durable=True)
def _verify(*, user_id: UUID, email: str) -> User:
    locks.email(address=email)
    user = locks.user(
        candidates=User.objects.filter(Q(email=email) | Q(claimed_email=email), pk=user_id, is_active=True)
    )
    if user is None:
        raise _link_expired()
    if not (user.email or _confirm_email(user)):
        raise InvalidInput("This e-mail belongs to another account. Log in to that account.", field=["token"])
    return user


def _confirm_email(user: User) -> bool:
    """Makes the claimed e-mail the user's own, unless another account has it. User and e-mail are locked."""
    if User.objects.filter(email=user.claimed_email).exists():
        return False
    user.email, user.claimed_email = user.claimed_email, ""
    user.save(update_fields=["email", "claimed_email"])
    return True


def request_password_reset(*, email: str, client: Client, now: datetime) -> None:
    """Queues a mail to the address, whether it has an account or not. Raises InvalidInput, RateLimited."""
    email = contact.clean_email(given=email)
    throttle.count(action="reset", address=client.address, account=email, now=now)
    user = next(iter(_accounts(email)), None)
    if user is None:
        outbox.put(kind="account_unknown", payload={"to": email}, now=now)
    else:
        outbox.put(kind="password_reset", payload={"to": email, "user": str(user.pk)}, now=now)


def reset_password(*, token: str, password: str, cart: carts.CartKey, client: Client, now: datetime) -> LoggedIn:
    """Sets a new password with the token of a mailed link, ends all sessions, and logs in. Also verifies the e-mail.

    Raises TokenExpired, InvalidInput.
    """
    claim = _read_token(token, RESET_SALT, timedelta(minutes=settings.PASSWORD_RESET_MINUTES))
    user = User.objects.filter(pk=claim["user"], token_version=claim["version"], is_active=True).first()
    if user is None:
        raise _link_expired()
    return _merge_cart(_set_password(user, password, client=client, now=now, proves=True), cart, now=now)


def change_password(*, user: User, current: str, password: str, client: Client, now: datetime) -> LoggedIn:
    """Sets a new password, ends all sessions and starts a new one.

    Raises InvalidCredentials for the current password, InvalidInput for the new one, RateLimited.
    """
    _confirm_password(user, current, field="current", client=client, now=now)
    entry = _set_password(user, password, client=client, now=now, proves=False)
    return LoggedIn(entry.session, entry.refresh_token)


def _set_password(user: User, password: str, *, client: Client, now: datetime, proves: bool) -> ActiveSession:
    version = user.token_version
    _check_password(password, user)
    user.set_password(password)
    return _store_password(user=user, version=version, client=client, now=now, proves=proves)


@transaction.atomic(durable=True)
def _store_password(*, user: User, version: str, client: Client, now: datetime, proves: bool) -> ActiveSession:
    if user.claimed_email:
        locks.email(address=user.claimed_email)
    locked = locks.user(candidates=User.objects.filter(pk=user.pk, token_version=version, is_active=True))
    if locked is None:  # A concurrent request has changed it.
        raise _link_expired()
    locked.password, locked.token_version, locked.last_login = user.password, user.token_version, now
    locked.save(update_fields=["password", "token_version", "last_login"])
    if proves and locked.claimed_email:
        _confirm_email(locked)
    return sessions.begin(user=locked, user_agent=client.user_agent, replaces=client.refresh_token, now=now)


def _confirm_password(user: User, password: str, *, field: str, client: Client, now: datetime) -> None:
    """Asks for the password again, in case someone else uses the user's open session."""
    throttle.count(action="login", address=client.address, account=str(user.pk), now=now)
    if _account_with_password([user], password) is None:
        raise InvalidCredentials("The password is wrong.", field=[field])
    throttle.reset(action="login", address=client.address, account=str(user.pk), now=now)


def _check_password(password: str, user: User) -> None:
    if len(password) > MAX_PASSWORD:
        raise InvalidInput(f"A password has at most {MAX_PASSWORD} characters.", field=["password"])
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise_all(errors=[InvalidInput(message, field=["password"]) for message in error.messages])


def _queue_email_proof(user: User, *, now: datetime) -> None:
    outbox.put(kind="email_proof", payload={"to": user.claimed_email, "user": str(user.pk)}, now=now)


def proof_link(*, user: User) -> str:
    """The path of the storefront, with a token, by which a user verifies the claimed e-mail."""
    return f"/verify-email?token={signing.dumps({'user': str(user.pk), 'email': user.claimed_email}, salt=PROOF_SALT)}"


def reset_link(*, user: User) -> str:
    """The path of the storefront, with a token, by which a user sets a new password."""
    token = signing.dumps({"user": str(user.pk), "version": user.token_version}, salt=RESET_SALT)
    return f"/reset-password?token={token}"


def _read_token(token: str, salt: str, max_age: timedelta) -> dict[str, Any]:
    try:
        claim: dict[str, Any] = signing.loads(token, salt=salt, max_age=max_age)
    except signing.BadSignature:
        raise _link_expired() from None
    return claim


def _link_expired() -> TokenExpired:
    return TokenExpired("This link has expired or was used already.", field=["token"])


# ── the account itself ───────────────────────────────────────────────────────────────────────────────


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if len(name) > MAX_NAME:
        raise InvalidInput(f"A name has at most {MAX_NAME} characters.", field=["name"])
    return name


@transaction.atomic(durable=True)
def update_profile(*, user: User, name: str | None) -> None:
    """Changes what is not None. Raises InvalidInput."""
    if name is not None:
        _lock_account(user)
        user.name = _checked_name(name)
        user.save(update_fields=["name"])


def _lock_account(user: User) -> None:
    """Locks the account. Raises NotFound if it was deleted meanwhile."""
    if locks.user(candidates=User.objects.filter(pk=user.pk, is_active=True)) is None:
        raise NotFound("This account does not exist.")


@transaction.atomic(durable=True)
def save_address(*, user: User, address_id: UUID | None, address: Address, now: datetime) -> SavedAddress:
    """Adds an entry to the address book, or with `address_id` replaces one.

    Raises AddressIncomplete, InvalidInput for the address, NotFound for the entry.
    """
    address = contact.clean_address(given=address, field=["address"])
    _lock_account(user)
    if address_id is None:
        if user.addresses.count() >= MAX_ADDRESSES:
            raise InvalidInput(f"An address book has at most {MAX_ADDRESSES} entries.", field=["address"])
        return SavedAddress.objects.create(user=user, address=address, created_at=now)
    saved = user.addresses.filter(pk=address_id).first()
    if saved is None:
        raise NotFound("This saved address does not exist.", field=["id"])
    saved.address = address
    saved.save(update_fields=["address"])
    return saved


@transaction.atomic(durable=True)
def delete_address(*, user: User, address_id: UUID) -> None:
    """Deletes an entry of the address book. Raises NotFound."""
    if not user.addresses.filter(pk=address_id).delete()[0]:
        raise NotFound("This saved address does not exist.", field=["id"])


def delete_account(*, user: User, password: str, client: Client, now: datetime) -> None:
    """Deletes the viewer's account and frees the e-mail. Orders stay, for the shop's books.

    Raises InvalidCredentials, RateLimited.
    """
    _confirm_password(user, password, field="password", client=client, now=now)
    anonymize(user=user)


@transaction.atomic(durable=True)
def anonymize(*, user: User) -> None:
    """Removes all personal data from an account, ends its sessions, and disables it."""
    locked = locks.user(candidates=User.objects.filter(pk=user.pk))
    if locked is None:
        return
    sessions.delete_all(user=locked)
    locked.addresses.all().delete()
    locks.carts(candidates=Cart.objects.filter(user=locked))
    # Orders have their own copies of a checkout's data.
    Checkout.objects.filter(cart__user=locked).delete()
    Cart.objects.filter(user=locked, state=CartState.ACTIVE).update(state=CartState.ABANDONED)
    # Last, because a concurrent `orders.place` refers to this row; the cart lock above waits for it.
    locked.email, locked.claimed_email, locked.name, locked.is_active = None, "", "", False
    locked.is_staff = locked.is_superuser = False
    locked.set_unusable_password()
    locked.save()
