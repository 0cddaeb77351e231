"""Logging in, by whatever way, and staying so: the session's tokens and what became of the guest's cart."""

from dataclasses import asdict
from datetime import datetime
from enum import Enum

import strawberry

from domain.accounts import accounts, sessions
from domain.accounts.accounts import LoggedIn
from domain.sales import cart as carts
from domain.sales.priced_cart import find_priced_cart
from schema.base import tokens
from schema.base.context import CART_COOKIE, REFRESH_COOKIE, Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError
from schema.base.loading import Together
from schema.shop.accounts import User
from schema.shop.cart import Cart
from schema.shop.catalog import ProductVariant
from schema.shop.pricing import show
from storefront import models

expose(
    carts.ChangeReason,
    "What became of a line of the guest's cart.",
    name="CartChangeReason",
    ADDED="All of its units were added.",
    CAPPED="Added as far as units are available.",
    SOLD_OUT="No unit is available: nothing was added.",
    NOT_FOR_SALE="It is no longer for sale: nothing was added.",
    CART_FULL="The cart has no room for another line: nothing was added.",
)

# ── types ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="What became of a line of the guest's cart when it was merged.")
class CartChange:
    variants: strawberry.Private[Together[models.ProductVariant]]
    variant_id: strawberry.Private[int]
    before: int = strawberry.field(description="Units that the account's cart had.")
    guest: int = strawberry.field(description="Units that the guest's cart had.")
    after: int = strawberry.field(description="Units that the account's cart has now.")
    reason: carts.ChangeReason = strawberry.field(description="Why so many.")

    @strawberry.field(graphql_type=ProductVariant, description="Units of what.")
    def variant(self, info: Info) -> models.ProductVariant:
        return self.variants.get(self.variant_id, info)


# ── inputs ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.enum(description="How a client keeps its refresh token.")
class TokenDelivery(Enum):
    COOKIE = strawberry.enum_value(
        "COOKIE", description="In a cookie that no script can read: for browsers. `refreshToken` is null."
    )
    PAYLOAD = strawberry.enum_value("PAYLOAD", description="In `refreshToken`: for native apps.")


_EMAIL, _PASSWORD = "Upper and lower case are the same.", "At least 8 characters and at most 128; no common one."
_GUEST_CART = "The guest's `Cart.code`; without it, the cookie's. One that cannot be merged stops nothing."
_DELIVER = "How the refresh token is handed over."


@strawberry.input(description="Who registers.")
class RegisterInput:
    email: str = strawberry.field(description=_EMAIL)
    password: str = strawberry.field(description=_PASSWORD)
    name: str | None = strawberry.field(default=None, description="How to address them; 200 characters.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_GUEST_CART)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


@strawberry.input(description="Who logs in.")
class LoginInput:
    email: str = strawberry.field(description=_EMAIL)
    password: str = strawberry.field(description="The account's.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_GUEST_CART)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


@strawberry.input(description="Which session goes on.")
class RefreshTokenInput:
    refresh_token: str | None = strawberry.field(
        default=None, description="The token of the last payload; without it, the cookie's."
    )


@strawberry.input(description="Which session ends.")
class LogoutInput:
    refresh_token: str | None = strawberry.field(
        default=None, description="Its session ends, besides that of the access token and of the cookie."
    )
    everywhere: bool = strawberry.field(default=False, description="Every session of the viewer ends; needs a viewer.")


@strawberry.input(description="A new password, and the right to set it.")
class ResetPasswordInput:
    token: str = strawberry.field(description="Of the link in the mail.")
    password: str = strawberry.field(description=_PASSWORD)
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_GUEST_CART)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


@strawberry.input(description="The old password and the new one.")
class ChangePasswordInput:
    current: str = strawberry.field(description="The present password.")
    password: str = strawberry.field(description=_PASSWORD)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


# ── payloads ──────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="A session's tokens, or why there are none.")
class AuthPayload:
    entry: strawberry.Private[LoggedIn | None] = None
    access_token: str | None = strawberry.field(
        default=None, description="For the header `Authorization: Bearer …`. Null when nothing was done."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When the access token ends: refresh before. Null when nothing was done."
    )
    expires_in: int | None = strawberry.field(
        default=None, description="The same in seconds from now, for a device whose clock is wrong."
    )
    refresh_token: str | None = strawberry.field(
        default=None,
        description="For the next `refreshToken`, once. Null when nothing was done, or it is in the cookie.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(graphql_type=User | None, description="Who is logged in. Null when nothing was done.")
    def user(self) -> models.User | None:
        return self.entry.user if self.entry else None

    @strawberry.field(graphql_type=Cart | None, description="The user's active cart; null without one.")
    def cart(self, info: Info) -> models.Cart | None:
        if self.entry is None:
            return None
        candidates = carts.candidates(key=carts.CartKey(user=self.entry.user))
        return show(find_priced_cart(candidates=candidates, now=info.context.now), info)

    @strawberry.field(description="What became of each line of the guest's cart.")
    def merged(self) -> list[CartChange]:
        changes = (self.entry.changes if self.entry else None) or []
        variants = Together(models.ProductVariant.objects.filter(pk__in=[change.variant_id for change in changes]))
        return [CartChange(variants=variants, **asdict(change)) for change in changes]

    @classmethod
    def of(cls, entry: LoggedIn, deliver: TokenDelivery, info: Info, cart_code: str | None = None) -> "AuthPayload":
        """The payload of a login, and what it changes for the rest of the request and in the browser."""
        context, session = info.context, entry.session
        context.enter(session)
        if entry.changes is not None and cart_code is None:  # Else the cookie's cart has not been merged.
            context.cookies[CART_COOKIE] = None
        if deliver is TokenDelivery.COOKIE:
            lasts = int((session.expires_at - context.now).total_seconds())
            context.cookies[REFRESH_COOKIE] = (entry.refresh_token, lasts)
        access_token, expires_at = tokens.issue(session, now=context.now)
        in_payload = entry.refresh_token if deliver is TokenDelivery.PAYLOAD else None
        return cls(
            entry=entry,
            access_token=access_token,
            expires_at=expires_at,
            expires_in=int((expires_at - context.now).total_seconds()),
            refresh_token=in_payload,
        )


@strawberry.type(description="Logged out, or why not.")
class LogoutPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Always empty so far.")


# ── mutations ─────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class SessionMutation:
    @strawberry.mutation(
        description="Opens an account, logs in to it, and merges the guest's cart. The e-mail is the account's once "
        "the link of a mail is followed (`verifyEmail`). Nothing tells whether it has an account already: its owner "
        "gets another mail then. The same e-mail and password again log in. Errors: INVALID, RATE_LIMITED."
    )
    def register(self, info: Info, input: RegisterInput) -> AuthPayload:
        with Refusals(info) as errors:
            entry = accounts.register(
                email=input.email,
                password=input.password,
                name=input.name or "",
                cart=info.context.guest_cart_key(input.cart_code),
                client=info.context.client,
                now=info.context.now,
            )
            return AuthPayload.of(entry, input.deliver, info, input.cart_code)
        return AuthPayload(user_errors=errors)

    @strawberry.mutation(
        description="Begins a session and merges the guest's cart. Errors: INVALID_CREDENTIALS, INVALID, RATE_LIMITED."
    )
    def login(self, info: Info, input: LoginInput) -> AuthPayload:
        with Refusals(info) as errors:
            entry = accounts.login(
                email=input.email,
                password=input.password,
                cart=info.context.guest_cart_key(input.cart_code),
                client=info.context.client,
                now=info.context.now,
            )
            return AuthPayload.of(entry, input.deliver, info, input.cart_code)
        return AuthPayload(user_errors=errors)

    @strawberry.mutation(
        description="A new access token and a new refresh token for the old one, which is used up. It is handed over "
        "as it came: in the payload, or in the cookie. Errors: TOKEN_EXPIRED, TOKEN_REUSED."
    )
    def refresh_token(self, info: Info, input: RefreshTokenInput | None = None) -> AuthPayload:
        with Refusals(info) as errors:
            given = input.refresh_token if input else None
            token = given if given is not None else info.context.cookie(REFRESH_COOKIE)
            entry = sessions.refresh(refresh_token=token or "", now=info.context.now)
            deliver = TokenDelivery.COOKIE if given is None else TokenDelivery.PAYLOAD
            return AuthPayload.of(LoggedIn(entry.session, entry.refresh_token), deliver, info)
        return AuthPayload(user_errors=errors)

    @strawberry.mutation(
        description="Ends this session, or every one of the viewer's, at once: no token of it is good any more. Leaves "
        "no cookie behind. Again changes nothing. Errors: UNAUTHENTICATED (on top, for `everywhere` without a viewer)."
    )
    def logout(self, info: Info, input: LogoutInput | None = None) -> LogoutPayload:
        given, context = input or LogoutInput(), info.context
        if given.everywhere:
            sessions.end_all(user=context.user)
        held = filter(None, (given.refresh_token, context.cookie(REFRESH_COOKIE)))
        sessions.end(session_id=context.session_id, refresh_tokens=held)
        context.leave()
        return LogoutPayload()

    @strawberry.mutation(
        description="Sets a new password by the link of a mail, and logs in; every session ends. "
        "Errors: TOKEN_EXPIRED, INVALID."
    )
    def reset_password(self, info: Info, input: ResetPasswordInput) -> AuthPayload:
        with Refusals(info) as errors:
            entry = accounts.reset_password(
                token=input.token,
                password=input.password,
                cart=info.context.guest_cart_key(input.cart_code),
                client=info.context.client,
                now=info.context.now,
            )
            return AuthPayload.of(entry, input.deliver, info, input.cart_code)
        return AuthPayload(user_errors=errors)

    @strawberry.mutation(
        description="Sets a new password and begins a new session; every other one ends. Needs a viewer. "
        "Errors: INVALID_CREDENTIALS, INVALID, RATE_LIMITED."
    )
    def change_password(self, info: Info, input: ChangePasswordInput) -> AuthPayload:
        with Refusals(info) as errors:
            entry = accounts.change_password(
                user=info.context.user,
                current=input.current,
                password=input.password,
                client=info.context.client,
                now=info.context.now,
            )
            return AuthPayload.of(entry, input.deliver, info)
        return AuthPayload(user_errors=errors)
