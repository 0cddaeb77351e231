"""Access tokens: the only module that signs and verifies them, with django-graphql-jwt.

A token contains the user, the user's token version and the session. Each request that needs its viewer checks all
three, so a token stops working as soon as one of them is gone.
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
    """The token is invalid; the message is for developers of front ends."""


def issue(session: Session, *, now: datetime) -> tuple[str, datetime]:
    """An access token for the session's user, and when it expires (UTC)."""
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


def bearer_token(authorization: str) -> str | None:
    """The token of an Authorization header `Bearer …` or `JWT …`; None for other schemes."""
    prefix, _, token = authorization.strip().partition(" ")
    return token.strip() if prefix.lower() in _PREFIXES else None


def user_id_in(authorization: str) -> str | None:
    """The user id in a token that we signed, even if its session has ended. Use it only for counting requests."""
    try:
        token = bearer_token(authorization)
        return str(_claims(token).get("sub")) if token else None
    except InvalidToken:
        return None


def session_of(token: str, *, now: datetime) -> Session:
    """The active session of the token, with its user. Raises InvalidToken."""
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
        # django-graphql-jwt knows one key only. During a rotation, older keys are accepted too.
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
