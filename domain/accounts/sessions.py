"""Logins on devices, and the refresh tokens by which they go on: each is used once, and a stolen one ends them."""

import hashlib
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.crypto import salted_hmac

from domain.base import locks
from domain.base.errors import DomainError
from storefront.models import RefreshToken, Session, User
from storefront.models.accounts import new_token_version

logger = logging.getLogger(__name__)

# For so long after it was used, a token gets the same successor again: several tabs refresh at once, and an answer
# may be lost on its way (docs/adr/0010).
GRACE = timedelta(seconds=30)
MAX_SESSIONS = 50


class TokenExpired(DomainError):
    """The token is unknown, too old, or of a session that has ended: one has to log in."""

    code: ClassVar[str] = "TOKEN_EXPIRED"


class TokenReused(DomainError):
    """The token had been used before, so two parties hold it: its session was ended for both."""

    code: ClassVar[str] = "TOKEN_REUSED"


@dataclass(frozen=True, slots=True)
class Entry:
    """A session that was begun or goes on, with the refresh token for its next time."""

    session: Session
    refresh_token: str


def alive(*, now: datetime) -> "QuerySet[Session]":
    """The sessions that are good: not past their end, and begun under their user's present token version."""
    return Session.objects.filter(
        expires_at__gt=now, user__is_active=True, token_version=F("user__token_version")
    ).order_by("-last_used_at")


def begin(*, user: User, user_agent: str, replaces: str = "", now: datetime) -> Entry:
    """Begins a session for a locked user. `replaces` is a refresh token whose session ends with that.

    The user's oldest sessions above MAX_SESSIONS, and those that are over, are deleted.
    """
    kept = alive(now=now).filter(user=user).values_list("pk", flat=True)[: MAX_SESSIONS - 1]
    _delete(Session.objects.filter(Q(user=user) & ~Q(pk__in=list(kept)) | _of_tokens([replaces])))
    session = Session.objects.create(
        user=user,
        token_version=user.token_version,
        user_agent=user_agent[:300],
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=settings.SESSION_DAYS),
    )
    refresh_token = secrets.token_urlsafe(32)
    RefreshToken.objects.create(session=session, digest=_digest(refresh_token))
    return Entry(session, refresh_token)


def refresh(*, refresh_token: str, now: datetime) -> Entry:
    """Replaces a refresh token by its successor. Raises TokenExpired; TokenReused, once the session is ended."""
    if not refresh_token:  # Every guest's page asks.
        raise TokenExpired("Nobody is logged in.")
    entry = _replaced(refresh_token=refresh_token, now=now)
    if entry is None:
        raise TokenReused("This session was ended, because a used token came back. Log in again.")
    return entry


@transaction.atomic(durable=True)
def _replaced(*, refresh_token: str, now: datetime) -> Entry | None:
    """None for a token that was used before: its session has been ended."""
    found = alive(now=now).filter(tokens__digest=_digest(refresh_token))
    session = next(iter(locks.sessions(candidates=found.select_related("user"))), None)
    if session is None:
        raise TokenExpired("This session is over. Log in again.")
    token = session.tokens.get(digest=_digest(refresh_token))
    while token.replaced_at is not None and now - token.replaced_at <= GRACE:
        refresh_token = _successor(refresh_token)
        successor = session.tokens.filter(digest=_digest(refresh_token)).first()
        if successor is None:  # SECRET_KEY was changed between the two.
            raise TokenExpired("This session is over. Log in again.")
        if successor.replaced_at is None:
            return Entry(session, refresh_token)
        token = successor
    if token.replaced_at is not None:
        logger.warning("A used refresh token came back: session %s of user %s is ended.", session.pk, session.user_id)
        session.delete()
        return None
    RefreshToken.objects.filter(pk=token.pk).update(replaced_at=now)
    Session.objects.filter(pk=session.pk).update(last_used_at=now)
    refresh_token = _successor(refresh_token)
    RefreshToken.objects.create(session=session, digest=_digest(refresh_token))
    return Entry(session, refresh_token)


@transaction.atomic(durable=True)
def end(*, session_id: UUID | None, refresh_tokens: Iterable[str]) -> None:
    """Ends the session, and those of the refresh tokens. Ended already: nothing happens."""
    _delete(Session.objects.filter(Q(pk=session_id) | _of_tokens(refresh_tokens)))


@transaction.atomic(durable=True)
def end_all(*, user: User) -> None:
    """Ends every session of the user, Django's own too, and whatever token they hold."""
    User.objects.filter(pk=user.pk).update(token_version=new_token_version())
    forget(user=user)


def forget(*, user: User) -> None:
    """Deletes the sessions of a user whose token version has just changed. Call inside that transaction."""
    _delete(user.sessions.all())


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes the sessions that are past their end, with their tokens; says how many."""
    return _delete(Session.objects.filter(expires_at__lte=now))


def _of_tokens(refresh_tokens: Iterable[str]) -> Q:
    digests = [_digest(token) for token in refresh_tokens]
    return Q(pk__in=RefreshToken.objects.filter(digest__in=digests).values("session"))


def _delete(doomed: "QuerySet[Session]") -> int:
    """Locked first, for a session that is being refreshed gets a token while its others are deleted."""
    keys = [session.pk for session in locks.sessions(candidates=doomed)]
    Session.objects.filter(pk__in=keys).delete()
    return len(keys)


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()


def _successor(refresh_token: str) -> str:
    """The next token, made of the one before: only who holds that one, and asks us, comes by it."""
    return salted_hmac("commercia.refresh-token", refresh_token, algorithm="sha256").hexdigest()
