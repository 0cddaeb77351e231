"""Access tokens: signed and verified by django-graphql-jwt, here and nowhere else.

A token names the user, the user's token version and the session; all three are looked up for each request that
needs to know its viewer, so a token is worth nothing from the moment that any of them is gone.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.db.models import Q
from graphql_jwt.settings import jwt_settings
from graphql_jwt.utils import jwt_decode, jwt_encode

from domain.accounts import sessions
from storefront.models import Session

_TYPE = "access"
_PREFIXES = {"bearer", "jwt"}


class InvalidToken(Exception):
    """Why the token is not good, in words for the front end's developer."""


def issue(session: Session, *, now: datetime) -> tuple[str, datetime]:
    """An access token for the session's user, and when it ends (UTC)."""
    expires_at = min(now + timedelta(minutes=settings.ACCESS_TOKEN_MINUTES), session.expires_at)
    claims = {
        "iss": jwt_settings.JWT_ISSUER,
        "aud": jwt_settings.JWT_AUDIENCE,
        "typ": _TYPE,
        "sub": str(session.user_id),
        "ver": session.token_version,
        "sid": str(session.pk),
        "iat": int(now.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    return jwt_encode(claims), expires_at


def stated(authorization: str) -> str | None:
    """The token of an Authorization header, `Bearer …` or `JWT …`; None where it is about something else."""
    prefix, _, token = authorization.strip().partition(" ")
    return token.strip() if prefix.lower() in _PREFIXES else None


def user_stated(authorization: str) -> str | None:
    """The id of the user that a token names which we have signed, be its session over: for counting alone."""
    try:
        token = stated(authorization)
        return str(_claims(token).get("sub")) if token else None
    except InvalidToken:
        return None


def session_of(token: str, *, now: datetime) -> Session:
    """The session, with its user, that the token was issued for. Raises InvalidToken."""
    claims = _claims(token)
    try:
        sid, sub, version = (str(claims[name]) for name in ("sid", "sub", "ver"))
        named = Q(pk=UUID(sid), user_id=UUID(sub), token_version=version)
    except (KeyError, ValueError):
        raise InvalidToken("The access token is invalid.") from None
    session = sessions.active(now=now).select_related("user").filter(named).first()
    if session is None:
        raise InvalidToken("The session has ended. Log in again.")
    return session


def _claims(token: str) -> dict[str, Any]:
    try:
        claims = _verified(token)
    except jwt.ExpiredSignatureError:
        raise InvalidToken("The access token has expired. Refresh it.") from None
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise InvalidToken("The access token is invalid.") from None
    if claims.get("typ") != _TYPE or "exp" not in claims:
        raise InvalidToken("The access token is invalid.")
    return claims


def _verified(token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt_decode(token)
    except jwt.InvalidSignatureError:
        # django-graphql-jwt knows one key; while that is replaced, there are more.
        for key in settings.JWT_KEY_FALLBACKS:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=[jwt_settings.JWT_ALGORITHM],
                    issuer=jwt_settings.JWT_ISSUER,
                    audience=jwt_settings.JWT_AUDIENCE,
                )
            except jwt.InvalidSignatureError:
                continue
        raise
    return claims
