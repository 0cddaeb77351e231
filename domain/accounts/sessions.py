"""Sessions (a login on a device) and their refresh tokens. Each token is used once; a reuse ends the session."""

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

# For this long after its use, a token still returns the same successor: several tabs may refresh at once, or a response
# may be lost (docs/adr/0010).
GRACE = timedelta(seconds=30)
MAX_SESSIONS = 50


class TokenExpired(DomainError):
    """The token is unknown or expired, or its session has ended. The user has to log in again."""

    code: ClassVar[str] = "TOKEN_EXPIRED"


class TokenReused(DomainError):
    """The token was used before, so it may have been stolen. Its session was ended."""

    code: ClassVar[str] = "TOKEN_REUSED"


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session with the refresh token for its next refresh."""

    session: Session
    refresh_token: str


def active(*, now: datetime) -> "QuerySet[Session]":
    """The valid sessions: not expired, and started with their user's current token version. Newest use first."""
    return Session.objects.filter(
        expires_at__gt=now, user__is_active=True, token_version=F("user__token_version")
    ).order_by("-last_used_at")


def begin(*, user: User, user_agent: str, replaces: str = "", now: datetime) -> ActiveSession:
    """Starts a session for a locked user. Ends the session of the refresh token `replaces`.

    Deletes the user's expired sessions, and the oldest ones above MAX_SESSIONS.
    """
    kept = active(now=now).filter(user=user).values_list("pk", flat=True)[: MAX_SESSIONS - 1]
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
    return ActiveSession(session, refresh_token)


def refresh(*, refresh_token: str, now: datetime) -> ActiveSession:
    """Replaces a refresh token with its successor. Raises TokenExpired; TokenReused after ending the session."""
    if not refresh_token:  # Storefronts call this on every guest's page.
        raise TokenExpired("You are not logged in.")
    entry = _replace_token(refresh_token=refresh_token, now=now)
    if entry is None:
        raise TokenReused("This session was ended, because its token was used twice. Log in again.")
    return entry


@transaction.atomic(durable=True)
def _replace_token(*, refresh_token: str, now: datetime) -> ActiveSession | None:
    """Returns None for a reused token, after ending its session."""
    found = active(now=now).filter(tokens__digest=_digest(refresh_token))
    session = next(iter(locks.sessions(candidates=found.select_related("user"))), None)
    if session is None:
        raise TokenExpired("This session has ended. Log in again.")
    token = session.tokens.get(digest=_digest(refresh_token))
    while token.replaced_at is not None and now - token.replaced_at <= GRACE:
        refresh_token = _successor(refresh_token)
        successor = session.tokens.filter(digest=_digest(refresh_token)).first()
        if successor is None:  # SECRET_KEY was changed meanwhile.
            raise TokenExpired("This session has ended. Log in again.")
        if successor.replaced_at is None:
            return ActiveSession(session, refresh_token)
        token = successor
    if token.replaced_at is not None:
        logger.warning("A refresh token was reused. Ended session %s of user %s.", session.pk, session.user_id)
        session.delete()
        return None
    RefreshToken.objects.filter(pk=token.pk).update(replaced_at=now)
    Session.objects.filter(pk=session.pk).update(last_used_at=now)
    refresh_token = _successor(refresh_token)
    RefreshToken.objects.create(session=session, digest=_digest(refresh_token))
    return ActiveSession(session, refresh_token)


@transaction.atomic(durable=True)
def end(*, session_id: UUID | None, refresh_tokens: Iterable[str]) -> None:
    """Ends this session and those of the refresh tokens. Ended sessions are ignored."""
    _delete(Session.objects.filter(Q(pk=session_id) | _of_tokens(refresh_tokens)))


@transaction.atomic(durable=True)
def end_all(*, user: User) -> None:
    """Ends all sessions and tokens of the user, including Django's own sessions."""
    User.objects.filter(pk=user.pk).update(token_version=new_token_version())
    delete_all(user=user)


def delete_all(*, user: User) -> None:
    """Deletes the user's sessions. Call it in the transaction that changes the user's token version."""
    _delete(user.sessions.all())


@transaction.atomic(durable=True)
def prune(*, now: datetime) -> int:
    """Deletes expired sessions with their tokens. Returns how many sessions."""
    return _delete(Session.objects.filter(expires_at__lte=now))


def _of_tokens(refresh_tokens: Iterable[str]) -> Q:
    digests = [_digest(token) for token in refresh_tokens]
    return Q(pk__in=RefreshToken.objects.filter(digest__in=digests).values("session"))


def _delete(doomed: "QuerySet[Session]") -> int:
    """Locks the sessions first, because a concurrent refresh could add a token."""
    keys = [session.pk for session in locks.sessions(candidates=doomed)]
    Session.objects.filter(pk__in=keys).delete()
    return len(keys)


def _digest(refresh_token: str) -> str:
    return hashlib.sha256(refresh_token.encode()).hexdigest()


def _successor(refresh_token: str) -> str:
    """The next token, derived from the previous one with the SECRET_KEY. So a repeated refresh gets the same one."""
    return salted_hmac("commercia.refresh-token", refresh_token, algorithm="sha256").hexdigest()
