"""What a resolver knows of its request."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

import strawberry
from django.http import HttpRequest
from django.utils import timezone

from domain.cart import CartKey
from domain.catalog import CategoryTree
from storefront import models

CART_COOKIE = "cart"


@dataclass
class Context:
    """`trusts_cookies` is false for a request that another site could have made a browser send (see the view)."""

    request: HttpRequest
    trusts_cookies: bool
    new_cart_code: str | None = None

    @cached_property
    def now(self) -> datetime:
        return timezone.now()

    @cached_property
    def viewer(self) -> models.User | None:
        if not (self.trusts_cookies and self.request.user.is_authenticated):
            return None
        return self.request.user

    @cached_property
    def categories(self) -> CategoryTree:
        """Read once a request, whatever walks it."""
        return CategoryTree()

    def cart_key(self, code: str | None) -> CartKey:
        """Which cart the request means: by its argument, its viewer or its cookie."""
        cookie = self.request.get_signed_cookie(CART_COOKIE, None) if self.trusts_cookies else None
        return CartKey(code=code, user=self.viewer, remembered=self.new_cart_code or cookie)

    def absolute(self, url: str) -> str:
        """The address as another site has to call it."""
        return self.request.build_absolute_uri(url)

    def remember_cart(self, cart: models.Cart) -> None:
        """Has the answer set the cookie by which a guest's browser finds the cart again."""
        if cart.user_id is None:
            self.new_cart_code = cart.code


Info: TypeAlias = strawberry.Info[Context, None]
