"""What a cart needs to become an order: e-mail, addresses, a way of shipping; and what it may have: codes."""

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
    """A unit of the line costs `now`, and cost `before` when the buyer put it in, in `currency`."""

    code: ClassVar[str] = "PRICE_CHANGED"

    def __init__(
        self, line: CartLine, *, before: Decimal, now: Decimal, currency: str, field: Sequence[str] = ()
    ) -> None:
        super().__init__(f"{line.variant.sku} cost {before} {currency} and costs {now} now.", field=field)
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
    """Notes what the buyer gave; what is None stays as it was. May be called again and again.

    Raises InvalidInput, AddressIncomplete, ShippingUnavailable, DiscountRefused for each code, CurrencyUnavailable;
    NotFound, CartLocked for the cart. A new address forgets a chosen method that does not take the parcel there;
    whatever else ceases to fit is told by `problems`.
    """
    priced = load_priced_cart(cart=carts.open_existing(key=key), now=now)
    cart = priced.cart
    moved = _note(priced, email, shipping_address, billing_address, shipping_method_id)
    if currency_code is not None:
        _change_currency(cart, currency_code)
    places = _places(discount_codes or ())
    if discount_codes is not None:
        _set_codes(cart, places)
    carts.touch(cart=cart, now=now)
    if currency_code is not None or discount_codes is not None:
        priced = load_priced_cart(cart=cart, now=now)
    if shipping_method_id is not None or moved or places:
        quote = priced.quote
        refused = [each.at(places[each.discount_code]) for each in quote.refused if each.discount_code in places]
        raise_all(errors=[*refused, *_unavailable(quote, shipping_method_id)])
        if moved and not quote.offer:
            Checkout.objects.filter(cart=cart).update(shipping_method=None)
            return load_priced_cart(cart=cart, now=now)
    return priced


def _note(
    priced: PricedCart,
    email: str | None,
    shipping: Address | None,
    billing: Address | None,
    shipping_method_id: int | None,
) -> bool:
    """Writes what is not None; says whether the parcel goes elsewhere than when its shipping method was chosen."""
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
    chosen = currency.named(code=code)
    if cart.currency_id != (chosen.pk if chosen else None):
        Cart.objects.filter(pk=cart.pk).update(currency=chosen)
        cart.lines.update(seen_price=None)


def _places(codes: Sequence[str]) -> dict[str, list[str]]:
    """Each code as it is kept, with its first place in the input."""
    places: dict[str, list[str]] = {}
    for index, code in enumerate(codes):
        places.setdefault(normalize_code(code), ["discount_codes", str(index)])
    return places


def _set_codes(cart: Cart, places: Mapping[str, Sequence[str]]) -> None:
    """Has the cart hold exactly these codes. Raises DiscountRefused for those that are unknown or too many."""
    most = settings.MAX_DISCOUNT_CODES
    allowed = list(places)[:most]
    known = promotions.find(codes=allowed)
    raise_all(
        errors=[
            DiscountRefused(code, RefusalReason.UNKNOWN if code in allowed else RefusalReason.TOO_MANY, field=field)
            for code, field in places.items()
            if code not in known
        ]
    )
    cart.discounts.set(known.values())


def _unavailable(quote: Quote, shipping_method_id: int | None) -> list[DomainError]:
    if shipping_method_id is None or quote.offer is not None:
        return []
    why = "Not offered for this address and cart." if quote.parcel else "It needs an address first."
    return [ShippingUnavailable(why, offers=quote.offers, field=["shipping_option_id"])]


@transaction.atomic(durable=True)
def apply_code(*, key: carts.CartKey, code: str, now: datetime) -> PricedCart:
    """Has the cart hold one more discount code; one that it holds already changes nothing.

    Raises DiscountRefused if that code does not count, whatever the others do; NotFound, CartLocked.
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
    """Takes a discount code out of the cart. Raises NotFound if it holds no such code; CartLocked."""
    cart = carts.open_existing(key=key)
    discount = Discount.objects.filter(carts=cart, code=normalize_code(code)).first()
    if discount is None:
        raise NotFound("The cart holds no such code.", field=["code"])
    cart.discounts.remove(discount)
    carts.touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


def missing(*, priced: PricedCart) -> list[DomainError]:
    """What the buyer still has to give."""
    found: list[DomainError] = []
    checkout, quote = priced.checkout, priced.quote
    if not (checkout and checkout.email):
        found.append(EmailMissing("An e-mail address is needed.", field=["checkout", "email"]))
    field = ["checkout", "shipping_address"]
    address = checkout.shipping_address if checkout else None
    if address is None:
        return [*found, AddressIncomplete("A shipping address is needed.", field=field)]
    try:
        contact.clean_address(given=address, field=field)
    except* DomainError as group:  # The shop's countries, or their rules, have changed.
        found += [error for error in group.exceptions if isinstance(error, DomainError)]
    if quote.offer is None:
        field = ["checkout", "shipping_option"]
        found.append(ShippingUnavailable("Choose how to ship.", offers=quote.offers, field=field))
    return found


def problems(*, priced: PricedCart) -> list[DomainError]:
    """Everything that would stop the cart from becoming an order now; `field` is a path into the cart.

    A changed price is reported too. It stops only an order that expects the total from before the change.
    """
    cart, lines, quote = priced.cart, priced.lines, priced.quote
    found: list[DomainError] = [] if lines else [CartEmpty("The cart is empty.", field=["lines"])]
    for index, line in enumerate(lines):
        field, quantity_field = ["lines", str(index)], ["lines", str(index), "quantity"]
        price = quote.unit_prices[line.variant_id]
        if not carts.is_for_sale(variant=line.variant, now=priced.now):
            found.append(carts.NotForSale(f"{line.variant.sku} is no longer for sale.", line=line, field=field))
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
