"""What resolvers know about their request."""

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias
from uuid import UUID

import strawberry
from django.conf import settings
from django.contrib import auth
from django.http import HttpRequest
from django.utils import timezone
from graphql import GraphQLError

from domain.accounts import throttle
from domain.accounts.accounts import Client
from domain.base.errors import DomainError
from domain.base.money import Exchange
from domain.catalog.browse import CategoryTree
from domain.sales import currency, promotions
from domain.sales.cart import CartKey, UnknownCartCode
from domain.sales.priced_cart import PricedCart
from schema.base import tokens
from storefront import models

CART_COOKIE = "cart"
REFRESH_COOKIE = "refresh"
WROTE_COOKIE = "wrote"


def unauthenticated(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": "UNAUTHENTICATED"})


@dataclass
class Context:
    """`trusts_cookies` is false for a request that another site could have made the browser send (see the view)."""

    request: HttpRequest
    trusts_cookies: bool
    # Cookies that the response sets: the value and its lifetime in seconds, or None to delete the cookie.
    cookies: dict[str, tuple[str, int] | None] = field(default_factory=dict)
    # What the request log adds about the operation.
    log_fields: dict[str, Any] = field(default_factory=dict)
    # The currency of catalogue prices: the one of `@inContext`, or the shop's own.
    exchange: Exchange = field(default_factory=lambda: currency.exchange_to(currency=None))
    # Optimized querysets of the document, shared with later requests that send the same document.
    queryset_cache: dict[Any, Any] = field(default_factory=dict)
    # Each cart of the answer with its price, as `schema.shop.pricing.show` has put it here.
    priced_carts: dict[UUID, PricedCart] = field(default_factory=dict)
    # Whether a resolver has read the viewer, the session or a cookie, so that the answer is only for this client.
    is_personal: bool = False

    @cached_property
    def now(self) -> datetime:
        return timezone.now()

    @property
    def shows_foreign_currency(self) -> bool:
        """Whether prices are shown in another currency than the shop's own."""
        return self.exchange.currency != str(settings.SHOP_CURRENCY)

    @cached_property
    def session(self) -> models.Session | None:
        """The session of the access token; None without a token. Raises UNAUTHENTICATED for an invalid token."""
        self.is_personal = True
        token = tokens.bearer_token(self.request.headers.get("Authorization", ""))
        if token is None:
            return None
        try:
            return tokens.session_of(token, now=self.now)
        except tokens.InvalidToken as error:
            raise unauthenticated(str(error)) from None

    @property
    def session_id(self) -> UUID | None:
        """The id of the access token's session; None without a token, and for an invalid one."""
        try:
            return self.session.pk if self.session else None
        except GraphQLError:
            return None

    @cached_property
    def viewer(self) -> models.User | None:
        """The user of the access token, or else the user who is logged in to the admin. Public fields never read it."""
        if self.session:
            return self.session.user
        if not (self.trusts_cookies and self.request.user.is_authenticated):
            return None
        return self.request.user

    @property
    def viewer_id(self) -> str | None:
        """The id of the viewer, if a resolver of this request has read the viewer."""
        viewer = vars(self).get("viewer")
        return str(viewer.pk) if viewer else None

    @property
    def user(self) -> models.User:
        """The viewer. Raises UNAUTHENTICATED if nobody is logged in."""
        if self.viewer is None:
            raise unauthenticated("You have to log in first.")
        return self.viewer

    def allow(self, *permissions: str) -> None:
        """Requires a member of staff with all of these permissions. Raises UNAUTHENTICATED, FORBIDDEN."""
        if not (self.user.is_staff and self.user.has_perms([f"storefront.{name}" for name in permissions])):
            raise GraphQLError("You do not have permission to do this.", extensions={"code": "FORBIDDEN"})

    def log_in(self, session: models.Session) -> None:
        """Makes the session's user the viewer for the rest of the request."""
        self.session, self.viewer = session, session.user

    def log_out(self) -> None:
        """Ends the login, and deletes the cookies of the browser."""
        self.cookies |= {REFRESH_COOKIE: None, CART_COOKIE: None}
        if self.trusts_cookies:
            auth.logout(self.request)
        self.session = self.viewer = None

    @property
    def client(self) -> Client:
        return Client(
            address=self.address,
            user_agent=self.request.headers.get("User-Agent", ""),
            refresh_token=self.cookie(REFRESH_COOKIE) or "",
        )

    @property
    def address(self) -> str:
        """The IPv4 address of the client, or the /64 network of its IPv6 address."""
        text = self.request.META.get("REMOTE_ADDR", "")
        if settings.BEHIND_PROXY:
            text = self.request.headers.get("X-Forwarded-For", text).rpartition(",")[2].strip()
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return ""
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((address, 64), strict=False).network_address)
        return str(address)

    @cached_property
    def categories(self) -> CategoryTree:
        """The category tree, read at most once per request."""
        return CategoryTree()

    def cookie(self, name: str) -> str | None:
        """The value of a signed cookie, including changes made by this request."""
        self.is_personal = True
        if name in self.cookies:
            kept = self.cookies[name]
            return kept[0] if kept else None
        return self.request.get_signed_cookie(name, None) if self.trusts_cookies else None

    @cached_property
    def has_just_written(self) -> bool:
        """Whether this browser has just run a mutation that a replica may not have received yet.

        The cookie grants no access, so it is read from requests of other sites too.
        """
        if not settings.DATABASE_REPLICAS:
            return False
        seconds = settings.DATABASE_REPLICA_LAG_SECONDS
        return self.request.get_signed_cookie(WROTE_COOKIE, None, max_age=seconds) is not None

    def remember_write(self) -> None:
        """Makes the browser's next queries read from the primary."""
        if settings.DATABASE_REPLICAS:
            self.cookies[WROTE_COOKIE] = ("1", settings.DATABASE_REPLICA_LAG_SECONDS)

    def forget_catalog(self) -> None:
        """Drops cached catalogue data, because it will be read again, perhaps from another database."""
        vars(self).pop("categories", None)

    def cart_key(self, code: str | None) -> CartKey:
        """The key of the cart that the request means: by code, viewer or cookie."""
        return CartKey(code=code, user=self.viewer, remembered=self.cookie(CART_COOKIE))

    def guest_cart_key(self, code: str | None) -> CartKey:
        """The key of the guest's cart that a login merges, by code or cookie."""
        return CartKey(code=code, remembered=self.cookie(CART_COOKIE))

    def count_unknown_cart(self) -> None:
        """Counts an unknown cart code. Raises RateLimited."""
        throttle.count(action="cart", address=self.client.address, now=self.now)

    def count_refused_discount(self) -> None:
        """Counts a refused discount code whose reason reveals something. Raises RateLimited."""
        throttle.count(action="discount", address=self.client.address, now=self.now)

    def count_guess(self, error: DomainError) -> None:
        """Counts an error that tells a client whether a cart or discount code exists. Raises RateLimited."""
        if isinstance(error, UnknownCartCode):
            self.count_unknown_cart()
        if isinstance(error, promotions.DiscountRefused) and error.reason in promotions.REVEALING:
            self.count_refused_discount()

    def check_discounts(self) -> None:
        """Raises RateLimited if too many codes were refused. Call it before a code is checked, so that clients who
        guess do not learn that a code is valid."""
        throttle.check(action="discount", address=self.client.address, now=self.now)

    def pay_for_parsing(self, units: int) -> None:
        """Charges the cost of parsing an unknown document, to an allowance of its own. So known documents still run for
        clients who share an address with somebody who sends invalid ones. Raises RateLimited.
        """
        self.pay(units, of="documents of ")

    def pay(self, units: int, *, of: str = "") -> None:
        """Charges the cost of an operation to the user, or else to the client's address. Raises RateLimited.

        Addresses of the shop's own network are not charged, because front ends there query for their visitors.
        """
        user = tokens.user_id_in(self.request.headers.get("Authorization", ""))
        if user or (self.address and ipaddress.ip_address(self.address).is_global):
            throttle.spend(units=units, by=f"{of}{user or self.address}", now=self.now)

    @property
    def site(self) -> str:
        """The scheme and host of the request, with which URLs of images begin."""
        return f"{self.request.scheme}://{self.request.get_host()}"

    def absolute(self, url: str) -> str:
        """The absolute URL."""
        return self.request.build_absolute_uri(url)

    def remember_cart(self, cart: models.Cart) -> None:
        """Makes the response set the cookie with which a guest's browser finds its cart again."""
        if cart.user_id is None:
            self.cookies[CART_COOKIE] = (cart.code, settings.CART_COOKIE_DAYS * 86_400)


Info: TypeAlias = strawberry.Info[Context, None]
