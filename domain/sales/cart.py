"""The cart: found or created, filled, changed, and returned as a `PricedCart`. A converted cart is locked for
good."""

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
    """The cart became `order` (or was merged into another, or abandoned), and can no longer change."""

    code: ClassVar[str] = "CART_LOCKED"

    def __init__(self, *, order: Order | None) -> None:
        why = f"This cart has become order {order.number}." if order else "This cart was given up, or became another's."
        super().__init__(why, field=["cart_code"])
        self.order = order


class UnknownCartCode(NotFound):
    """No cart has the code that was stated, or it is somebody else's."""


class NotForSale(DomainError):
    """The variant does not exist, is withdrawn, or its product is not published; `line` holds some of it."""

    code: ClassVar[str] = "NOT_FOR_SALE"

    def __init__(self, message: str, *, line: CartLine | None = None, field: Sequence[str] = ()) -> None:
        super().__init__(message, field=field)
        self.line = line


@dataclass(frozen=True, slots=True)
class CartKey:
    """How a request names its cart: by the code it states; else it is the user's active cart; else, for a
    guest, the one whose code the browser remembers."""

    code: str | None = None
    user: User | None = None
    remembered: str | None = None


@dataclass(frozen=True, slots=True)
class NewLine:
    variant_id: int
    quantity: int


def candidates(*, key: CartKey) -> QuerySet[Cart]:
    """The one cart that the key opens, or none. An account's cart opens to nobody else, even with its code."""
    owner = Q(user=None) | Q(user=key.user) if key.user else Q(user=None)
    if key.code is not None:
        return Cart.objects.filter(owner, code=key.code)
    if key.user:
        return Cart.objects.filter(user=key.user, state=CartState.ACTIVE)
    if key.remembered:
        return Cart.objects.filter(owner, code=key.remembered)
    return Cart.objects.none()


def open_or_create(*, key: CartKey, currency: str | None = None, now: datetime) -> tuple[Cart, bool]:
    """Locks the key's cart, or creates it (in that currency), and says whether it is new. A code that was stated
    must exist."""
    if key.code is not None:
        return open_existing(key=key), False
    if not (key.user or key.remembered):
        return _begun(key, currency, now), True
    active, fresh = candidates(key=key).filter(state=CartState.ACTIVE), None
    while (cart := locks.cart(candidates=active)) is None:
        # Two first requests of one user: the constraint lets one cart in, and both go on with that one.
        fresh = _begun(key, currency, now)
        if key.user is None:
            return fresh, True
    return cart, fresh is not None and fresh.pk == cart.pk


def _begun(key: CartKey, currency: str | None, now: datetime) -> Cart:
    cart = Cart(user=key.user, currency=currencies.named(code=currency) if currency else None, updated_at=now)
    if key.user:
        Cart.objects.bulk_create([cart], ignore_conflicts=True)
    else:
        insert(cart)
    return cart


def lock(*, key: CartKey) -> Cart | None:
    """Locks the cart that the key opens, whatever its state."""
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
    return error("There is no such cart.", field=["cart_code"])


def _check_quantity(quantity: int, *, least: int, field: Sequence[str]) -> None:
    if not least <= quantity <= CartLine.MAX_QUANTITY:
        raise InvalidInput(f"A quantity is from {least} to {CartLine.MAX_QUANTITY}.", field=field)


def _refusal(
    variant: ProductVariant | None, quantity: int, *, field: Sequence[str], now: datetime
) -> DomainError | None:
    if variant is None or not is_for_sale(variant=variant, now=now):
        return NotForSale("This is not for sale.", field=[*field, "variant_id"])
    if quantity > CartLine.MAX_QUANTITY:
        return InvalidInput(f"At most {CartLine.MAX_QUANTITY} a line.", field=[*field, "quantity"])
    return stock.shortage(variant=variant, quantity=quantity, field=[*field, "quantity"])


def _refuse_more(line: CartLine, quantity: int, *, now: datetime) -> None:
    if not is_for_sale(variant=line.variant, now=now):
        raise NotForSale("This is no longer for sale.", field=["line_id"])
    if short := stock.shortage(variant=line.variant, quantity=quantity, field=["quantity"]):
        raise short


def is_for_sale(*, variant: ProductVariant, now: datetime) -> bool:
    published_at = variant.product.published_at
    return not variant.is_withdrawn and published_at is not None and published_at <= now


def add_lines(*, key: CartKey, lines: Sequence[NewLine], currency: str | None = None, now: datetime) -> PricedCart:
    """Adds units to the key's cart; a variant that is in it already gets more. Where there is no cart, one in
    that currency is created.

    All or nothing. Raises, one for each line that cannot be: InvalidInput, NotForSale, InsufficientStock;
    for the cart: NotFound, CartLocked, CurrencyUnavailable.
    """
    try:
        return _add_lines(key=key, lines=lines, currency=currency, now=now)
    except IntegrityError:  # Staff have just deleted one of these variants, as the second time will tell.
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
        raise InvalidInput(f"A cart holds at most {MAX_LINES} lines.", field=["lines"])

    changed, refusals = [], []
    position = max((line.position for line in present.values()), default=0)
    for variant_id, quantity in wanted.items():
        line = present.get(variant_id)
        if line is None:
            position += 1
            line = CartLine(cart=cart, variant_id=variant_id, quantity=0, position=position)
        line.quantity += quantity
        refusal = _refusal(variants.get(variant_id), line.quantity, field=fields[variant_id], now=now)
        refusals += [refusal] if refusal else []
        changed.append(line)
    raise_all(errors=refusals)

    prices = currencies.unit_prices(variants=list(variants.values()), exchange=currencies.exchange_of(cart=cart))
    for line in changed:
        line.seen_price = min(prices[line.variant_id], MAX_AMOUNT - 1)  # What costs more cannot be ordered.
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
    """Makes a line hold exactly so many units; 0 removes it. The same call again changes nothing."""
    _check_quantity(quantity, least=0, field=["quantity"])
    cart = open_existing(key=key)
    line = cart.lines.filter(pk=line_id).select_related("variant__product", "variant__stock").first()
    if line is None:
        raise NotFound("There is no such cart line.", field=["line_id"])
    if quantity == 0:
        line.delete()
    else:
        # Fewer is always allowed: a buyer must be able to lower a line whose stock fell.
        if quantity > line.quantity:
            _refuse_more(line, quantity, now=now)
        price = currencies.unit_prices(variants=[line.variant], exchange=currencies.exchange_of(cart=cart))[
            line.variant_id
        ]
        cart.lines.filter(pk=line_id).update(quantity=quantity, seen_price=min(price, MAX_AMOUNT - 1))
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


@transaction.atomic(durable=True)
def remove_lines(*, key: CartKey, line_ids: Sequence[UUID], now: datetime) -> PricedCart:
    """Takes lines out of the cart. Raises NotFound, and removes none, when one of them is not in it."""
    cart = open_existing(key=key)
    present = set(cart.lines.values_list("pk", flat=True))
    raise_all(
        errors=[
            NotFound("There is no such cart line.", field=["line_ids", str(index)])
            for index, line_id in enumerate(line_ids)
            if line_id not in present
        ]
    )
    cart.lines.filter(pk__in=line_ids).delete()
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


@transaction.atomic(durable=True)
def clear(*, key: CartKey, now: datetime) -> PricedCart:
    """Takes every line out of the cart; e-mail, addresses, shipping method, codes and currency stay."""
    cart = open_existing(key=key)
    cart.lines.all().delete()
    touch(cart=cart, now=now)
    return load_priced_cart(cart=cart, now=now)


class ChangeReason(Enum):
    """What became of a line of the guest's cart."""

    ADDED = "ADDED"
    CAPPED = "CAPPED"
    SOLD_OUT = "SOLD_OUT"
    NOT_FOR_SALE = "NOT_FOR_SALE"
    CART_FULL = "CART_FULL"


@dataclass(frozen=True, slots=True)
class CartChange:
    """Units of a variant: in the account's cart `before`, in the guest's, and in the account's `after`."""

    variant_id: int
    before: int
    guest: int
    after: int
    reason: ChangeReason


@transaction.atomic(durable=True)
def merge(*, key: CartKey, user: User, now: datetime) -> list[CartChange]:
    """Moves the guest's cart that the key opens, if any, into the user's active one; says what became of each line.

    Quantities add up, as far as units are available; what the account's cart held never shrinks. What `checkout`
    noted and discount codes come along where the account's cart has none, the currency where it is empty. The
    guest's cart is MERGED, and opens to the user alone.
    """
    guests = candidates(key=replace(key, user=None)).filter(state=CartState.ACTIVE)
    if not guests.exists():
        return []
    own, _ = open_or_create(key=CartKey(user=user), now=now)
    guest = locks.cart(candidates=guests)  # Always after the account's: no two merges wait for each other.
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
        change = _change(line, before=into.quantity if into else 0, full=len(present) >= MAX_LINES, now=now)
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
    for noted in (Checkout, Cart.discounts.through):
        if not noted._default_manager.filter(cart=own).exists():
            noted._default_manager.filter(cart=guest).update(cart=own)
    Cart.objects.filter(pk=guest.pk).update(state=CartState.MERGED, user=user, updated_at=now)
    touch(cart=own, now=now)
    return changes


def _change(line: CartLine, *, before: int, full: bool, now: datetime) -> CartChange:
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
    """Gives up active carts that nobody has touched since then; says how many."""
    left = Cart.objects.filter(state=CartState.ACTIVE, updated_at__lt=untouched_since)
    return left.update(state=CartState.ABANDONED, updated_at=now)
