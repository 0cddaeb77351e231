"""Registering, logging in and out: the tokens of a session, and how the guest's cart was merged."""

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
    "What happened to a line of the guest's cart.",
    name="CartChangeReason",
    ADDED="All units were added.",
    CAPPED="Only the available units were added.",
    SOLD_OUT="No units are available, so nothing was added.",
    NOT_FOR_SALE="The variant is no longer sold, so nothing was added.",
    CART_FULL="The cart has too many lines, so nothing was added.",
)

# ── types ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="What happened to a line of the guest's cart when it was merged.")
class CartChange:
    variants: strawberry.Private[Together[models.ProductVariant]]
    variant_id: strawberry.Private[int]
    before: int = strawberry.field(description="Units in the account's cart before.")
    guest: int = strawberry.field(description="Units in the guest's cart.")
    after: int = strawberry.field(description="Units in the account's cart now.")
    reason: carts.ChangeReason = strawberry.field(description="Why the number of units is what it is.")

    @strawberry.field(graphql_type=ProductVariant, description="The variant.")
    def variant(self, info: Info) -> models.ProductVariant:
        return self.variants.get(self.variant_id, info)


# ── inputs ────────────────────────────────────────────────────────────────────────────────────────


@strawberry.enum(description="How the client receives its refresh token.")
class TokenDelivery(Enum):
    COOKIE = strawberry.enum_value(
        "COOKIE", description="In a cookie that scripts cannot read, for browsers. `refreshToken` is null."
    )
    PAYLOAD = strawberry.enum_value("PAYLOAD", description="In `refreshToken`, for native apps.")


_EMAIL, _PASSWORD = "In upper or lower case.", "8 to 128 characters, and not a common password."
_GUEST_CART = "The guest's `Cart.code`. Default: the cart of the cookie. A cart that cannot be merged is ignored."
_DELIVER = "How to receive the refresh token."


@strawberry.input(description="The new account.")
class RegisterInput:
    email: str = strawberry.field(description=_EMAIL)
    password: str = strawberry.field(description=_PASSWORD)
    name: str | None = strawberry.field(default=None, description="The user's name, at most 200 characters.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_GUEST_CART)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


@strawberry.input(description="The login.")
class LoginInput:
    email: str = strawberry.field(description=_EMAIL)
    password: str = strawberry.field(description="The password of the account.")
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_GUEST_CART)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


@strawberry.input(description="The session to refresh.")
class RefreshTokenInput:
    refresh_token: str | None = strawberry.field(
        default=None, description="The refresh token from the last payload. Default: the one in the cookie."
    )


@strawberry.input(description="The session to end.")
class LogoutInput:
    refresh_token: str | None = strawberry.field(
        default=None,
        description="A refresh token whose session ends too, besides the sessions of the access token and of the "
        "cookie.",
    )
    everywhere: bool = strawberry.field(
        default=False, description="Whether to end all sessions of the viewer. The viewer has to be logged in."
    )


@strawberry.input(description="The new password, and the token from the mail.")
class ResetPasswordInput:
    token: str = strawberry.field(description="The token from the link in the mail.")
    password: str = strawberry.field(description=_PASSWORD)
    cart_code: strawberry.ID | None = strawberry.field(default=None, description=_GUEST_CART)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


@strawberry.input(description="The current and the new password.")
class ChangePasswordInput:
    current: str = strawberry.field(description="The current password.")
    password: str = strawberry.field(description=_PASSWORD)
    deliver: TokenDelivery = strawberry.field(default=TokenDelivery.COOKIE, description=_DELIVER)


# ── payloads ──────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The tokens of a session, or errors.")
class AuthPayload:
    entry: strawberry.Private[LoggedIn | None] = None
    access_token: str | None = strawberry.field(
        default=None, description="For the header `Authorization: Bearer …`; null if the mutation failed."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="When the access token expires; refresh it before. Null if the mutation failed."
    )
    expires_in: int | None = strawberry.field(
        default=None, description="Seconds until the access token expires, for devices whose clock is wrong."
    )
    refresh_token: str | None = strawberry.field(
        default=None,
        description="For the next call of `refreshToken`; it can be used once. Null if the mutation failed, or if the "
        "token is in the cookie.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(graphql_type=User | None, description="The user who is logged in; null if the mutation failed.")
    def user(self) -> models.User | None:
        return self.entry.user if self.entry else None

    @strawberry.field(graphql_type=Cart | None, description="The user's active cart; null if there is none.")
    def cart(self, info: Info) -> models.Cart | None:
        if self.entry is None:
            return None
        candidates = carts.candidates(key=carts.CartKey(user=self.entry.user))
        return show(find_priced_cart(candidates=candidates, now=info.context.now), info)

    @strawberry.field(description="What happened to each line of the guest's cart.")
    def merged(self) -> list[CartChange]:
        changes = (self.entry.changes if self.entry else None) or []
        variants = Together(models.ProductVariant.objects.filter(pk__in=[change.variant_id for change in changes]))
        return [CartChange(variants=variants, **asdict(change)) for change in changes]

    @classmethod
    def of(cls, entry: LoggedIn, deliver: TokenDelivery, info: Info, cart_code: str | None = None) -> "AuthPayload":
        """The payload of a login. It also sets the viewer for the rest of the request, and the cookies."""
        context, session = info.context, entry.session
        context.log_in(session)
        if entry.changes is not None and cart_code is None:  # With a code, the cart of the cookie was not merged.
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


@strawberry.type(description="The result of logging out.")
class LogoutPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Always empty.")


# ── mutations ─────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class SessionMutation:
    @strawberry.mutation(
        description="Creates an account, logs in and merges the guest's cart. The user confirms the e-mail address "
        "with the link in a mail (`verifyEmail`). The result does not reveal whether the address had an account "
        "before; in that case its owner gets another mail. Calling it again with the same e-mail and password logs "
        "in. Errors: INVALID, RATE_LIMITED."
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
        description="Logs in and merges the guest's cart. Errors: INVALID_CREDENTIALS, INVALID, RATE_LIMITED."
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
        description="Exchanges a refresh token for a new access token and a new refresh token. The old one cannot be "
        "used again. The new one is returned in the payload if the old one was in the input, otherwise in the cookie. "
        "Errors: TOKEN_EXPIRED, TOKEN_REUSED."
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
        description="Ends this session, or all sessions of the viewer, and deletes their cookies. Their tokens stop "
        "working at once. Calling it again changes nothing. Errors: UNAUTHENTICATED (a top-level error, for "
        "`everywhere` without a viewer)."
    )
    def logout(self, info: Info, input: LogoutInput | None = None) -> LogoutPayload:
        given, context = input or LogoutInput(), info.context
        if given.everywhere:
            sessions.end_all(user=context.user)
        held = filter(None, (given.refresh_token, context.cookie(REFRESH_COOKIE)))
        sessions.end(session_id=context.session_id, refresh_tokens=held)
        context.log_out()
        return LogoutPayload()

    @strawberry.mutation(
        description="Sets a new password with the token from a mail, and logs in. All other sessions end. Errors: "
        "TOKEN_EXPIRED, INVALID."
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
        description="Sets a new password and starts a new session. All other sessions end. The viewer has to be "
        "logged in. Errors: INVALID_CREDENTIALS, INVALID, RATE_LIMITED."
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
