"""What a resolver knows of its request."""

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
    """`trusts_cookies` is false for a request that another site could have made a browser send (see the view)."""

    request: HttpRequest
    trusts_cookies: bool
    # What the answer sets: a value and the seconds it is kept, or None to delete it.
    cookies: dict[str, tuple[str, int] | None] = field(default_factory=dict)
    # What the log tells of the operation.
    told: dict[str, Any] = field(default_factory=dict)
    # What prices of the catalogue are shown in: what `@inContext` asks for, or the shop's own currency.
    exchange: Exchange = field(default_factory=lambda: currency.exchange_to(currency=None))
    # What is worked out of its document, for whoever sends the same.
    worked_out: dict[Any, Any] = field(default_factory=dict)
    # Each cart of the answer with its price, as `schema.shop.pricing.show` has put it here.
    priced_carts: dict[UUID, PricedCart] = field(default_factory=dict)
    # Whether something has asked who it is, so that the answer is for nobody else.
    is_personal: bool = False

    @cached_property
    def now(self) -> datetime:
        return timezone.now()

    @property
    def is_abroad(self) -> bool:
        """Whether prices are shown in another currency than the shop's."""
        return self.exchange.currency != str(settings.SHOP_CURRENCY)

    @cached_property
    def session(self) -> models.Session | None:
        """That of the access token. Raises UNAUTHENTICATED for a token that is not good, rather than go on without."""
        self.is_personal = True
        token = tokens.stated(self.request.headers.get("Authorization", ""))
        if token is None:
            return None
        try:
            return tokens.session_of(token, now=self.now)
        except tokens.InvalidToken as error:
            raise unauthenticated(str(error)) from None

    @property
    def session_id(self) -> UUID | None:
        """That of the access token; none, too, for a token that is not good."""
        try:
            return self.session.pk if self.session else None
        except GraphQLError:
            return None

    @cached_property
    def viewer(self) -> models.User | None:
        """Whoever the access token names, or else who is logged in to the admin. Public fields never ask."""
        if self.session:
            return self.session.user
        if not (self.trusts_cookies and self.request.user.is_authenticated):
            return None
        return self.request.user

    @property
    def viewer_id(self) -> str | None:
        """That of the viewer, if anything of the request has asked who it is."""
        viewer = vars(self).get("viewer")
        return str(viewer.pk) if viewer else None

    @property
    def user(self) -> models.User:
        """The viewer, where there has to be one. Raises UNAUTHENTICATED."""
        if self.viewer is None:
            raise unauthenticated("You have to log in first.")
        return self.viewer

    def allow(self, *permissions: str) -> None:
        """Lets staff pass who have all of these. Raises UNAUTHENTICATED, FORBIDDEN."""
        if not (self.user.is_staff and self.user.has_perms([f"storefront.{name}" for name in permissions])):
            raise GraphQLError("You do not have permission to do this.", extensions={"code": "FORBIDDEN"})

    def enter(self, session: models.Session) -> None:
        """What follows in this request is seen by the session's user."""
        self.session, self.viewer = session, session.user

    def leave(self) -> None:
        """Leaves nothing in the browser for whoever comes next."""
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
        """The network that the request comes from: an IPv4 address, or the half of an IPv6 one that a site has."""
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
        """Read once a request, whatever walks it."""
        return CategoryTree()

    def cookie(self, name: str) -> str | None:
        """A signed cookie as this request leaves it."""
        self.is_personal = True
        if name in self.cookies:
            kept = self.cookies[name]
            return kept[0] if kept else None
        return self.request.get_signed_cookie(name, None) if self.trusts_cookies else None

    @cached_property
    def has_written(self) -> bool:
        """Whether its browser was answered a mutation a moment ago, so that no replica may know of it yet.

        It opens nothing, so it counts whoever made the browser send it.
        """
        if not settings.DATABASE_REPLICAS:
            return False
        seconds = settings.DATABASE_REPLICA_LAG_SECONDS
        return self.request.get_signed_cookie(WROTE_COOKIE, None, max_age=seconds) is not None

    def remember_writing(self) -> None:
        """Has what the browser asks next read from the primary."""
        if settings.DATABASE_REPLICAS:
            self.cookies[WROTE_COOKIE] = ("1", settings.DATABASE_REPLICA_LAG_SECONDS)

    def forget_catalog(self) -> None:
        """What was read of the catalogue goes: it is asked once more, perhaps of another database."""
        vars(self).pop("categories", None)

    def cart_key(self, code: str | None) -> CartKey:
        """Which cart the request means: by its argument, its viewer or its cookie."""
        return CartKey(code=code, user=self.viewer, remembered=self.cookie(CART_COOKIE))

    def guest_cart_key(self, code: str | None) -> CartKey:
        """Which cart somebody brings who is about to log in, whoever they have been so far."""
        return CartKey(code=code, remembered=self.cookie(CART_COOKIE))

    def count_unknown_cart(self) -> None:
        """Counts that a cart code was stated which opens nothing. Raises RateLimited."""
        throttle.count(action="cart", address=self.client.address, now=self.now)

    def count_refused_discount(self) -> None:
        """Counts that a discount code was refused in a way that tells something. Raises RateLimited."""
        throttle.count(action="discount", address=self.client.address, now=self.now)

    def count_guess(self, error: DomainError) -> None:
        """Counts an error that tells a client whether a cart or discount code exists. Raises RateLimited."""
        if isinstance(error, UnknownCartCode):
            self.count_unknown_cart()
        if isinstance(error, promotions.DiscountRefused) and error.reason in promotions.REVEALING:
            self.count_refused_discount()

    def check_discounts(self) -> None:
        """Raises RateLimited, before a code is looked at, if too many were refused: a right one is no answer then."""
        throttle.check(action="discount", address=self.client.address, now=self.now)

    def pay_to_be_read(self, units: int) -> None:
        """Takes what a document that is not known costs, from an allowance of its own: whatever is known goes on, even
        for who shares an address with somebody that sends nonsense, or has a page open that does. Raises RateLimited.
        """
        self.pay(units, of="documents of ")

    def pay(self, units: int, *, of: str = "") -> None:
        """Takes what an operation costs from what whoever asks may cost. Raises RateLimited.

        The shop's own network, from where front ends ask for their own visitors, is not reckoned with.
        """
        user = tokens.user_stated(self.request.headers.get("Authorization", ""))
        if user or (self.address and ipaddress.ip_address(self.address).is_global):
            throttle.spend(units=units, by=f"{of}{user or self.address}", now=self.now)

    @property
    def site(self) -> str:
        """Where the request found the shop: what addresses of pictures begin with."""
        return f"{self.request.scheme}://{self.request.get_host()}"

    def absolute(self, url: str) -> str:
        """The address as another site has to call it."""
        return self.request.build_absolute_uri(url)

    def remember_cart(self, cart: models.Cart) -> None:
        """Has the answer set the cookie by which a guest's browser finds the cart again."""
        if cart.user_id is None:
            self.cookies[CART_COOKIE] = (cart.code, settings.CART_COOKIE_DAYS * 86_400)


Info: TypeAlias = strawberry.Info[Context, None]
