"""The viewer's account, as customers see and change it."""

from datetime import datetime
from typing import Any

import strawberry
import strawberry_django
from django.db.models import QuerySet

from domain.accounts import accounts, sessions
from domain.sales import cart as carts
from domain.sales.priced_cart import find_priced_cart
from schema.base import ids
from schema.base.connections import After, Before, First, Last, Page
from schema.base.context import Info
from schema.base.errors import Refusals, UserError
from schema.base.loading import load, load_nodes
from schema.shop.cart import Cart
from schema.shop.checkout import Address, AddressInput
from schema.shop.orders import NEWEST, OrderConnection
from schema.shop.pricing import show
from storefront import models

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.SavedAddress, description="An entry in the viewer's address book.")
class SavedAddress(ids.Node):
    address: Address = strawberry_django.field(description="The address.")


@strawberry_django.type(models.Session, description="A login on one device.")
class Session(ids.Node):
    created_at: datetime = strawberry_django.field(description="When the user logged in.")
    last_used_at: datetime = strawberry_django.field(description="When the session was last refreshed.")
    expires_at: datetime = strawberry_django.field(
        description="When the session ends and the user has to log in again."
    )
    user_agent: str = strawberry_django.field(description="The User-Agent header of the browser or app; may be empty.")

    @strawberry_django.field(description="Whether this is the session of the current request.")
    def current(self: Any, info: Info) -> bool:
        return info.context.session is not None and self.pk == info.context.session.pk


@strawberry_django.type(models.User, description="The account of the viewer.")
class User(ids.Node):
    name: str = strawberry_django.field(description="The user's name; may be empty.")
    is_staff: bool = strawberry_django.field(description="Whether the user may log in to the admin.")

    @strawberry_django.field(description="The e-mail address of the account. See `emailVerified`.")
    def email(self: Any) -> str:
        return str(self.address)

    @strawberry_django.field(
        description="Whether the user has confirmed the address with a link that was mailed to it."
    )
    def email_verified(self: Any) -> bool:
        return self.email is not None

    @strawberry_django.field(graphql_type=Cart | None, description="The active cart; null if there is none.")
    def cart(self: Any, info: Info) -> models.Cart | None:
        candidates = carts.candidates(key=carts.CartKey(user=self))
        return show(find_priced_cart(candidates=candidates, now=info.context.now), info)

    @strawberry_django.field(graphql_type=list[SavedAddress], description="The address book, at most 50 entries.")
    def addresses(self: Any, info: Info) -> "QuerySet[models.SavedAddress]":
        return load(self.addresses.all(), info)

    @strawberry_django.field(
        graphql_type=list[Session], description="The active sessions, most recently used first, at most 50."
    )
    def sessions(self: Any, info: Info) -> "QuerySet[models.Session]":
        return load(sessions.active(now=info.context.now).filter(user=self), info)

    @strawberry_django.field(description="The user's orders, newest first.")
    def orders(
        self: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> OrderConnection:
        page = Page(
            self.orders.all(),
            NEWEST,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return OrderConnection(page=page)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(description="Changes to the viewer's profile. Omitted fields stay unchanged.")
class UpdateProfileInput:
    name: str | None = strawberry.field(default=None, description="The user's name, at most 200 characters.")


@strawberry.input(description="An entry for the address book.")
class SaveAddressInput:
    address: AddressInput = strawberry.field(description="The complete address. It replaces the old one.")
    id: strawberry.ID | None = strawberry.field(
        default=None, description="`SavedAddress.id` of the entry to replace; omit it to add a new entry."
    )


@strawberry.input(description="The entry to delete from the address book.")
class DeleteAddressInput:
    id: strawberry.ID = strawberry.field(description="`SavedAddress.id`.")


@strawberry.input(description="The viewer's confirmation.")
class DeleteAccountInput:
    password: str = strawberry.field(description="The password of the account.")


@strawberry.input(description="The account whose password was forgotten.")
class RequestPasswordResetInput:
    email: str = strawberry.field(description="The e-mail address of the account.")


@strawberry.input(description="The token that proves who owns an e-mail address.")
class VerifyEmailInput:
    token: str = strawberry.field(description="The token from the link in the mail.")


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The result of requesting a password reset.")
class PasswordResetPayload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )


@strawberry.type(description="The result of changing the viewer's account: the account, or errors.")
class AccountPayload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(
        graphql_type=User | None,
        description="The viewer's account as it is now; null if the mutation failed, or if nobody is logged in.",
    )
    def user(self, info: Info) -> models.User | None:
        return None if self.user_errors else info.context.viewer


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class AccountQuery:
    @strawberry.field(graphql_type=User | None, description="The viewer's account; null if nobody is logged in.")
    def me(self, info: Info) -> models.User | None:
        return info.context.viewer


@strawberry.type
class AccountMutation:
    @strawberry.mutation(
        description="Sends a mail with a link to reset the password. The result is the same whether the address has "
        "an account or not. Errors: INVALID, RATE_LIMITED."
    )
    def request_password_reset(self, info: Info, input: RequestPasswordResetInput) -> PasswordResetPayload:
        with Refusals(info) as errors:
            accounts.request_password_reset(email=input.email, client=info.context.client, now=info.context.now)
        return PasswordResetPayload(user_errors=errors)

    @strawberry.mutation(
        description="Confirms the account's e-mail address with the token from a mail. Calling it again changes "
        "nothing. Errors: TOKEN_EXPIRED, INVALID."
    )
    def verify_email(self, info: Info, input: VerifyEmailInput) -> AccountPayload:
        with Refusals(info) as errors:
            viewer = info.context.viewer  # Raises for an invalid access token, before anything is changed.
            user = accounts.verify_email(token=input.token)
            info.context.viewer = user if viewer == user else viewer
        return AccountPayload(user_errors=errors)

    @strawberry.mutation(description="Changes the viewer's profile. The viewer has to be logged in. Errors: INVALID.")
    def update_profile(self, info: Info, input: UpdateProfileInput) -> AccountPayload:
        with Refusals(info) as errors:
            accounts.update_profile(user=info.context.user, name=input.name)
        return AccountPayload(user_errors=errors)

    @strawberry.mutation(
        description="Adds an entry to the address book, or replaces one. The viewer has to be logged in. Errors: "
        "INVALID, ADDRESS_INCOMPLETE, NOT_FOUND."
    )
    def save_address(self, info: Info, input: SaveAddressInput) -> AccountPayload:
        with Refusals(info) as errors:
            accounts.save_address(
                user=info.context.user,
                address_id=ids.uuid(input.id, "SavedAddress", field=["id"]) if input.id is not None else None,
                address=input.address.to_address(),
                now=info.context.now,
            )
        return AccountPayload(user_errors=errors)

    @strawberry.mutation(
        description="Deletes an entry from the address book. The viewer has to be logged in. Errors: NOT_FOUND."
    )
    def delete_address(self, info: Info, input: DeleteAddressInput) -> AccountPayload:
        with Refusals(info) as errors:
            accounts.delete_address(user=info.context.user, address_id=ids.uuid(input.id, "SavedAddress", field=["id"]))
        return AccountPayload(user_errors=errors)

    @strawberry.mutation(
        description="Deletes the viewer's personal data and ends all sessions. Their orders are kept. The viewer has "
        "to be logged in. Errors: INVALID_CREDENTIALS, RATE_LIMITED."
    )
    def delete_account(self, info: Info, input: DeleteAccountInput) -> AccountPayload:
        with Refusals(info) as errors:
            accounts.delete_account(
                user=info.context.user, password=input.password, client=info.context.client, now=info.context.now
            )
            info.context.log_out()
        return AccountPayload(user_errors=errors)
