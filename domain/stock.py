"""Units on hand and reserved. Stock moves by conditional update, and each move leaves a row in the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from enum import Enum
from typing import ClassVar

from django.conf import settings
from django.db.models import Case, F, IntegerField, Q, Value, When

from domain import catalogue_version, locks, webhooks
from domain.errors import DomainError, raise_all
from storefront.models import (
    CartLine,
    MovementReason,
    Order,
    ProductVariant,
    Stock,
    StockMovement,
    StockPolicy,
    User,
)


class InsufficientStock(DomainError):
    """Fewer units can be promised than were asked for: `available` of `variant`, not `requested`, as `line` does."""

    code: ClassVar[str] = "INSUFFICIENT_STOCK"

    def __init__(
        self,
        *,
        variant: ProductVariant,
        requested: int,
        available: int,
        line: CartLine | None = None,
        field: Sequence[str] = (),
    ) -> None:
        left = f"only {available} left" if available else "sold out"
        super().__init__(f"{variant.sku}: {left}.", field=field)
        self.variant = variant
        self.line = line
        self.requested = requested
        self.available = available


class Availability(Enum):
    IN_STOCK = "IN_STOCK"
    LOW_STOCK = "LOW_STOCK"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    BACKORDER = "BACKORDER"


# What can be bought now, as a condition on stock rows.
SELLABLE = ~Q(policy=StockPolicy.DENY) | Q(on_hand__gt=F("reserved"))


def availability(stock: Stock) -> Availability:
    """What the public is told about a variant's stock: coarse, so that it seldom changes."""
    if stock.policy == StockPolicy.UNTRACKED or stock.available > settings.SHOP_LOW_STOCK:
        return Availability.IN_STOCK
    if stock.available:
        return Availability.LOW_STOCK
    return Availability.BACKORDER if stock.policy == StockPolicy.BACKORDER else Availability.OUT_OF_STOCK


_MOST_BUYABLE_FIRST = (
    Availability.IN_STOCK,
    Availability.LOW_STOCK,
    Availability.BACKORDER,
    Availability.OUT_OF_STOCK,
)


def best_availability(stocks: Sequence[Stock]) -> Availability:
    """A product is as available as its most available variant."""
    return min(
        (availability(stock) for stock in stocks),
        key=_MOST_BUYABLE_FIRST.index,
        default=Availability.OUT_OF_STOCK,
    )


def shortage(
    *, variant: ProductVariant, quantity: int, line: CartLine | None = None, field: Sequence[str] = ()
) -> InsufficientStock | None:
    """The error of asking for so many, or None when they are there at the moment."""
    stock = variant.stock
    if stock.policy != StockPolicy.DENY or stock.available >= quantity:
        return None
    return InsufficientStock(variant=variant, requested=quantity, available=stock.available, line=line, field=field)


def _per_variant(quantities: Mapping[int, int]) -> Case:
    return Case(
        *(When(pk=pk, then=Value(quantity)) for pk, quantity in quantities.items()),
        output_field=IntegerField(),
    )


def reserve(*, order: Order, variants: Mapping[ProductVariant, int], now: datetime) -> None:
    """Promises units to an order, all or nothing. Raises InsufficientStock for each variant that falls short."""
    quantities = {variant.pk: quantity for variant, quantity in variants.items()}
    held = {stock.pk: stock for stock in locks.stock(quantities)}
    wanted = _per_variant(quantities)
    moved = (
        Stock.objects.filter(pk__in=quantities)
        .filter(~Q(policy=StockPolicy.DENY) | Q(on_hand__gte=F("reserved") + wanted))
        .update(reserved=F("reserved") + wanted)
    )
    if moved != len(quantities):
        for variant in variants:
            variant.stock = held[variant.pk]
        short = (
            shortage(variant=variant, quantity=quantity, field=["lines", str(index), "quantity"])
            for index, (variant, quantity) in enumerate(variants.items())
        )
        raise_all([error for error in short if error])
    _record(order, quantities, reason=MovementReason.RESERVED, sign=1, now=now)
    moved_to = {it: (held[it.pk], held[it.pk].available - quantity) for it, quantity in variants.items()}
    _tell_low(moved_to, now=now)
    _tell_public((held[pk], _moved(held[pk], reserved=quantity)) for pk, quantity in quantities.items())


def _moved(stock: Stock, *, on_hand: int = 0, reserved: int = 0) -> Stock:
    """What becomes of a stock row by so many units more."""
    after = copy(stock)
    after.on_hand, after.reserved = stock.on_hand + on_hand, stock.reserved + reserved
    return after


def _tell_public(moved: Iterable[tuple[Stock, Stock]]) -> None:
    """Makes it a new version of the catalogue if the public is told something else of any: seldom, of a sale."""
    if any(before._state.adding or availability(before) != availability(after) for before, after in moved):
        catalogue_version.change()


def _tell_low(moved: Mapping[ProductVariant, tuple[Stock, int]], *, now: datetime) -> None:
    """Has those told who want to know of which variants little is left now: once, when it comes to be little."""
    low = settings.SHOP_LOW_STOCK
    fell = {
        variant: max(left, 0)
        for variant, (before, left) in moved.items()
        if before.policy != StockPolicy.UNTRACKED and before.available > low >= left
    }
    webhooks.stock_is_low(fell, now=now)


def release(*, order: Order, now: datetime) -> None:
    """Gives back what an order had reserved."""
    quantities = _of(order)
    held = locks.stock(quantities)
    Stock.objects.filter(pk__in=quantities).update(reserved=F("reserved") - _per_variant(quantities))
    _record(order, quantities, reason=MovementReason.RELEASED, sign=-1, now=now)
    _tell_public((stock, _moved(stock, reserved=-quantities[stock.pk])) for stock in held)


def ship(*, order: Order, now: datetime) -> None:
    """Takes what an order had reserved out of the warehouse.

    Of goods that are sold on when none is left, more may leave than were ever counted in: none is left then.
    """
    quantities = _of(order)
    held = locks.stock(quantities)
    left = {stock.pk: min(quantities[stock.pk], stock.on_hand) for stock in held}
    Stock.objects.filter(pk__in=quantities).update(
        on_hand=F("on_hand") - _per_variant(left), reserved=F("reserved") - _per_variant(quantities)
    )
    StockMovement.objects.bulk_create(
        StockMovement(
            variant_id=pk,
            on_hand_change=-left[pk],
            reserved_change=-quantity,
            reason=MovementReason.SHIPPED,
            order=order,
            at=now,
        )
        for pk, quantity in quantities.items()
    )
    _tell_public((stock, _moved(stock, on_hand=-left[stock.pk], reserved=-quantities[stock.pk])) for stock in held)


def take_back(*, order: Order, now: datetime) -> None:
    """Puts what an order had taken out of the warehouse back into it."""
    quantities = _of(order)
    held = locks.stock(quantities)
    Stock.objects.filter(pk__in=quantities).update(on_hand=F("on_hand") + _per_variant(quantities))
    StockMovement.objects.bulk_create(
        StockMovement(variant_id=pk, on_hand_change=quantity, reason=MovementReason.RETURNED, order=order, at=now)
        for pk, quantity in quantities.items()
    )
    _tell_public((stock, _moved(stock, on_hand=quantities[stock.pk])) for stock in held)


def _of(order: Order) -> dict[int, int]:
    return {line.variant_id: line.quantity for line in order.lines.all()}


def _record(order: Order, quantities: Mapping[int, int], *, reason: MovementReason, sign: int, now: datetime) -> None:
    StockMovement.objects.bulk_create(
        StockMovement(variant_id=pk, reserved_change=sign * quantity, reason=reason, order=order, at=now)
        for pk, quantity in quantities.items()
    )


def count(*, variants: Mapping[ProductVariant, tuple[StockPolicy, int]], actor: User | None, now: datetime) -> bool:
    """Sets what is in the warehouse, as counted, and how each variant is sold; says whether anything changed.

    A count below what orders have reserved is raised to it, since those units are promised. Variants without
    a stock row get one. Call inside a transaction.
    """
    held = {stock.pk: stock for stock in locks.stock(variant.pk for variant in variants)}
    movements, changed, fell = [], [], {}
    for variant, (policy, counted) in variants.items():
        stock = held.get(variant.pk) or Stock(variant=variant)
        on_hand = max(counted, stock.reserved) if policy == StockPolicy.DENY else max(counted, 0)
        if not stock._state.adding and (stock.policy, stock.on_hand) == (policy, on_hand):
            continue
        if on_hand != stock.on_hand:
            movements.append(
                StockMovement(
                    variant=variant,
                    on_hand_change=on_hand - stock.on_hand,
                    reason=MovementReason.COUNTED,
                    actor=actor,
                    at=now,
                )
            )
        fell[variant] = copy(stock), on_hand - stock.reserved
        stock.policy, stock.on_hand = policy, on_hand
        changed.append(stock)
    Stock.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["variant"], update_fields=["policy", "on_hand"]
    )
    StockMovement.objects.bulk_create(movements)
    _tell_low(fell, now=now)
    _tell_public(zip((before for before, _ in fell.values()), changed, strict=True))
    return bool(changed)
