"""What a cart needs to become an order: e-mail, addresses and a way of shipping."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import transaction

from domain import cart as carts
from domain import contact, stock
from domain.contact import AddressIncomplete
from domain.errors import DomainError
from storefront.models import Address, Cart, Checkout, ShippingMethod


class CartEmpty(DomainError):
    code: ClassVar[str] = "CART_EMPTY"


class EmailMissing(DomainError):
    code: ClassVar[str] = "EMAIL_MISSING"


class ShippingUnavailable(DomainError):
    """No shipping method was chosen, or the chosen one is not offered for the address."""

    code: ClassVar[str] = "SHIPPING_UNAVAILABLE"


def shipping_options(address: Address | None) -> list[ShippingMethod]:
    """The methods that can be chosen for the address, cheapest-looking order left to the shop; none without one."""
    if address is None:
        return []
    methods = ShippingMethod.objects.filter(is_active=True)
    return [method for method in methods if delivers_to(method, address)]


def delivers_to(method: ShippingMethod, address: Address) -> bool:
    return method.is_active and (not method.countries or address.country_code in method.countries)


@transaction.atomic(durable=True)
def update(
    *,
    key: carts.CartKey,
    email: str | None = None,
    shipping_address: Address | None = None,
    billing_address: Address | None = None,
    shipping_method_id: int | None = None,
    now: datetime,
) -> Cart:
    """Notes what the buyer gave; what is None stays as it was. May be called again and again.

    Raises InvalidInput, AddressIncomplete, ShippingUnavailable; NotFound, CartLocked for the cart. A new
    address keeps the chosen shipping method only if that delivers there.
    """
    cart = carts.open_existing(key)
    checkout = Checkout.objects.select_related("shipping_method").filter(cart=cart).first() or Checkout(
        cart=cart, email=cart.user.address if cart.user else ""
    )
    if email is not None:
        checkout.email = contact.email(email)
    if shipping_address is not None:
        checkout.shipping_address = contact.address(shipping_address, field=["shipping_address"])
        if checkout.shipping_method and not delivers_to(checkout.shipping_method, checkout.shipping_address):
            checkout.shipping_method = None
    if billing_address is not None:
        checkout.billing_address = contact.address(billing_address, field=["billing_address"])
    if shipping_method_id is not None:
        offered = {method.pk: method for method in shipping_options(checkout.shipping_address)}
        if shipping_method_id not in offered:
            why = "Not offered for this address." if checkout.shipping_address else "It needs an address first."
            raise ShippingUnavailable(why, field=["shipping_option_id"])
        checkout.shipping_method = offered[shipping_method_id]
    checkout.save(force_insert=checkout._state.adding)
    Cart.objects.filter(pk=cart.pk).update(updated_at=now)
    return cart


def missing(checkout: Checkout | None) -> list[DomainError]:
    """What the buyer still has to give."""
    address = checkout.shipping_address if checkout else None
    method = checkout.shipping_method if checkout else None
    found: list[DomainError] = []
    if not (checkout and checkout.email):
        found.append(EmailMissing("An e-mail address is needed.", field=["checkout", "email"]))
    if address is None:
        found.append(AddressIncomplete("A shipping address is needed.", field=["checkout", "shipping_address"]))
    elif address.country_code not in settings.SHOP_COUNTRIES:
        field = ["checkout", "shipping_address", "country_code"]
        found.append(AddressIncomplete("The shop does not sell to this country.", field=field))
    elif method is None or not delivers_to(method, address):
        found.append(ShippingUnavailable("Choose how to ship.", field=["checkout", "shipping_option"]))
    return found


def problems(cart: Cart, *, now: datetime) -> list[DomainError]:
    """Everything that would keep the cart from becoming an order now; `field` is a path into the cart."""
    lines = list(cart.lines.all())
    found: list[DomainError] = [] if lines else [CartEmpty("The cart is empty.", field=["lines"])]
    for index, line in enumerate(lines):
        field = ["lines", str(index)]
        if not carts.is_for_sale(line.variant, now=now):
            found.append(carts.NotForSale(f"{line.variant.sku} is no longer for sale.", field=field))
        elif short := stock.shortage(variant=line.variant, quantity=line.quantity, field=[*field, "quantity"]):
            found.append(short)
    return found + missing(getattr(cart, "checkout", None))
