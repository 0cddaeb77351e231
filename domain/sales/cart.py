"""Carts: find or create, add, change and remove lines, and merge. Only an active cart can change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, CharField, Q, QuerySet

from domain.base import locks
from domain.base.errors import DomainError, InvalidInput, NotFound, raise_all
from domain.base.money import MAX_AMOUNT
from domain.base.prepared_queries import PreparedQuery, insert, update
from domain.catalog import stock
from domain.catalog.catalog_version import Changes
from domain.sales import currency as currencies
from domain.sales.priced_cart import PricedCart, load_priced_cart, new_priced_cart
from storefront.models import Cart, CartLine, CartState, Checkout, Order, ProductVariant, StockPolicy, User

MAX_LINES = 200
_VARIANTS = PreparedQuery(
    lambda keys: (
        ProductVariant.objects.filter(pk__in=keys).select_related("product", "stock").annotate(changes=Changes())
    ),
    keys=BigIntegerField(),
)
_BY_CODE = locks.Lock(lambda code: candidates(key=CartKey(code=code)), code=CharField())


class CartLocked(DomainError):
    """The cart became `order`, or was merged or abandoned (`order` is None), and can no longer change."""

    code: ClassVar[str] = "CART_LOCKED"

    def __init__(self, *, order: Order | None) -> None:
        why = f"This cart has become order {order.number}." if order else "This cart was merged or abandoned."
        super().__init__(why, field=["cart_code"])
        self.order = order


class UnknownCartCode(NotFound):
    """No cart has this code, or the cart belongs to another user."""


class NotForSale(DomainError):
    """The variant does not exist, is withdrawn, or its product is not published. `line` is its cart line, if any."""

    code: ClassVar[str] = "NOT_FOR_SALE"

    def __init__(self, message: str, *, line: CartLine | None = None, field: Sequence[str] = ()) -> None:
        super().__init__(message, field=field)
        self.line = line


@dataclass(frozen=True, slots=True)
class CartKey:
    """How a request identifies its cart: by `code`, else the user's active cart, else (for guests) by the code in the
    browser's cookie (`remembered`)."""

    code: str | None = None
    user: User | None = None
    remembered: str | None = None


@dataclass(frozen=True, slots=True)
class NewLine:
    variant_id: int
    quantity: int


def candidates(*, key: CartKey) -> QuerySet[Cart]:
    """The cart of the key, if there is one. An account's cart is accessible to its user only, even by its code."""
    owner = Q(user=None) | Q(user=key.user) if key.user else Q(user=None)
    if key.code is not None:
        return Cart.objects.filter(owner, code=key.code)
    if key.user:
        return Cart.objects.filter(user=key.user, state=CartState.ACTIVE)
    if key.remembered:
        return Cart.objects.filter(owner, code=key.remembered)
    return Cart.objects.none()


def open_or_create(*, key: CartKey, currency: str | None = None, now: datetime) -> tuple[Cart, bool]:
    """Locks the key's active cart, or creates it in `currency` (an ISO 4217 code). Returns it, and whether it is new.

    Raises NotFound, CartLocked for a given code; CurrencyUnavailable.
    """
    if key.code is not None:
        return open_existing(key=key), False
    if not (key.user or key.remembered):
        return _create_cart(key, currency, now), True
    active, fresh = candidates(key=key).filter(state=CartState.ACTIVE), None
    while (cart := locks.cart(candidates=active)) is None:
        # For concurrent first requests of a user, a constraint allows one cart, and all use that one.
        fresh = _create_cart(key, currency, now)
        if key.user is None:
            return fresh, True
    return cart, fresh is not None and fresh.pk == cart.pk


def _create_cart(key: CartKey, currency: str | None, now: datetime) -> Cart:
    cart = Cart(user=key.user, currency=currencies.by_code(code=currency) if currency else None, updated_at=now)
    if key.user:
        Cart.objects.bulk_create([cart], ignore_conflicts=True)
    else:
        insert(cart)
    return cart


def lock(*, key: CartKey) -> Cart | None:
    """Locks the key's cart in any state; None if there is none."""
    if key.code is not None and key.user is None:
        return _BY_CODE.first(code=key.code)
    return locks.cart(candidates=candidates(key=key))


def open_existing(*, key: CartKey) -> Cart:
    """Locks the key's active cart. Raises NotFound or CartLocked."""
    cart = lock(key=key)
    if cart is None:
        raise not_found(key=key)
    if cart.state != CartState.ACTIVE:
        raise CartLocked(order=Order.objects.filter(cart=cart).first())
    return cart


def not_found(*, key: CartKey) -> NotFound:
    error = UnknownCartCode if key.code is not None else NotFound
    return error("This cart does not exist.", field=["cart_code"])


def _check_quantity(quantity: int, *, least: int, field: Sequence[str]) -> None:
    if not least <= quantity <= CartLine.MAX_QUANTITY:
        raise InvalidInput(f"A quantity is from {least} to {CartLine.MAX_QUANTITY}.", field=field)


def _line_error(
    variant: ProductVariant | None, quantity: int, *, field: Sequence[str], now: datetime
) -> DomainError | None:
    if variant is None or not is_for_sale(variant=variant, now=now):
        return NotForSale("This product is not for sale.", field=[*field, "variant_id"])
    if quantity > CartLine.MAX_QUANTITY:
        return InvalidInput(f"A line has at most {CartLine.MAX_QUANTITY} units.", field=[*field, "quantity"])
    return stock.shortage(variant=variant, quantity=quantity, field=[*field, "quantity"])


def _check_increase(line: CartLine, quantity: int, *, now: datetime) -> None:
    if not is_for_sale(variant=line.variant, now=now):
        raise NotForSale(f"{line.variant.full_title} is no longer for sale.", field=["line_id"])
    if short := stock.shortage(variant=line.variant, quantity=quantity, field=["quantity"]):
        raise short


def is_for_sale(*, variant: ProductVariant, now: datetime) -> bool:
    published_at = variant.product.published_at
    return not variant.is_withdrawn and published_at is not None and published_at <= now


def add_lines(*, key: CartKey, lines: Sequence[NewLine], currency: str | None = None, now: datetime) -> PricedCart:
    """Adds lines to the key's cart, all or none; increases the quantity of variants that it already contains.

    Without a cart, creates one in `currency`. Raises for each invalid line InvalidInput, NotForSale or
    InsufficientStock; for the cart NotFound, CartLocked, CurrencyUnavailable.
    """
    try:
        return _add_lines(key=key, lines=lines, currency=currency, now=now)
    except IntegrityError:  # Staff have just deleted a variant. The second call raises the right error.
        return _add_lines(key=key, lines=lines, currency=currency, now=now)


@transaction.atomic(durable=True)
def _add_lines(*, key: CartKey, lines: Sequence[NewLine], currency: str | None, now: datetime) -> PricedCart:
    if not 1 <= len(lines) <= MAX_LINES:
        raise InvalidInput(f"Add 1 to {MAX_LINES} lines at a time.", field=["lines"])
    wanted: dict[int, int] = {}
    fields: dict[int, list[str]] = {}
    for index, new in enumerate(lines):
        _check_quantity(new.quantity, least=1, field=["lines", str(index), "quantity"])
        wanted[new.variant_id] = wanted.get(new.variant_id, 0) + new.quantity
        fields.setdefault(new.variant_id, ["lines", str(index)])

    cart, is_new = open_or_create(key=key, currency=currency, now=now)
    variants: dict[int, Any] = {variant.pk: variant for variant in _VARIANTS.all(keys=list(wanted))}
    present = {} if is_new else {line.variant_id: line for line in cart.lines.all()}
    if len(present.keys() | wanted.keys()) > MAX_LINES:
        raise InvalidInput(f"A cart has at most {MAX_LINES} lines.", field=["lines"])

    changed, errors = [], []
    position = max((line.position for line in present.values()), default=0)
    for variant_id, quantity in wanted.items():
        line = present.get(variant_id)
        if line is None:
            position += 1
            line = CartLine(cart=cart, variant_id=variant_id, quantity=0, position=position)
        line.quantity += quantity
        error = _line_error(variants.get(variant_id), line.quantity, field=fields[variant_id], now=now)
        errors += [error] if error else []
        changed.append(line)
    raise_all(errors=errors)

    prices = currencies.unit_prices(variants=list(variants.values()), exchange=currencies.exchange_of(cart=cart))
    for line in changed:
        line.seen_price = min(
            prices[line.variant_id], MAX_AMOUNT - 1
        )  # A higher price does not fit and cannot be paid.
    if is_new:
        for line in changed:
            line.variant = variants[line.variant_id]
        insert(*changed)
        return new_priced_cart(cart=cart, lines=changed, changes=next(iter(variants.values())).changes, now=now)
    CartLine.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["cart", "variant"], update_fields=["quantity", "seen_price"]
    )
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


@transaction.atomic(durable=True)
def set_quantity(*, key: CartKey, line_id: UUID, quantity: int, now: datetime) -> PricedCart:
    """Sets a line's quantity; 0 removes the line. Calling it again changes nothing.

    Raises InvalidInput, NotFound, CartLocked; for an increase also NotForSale, InsufficientStock.
    """
    _check_quantity(quantity, least=0, field=["quantity"])
    cart = open_existing(key=key)
    line = cart.lines.filter(pk=line_id).select_related("variant__product", "variant__stock").first()
    if line is None:
        raise NotFound("This cart line does not exist.", field=["line_id"])
    if quantity == 0:
        line.delete()
    else:
        # A decrease is always allowed, because the stock may have fallen below the line's quantity.
        if quantity > line.quantity:
            _check_increase(line, quantity, now=now)
        price = currencies.unit_prices(variants=[line.variant], exchange=currencies.exchange_of(cart=cart))[
            line.variant_id
        ]
        cart.lines.filter(pk=line_id).update(quantity=quantity, seen_price=min(price, MAX_AMOUNT - 1))
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


@transaction.atomic(durable=True)
def remove_lines(*, key: CartKey, line_ids: Sequence[UUID], now: datetime) -> PricedCart:
    """Removes lines from the cart, all or none. Raises CartLocked, and NotFound for each line that is not in it."""
    cart = open_existing(key=key)
    present = set(cart.lines.values_list("pk", flat=True))
    raise_all(
        errors=[
            NotFound("This cart line does not exist.", field=["line_ids", str(index)])
            for index, line_id in enumerate(line_ids)
            if line_id not in present
        ]
    )
    cart.lines.filter(pk__in=line_ids).delete()
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


@transaction.atomic(durable=True)
def clear(*, key: CartKey, now: datetime) -> PricedCart:
    """Removes all lines. E-mail, addresses, shipping method, discount codes and currency stay."""
    cart = open_existing(key=key)
    cart.lines.all().delete()
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


class ChangeReason(Enum):
    """What happened to a line of the guest's cart."""

    ADDED = "ADDED"
    CAPPED = "CAPPED"
    SOLD_OUT = "SOLD_OUT"
    NOT_FOR_SALE = "NOT_FOR_SALE"
    CART_FULL = "CART_FULL"


@dataclass(frozen=True, slots=True)
class CartChange:
    """A variant's quantities: in the account's cart `before`, in the `guest`'s, and in the account's `after`."""

    variant_id: int
    before: int
    guest: int
    after: int
    reason: ChangeReason


@transaction.atomic(durable=True)
def merge(*, key: CartKey, user: User, now: datetime) -> list[CartChange]:
    """Merges the key's guest cart, if any, into the user's active cart. Returns what happened to each guest line.

    Quantities add up, limited by the stock, but never below the account cart's own. Checkout data and discount codes
    move if the account's cart has none; the currency moves if it is empty. The guest's cart becomes MERGED and
    belongs to the user.
    """
    guests = candidates(key=replace(key, user=None)).filter(state=CartState.ACTIVE)
    if not guests.exists():
        return []
    own, _ = open_or_create(key=CartKey(user=user), now=now)
    guest = locks.cart(candidates=guests)  # Always after the account's cart, so that merges cannot deadlock.
    if guest is None:
        return []
    present = {line.variant_id: line for line in own.lines.all()}
    if not present and own.currency_id != guest.currency_id:
        own.currency_id = guest.currency_id
        own.save(update_fields=["currency"])
    same_currency = own.currency_id == guest.currency_id
    position = max((line.position for line in present.values()), default=0)
    changes = []
    for line in guest.lines.select_related("variant__product", "variant__stock"):
        into = present.get(line.variant_id)
        change = _merged_line(line, before=into.quantity if into else 0, full=len(present) >= MAX_LINES, now=now)
        changes.append(change)
        if change.after and into is None:
            position += 1
            into = present[line.variant_id] = CartLine(cart=own, variant_id=line.variant_id, position=position)
            if same_currency:
                into.seen_price = line.seen_price
        if into is not None:
            into.quantity = change.after
    CartLine.objects.bulk_create(
        [present[change.variant_id] for change in changes if change.after > change.before],
        update_conflicts=True,
        unique_fields=["cart", "variant"],
        update_fields=["quantity"],
    )
    for model in (Checkout, Cart.discounts.through):
        if not model._default_manager.filter(cart=own).exists():
            model._default_manager.filter(cart=guest).update(cart=own)
    Cart.objects.filter(pk=guest.pk).update(state=CartState.MERGED, user=user, updated_at=now)
    touch(cart=own, now=now)
    return changes


def _merged_line(line: CartLine, *, before: int, full: bool, now: datetime) -> CartChange:
    variant, wanted = line.variant, before + line.quantity
    tracked = variant.stock.policy == StockPolicy.DENY
    most = min(CartLine.MAX_QUANTITY, variant.stock.available) if tracked else CartLine.MAX_QUANTITY
    after = max(before, min(wanted, most))
    reason = ChangeReason.ADDED if after == wanted else ChangeReason.CAPPED if most else ChangeReason.SOLD_OUT
    if not is_for_sale(variant=variant, now=now):
        after, reason = before, ChangeReason.NOT_FOR_SALE
    elif full and not before:
        after, reason = before, ChangeReason.CART_FULL
    return CartChange(line.variant_id, before=before, guest=line.quantity, after=after, reason=reason)


def touch(*, cart: Cart, now: datetime) -> None:
    cart.updated_at = now
    update(row=cart, fields=["updated_at"])


def abandon(*, untouched_since: datetime, now: datetime) -> int:
    """Abandons active carts that were last changed before `untouched_since`. Returns how many."""
    left = Cart.objects.filter(state=CartState.ACTIVE, updated_at__lt=untouched_since)
    return left.update(state=CartState.ABANDONED, updated_at=now)
