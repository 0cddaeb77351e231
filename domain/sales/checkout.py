"""Checkout: a cart's e-mail, addresses, shipping method, discount codes and currency, and what it still needs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import BigIntegerField

from domain.base import contact, prepared_queries
from domain.base.contact import AddressIncomplete
from domain.base.errors import DomainError, NotFound, raise_all
from domain.base.money import quantize
from domain.catalog import stock
from domain.sales import cart as carts
from domain.sales import currency, promotions
from domain.sales.priced_cart import PricedCart, Quote, load_priced_cart
from domain.sales.promotions import DiscountRefused, RefusalReason
from domain.sales.shipping import ShippingUnavailable
from storefront.models import Address, Cart, CartLine, Checkout, Discount
from storefront.models.promotions import normalize_code


class CartEmpty(DomainError):
    code: ClassVar[str] = "CART_EMPTY"


class EmailMissing(DomainError):
    code: ClassVar[str] = "EMAIL_MISSING"


class PriceChanged(DomainError):
    """The line's unit price is `now`, and was `before` when the buyer added it, in `currency`."""

    code: ClassVar[str] = "PRICE_CHANGED"

    def __init__(
        self, line: CartLine, *, before: Decimal, now: Decimal, currency: str, field: Sequence[str] = ()
    ) -> None:
        was = quantize(amount=before, currency=currency)
        title = line.variant.full_title
        super().__init__(f"The price of {title} has changed from {was} to {now} {currency}.", field=field)
        self.line = line
        self.before = before
        self.now = now
        self.currency = currency


@transaction.atomic(durable=True)
def update(
    *,
    key: carts.CartKey,
    email: str | None = None,
    shipping_address: Address | None = None,
    billing_address: Address | None = None,
    shipping_method_id: int | None = None,
    discount_codes: Sequence[str] | None = None,
    currency_code: str | None = None,
    now: datetime,
) -> PricedCart:
    """Saves the buyer's details; None leaves a detail as it is. It can be called any number of times.

    A new address resets the shipping method if that does not deliver there; `problems` reports everything else that no
    longer fits. Raises InvalidInput, AddressIncomplete, ShippingUnavailable, CurrencyUnavailable, DiscountRefused for
    each code; NotFound, CartLocked for the cart.
    """
    priced = load_priced_cart(cart=carts.open_existing(key=key), now=now)
    cart = priced.cart
    moved = _save_details(priced, email, shipping_address, billing_address, shipping_method_id)
    if currency_code is not None:
        _change_currency(cart, currency_code)
    fields = _fields_by_code(discount_codes or ())
    if discount_codes is not None:
        _set_codes(cart, fields)
    carts.touch(cart=cart, now=now)
    if currency_code is not None or discount_codes is not None:
        priced = load_priced_cart(cart=cart, now=now)
    if shipping_method_id is not None or moved or fields:
        quote = priced.quote
        refused = [each.at(fields[each.discount_code]) for each in quote.refused if each.discount_code in fields]
        raise_all(errors=[*refused, *_shipping_errors(quote, shipping_method_id)])
        if moved and not quote.offer:
            Checkout.objects.filter(cart=cart).update(shipping_method=None)
            return load_priced_cart(cart=cart, now=now)
    return priced


def _save_details(
    priced: PricedCart,
    email: str | None,
    shipping: Address | None,
    billing: Address | None,
    shipping_method_id: int | None,
) -> bool:
    """Saves what is not None. Returns whether the shipping address changed after the shipping method was chosen."""
    cart, checkout = priced.cart, priced.checkout
    if checkout is None:
        checkout = Checkout(cart=cart, email=cart.user.address if cart.user else "")
    moved = shipping is not None and checkout.shipping_method_id is not None
    noted: dict[str, Any] = {}
    if email is not None:
        noted["email"] = contact.clean_email(given=email)
    if shipping is not None:
        noted["shipping_address"] = contact.clean_address(given=shipping, field=["shipping_address"])
    if billing is not None:
        noted["billing_address"] = contact.clean_address(given=billing, field=["billing_address"])
    if shipping_method_id is not None:
        noted["shipping_method_id"] = min(shipping_method_id, BigIntegerField.MAX_BIGINT)  # No method has that key.
    for name, value in noted.items():
        setattr(checkout, name, value)
    if checkout._state.adding:
        prepared_queries.insert(checkout)
    elif noted:
        prepared_queries.update(row=checkout, fields=list(noted))
    return moved


def _change_currency(cart: Cart, code: str) -> None:
    chosen = currency.by_code(code=code)
    if cart.currency_id != (chosen.pk if chosen else None):
        Cart.objects.filter(pk=cart.pk).update(currency=chosen)
        cart.lines.update(seen_price=None)


def _fields_by_code(codes: Sequence[str]) -> dict[str, list[str]]:
    """The normalised codes, each with the path of its first field in the input."""
    fields: dict[str, list[str]] = {}
    for index, code in enumerate(codes):
        fields.setdefault(normalize_code(code), ["discount_codes", str(index)])
    return fields


def _set_codes(cart: Cart, fields: Mapping[str, Sequence[str]]) -> None:
    """Replaces the cart's codes. Raises DiscountRefused for each code that is unknown, or one too many."""
    allowed = list(fields)[: settings.MAX_DISCOUNT_CODES]
    known = promotions.find(codes=allowed)
    raise_all(
        errors=[
            DiscountRefused(code, RefusalReason.UNKNOWN if code in allowed else RefusalReason.TOO_MANY, field=field)
            for code, field in fields.items()
            if code not in known
        ]
    )
    cart.discounts.set(known.values())


def _shipping_errors(quote: Quote, shipping_method_id: int | None) -> list[DomainError]:
    if shipping_method_id is None or quote.offer is not None:
        return []
    why = "This is not available for the cart and its address." if quote.parcel else "Enter a shipping address first."
    return [ShippingUnavailable(why, offers=quote.offers, field=["shipping_option_id"])]


@transaction.atomic(durable=True)
def apply_code(*, key: carts.CartKey, code: str, now: datetime) -> PricedCart:
    """Adds a discount code to the cart. A code that the cart already has changes nothing.

    Raises DiscountRefused if this code cannot be used; NotFound, CartLocked.
    """
    cart = carts.open_existing(key=key)
    code, held = normalize_code(code), list(cart.discounts.all())
    if code in {discount.code for discount in held}:
        return load_priced_cart(cart=cart, now=now)
    discount = promotions.find(codes=[code]).get(code)
    if discount is None or len(held) >= settings.MAX_DISCOUNT_CODES:
        reason = RefusalReason.TOO_MANY if discount else RefusalReason.UNKNOWN
        raise DiscountRefused(code, reason, field=["code"])
    cart.discounts.add(discount)
    carts.touch(cart=cart, now=now)
    changed = load_priced_cart(cart=cart, now=now)
    raise_all(errors=[each.at(["code"]) for each in changed.quote.refused if each.discount_code == code])
    return changed


@transaction.atomic(durable=True)
def remove_code(*, key: carts.CartKey, code: str, now: datetime) -> PricedCart:
    """Removes a discount code from the cart. Raises NotFound if the cart does not have it; CartLocked."""
    cart = carts.open_existing(key=key)
    discount = Discount.objects.filter(carts=cart, code=normalize_code(code)).first()
    if discount is None:
        raise NotFound("This code is not in the cart.", field=["code"])
    cart.discounts.remove(discount)
    carts.touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


def missing(*, priced: PricedCart) -> list[DomainError]:
    """The errors for details that the buyer still has to enter."""
    found: list[DomainError] = []
    checkout, quote = priced.checkout, priced.quote
    if not (checkout and checkout.email):
        found.append(EmailMissing("Enter an e-mail address.", field=["checkout", "email"]))
    field = ["checkout", "shipping_address"]
    address = checkout.shipping_address if checkout else None
    if address is None:
        return [*found, AddressIncomplete("Enter a shipping address.", field=field)]
    try:
        contact.clean_address(given=address, field=field)
    except* DomainError as group:  # The shop's countries or their address rules have changed.
        found += [error for error in group.exceptions if isinstance(error, DomainError)]
    if quote.offer is None:
        field = ["checkout", "shipping_option"]
        found.append(ShippingUnavailable("Choose a shipping method.", offers=quote.offers, field=field))
    return found


def problems(*, priced: PricedCart) -> list[DomainError]:
    """Everything that prevents ordering the cart now. `field` is a path into the cart.

    Changed prices are reported too, but prevent only an order that expects the old total.
    """
    cart, lines, quote = priced.cart, priced.lines, priced.quote
    found: list[DomainError] = [] if lines else [CartEmpty("The cart is empty.", field=["lines"])]
    for index, line in enumerate(lines):
        field, quantity_field = ["lines", str(index)], ["lines", str(index), "quantity"]
        price = quote.unit_prices[line.variant_id]
        if not carts.is_for_sale(variant=line.variant, now=priced.now):
            message = f"{line.variant.full_title} is no longer for sale."
            found.append(carts.NotForSale(message, line=line, field=field))
        elif short := stock.shortage(variant=line.variant, quantity=line.quantity, line=line, field=quantity_field):
            found.append(short)
        elif line.seen_price is not None and line.seen_price != price:
            code = quote.exchange.currency
            found.append(
                PriceChanged(line, before=line.seen_price, now=price, currency=code, field=[*field, "unit_price"])
            )
    if cart.currency and not cart.currency.is_active:
        found.append(currency.CurrencyUnavailable(cart.currency.code))
    return [*found, *quote.refused, *missing(priced=priced)]
