"""Units on hand and reserved. Stock moves by conditional update, and each move leaves a row in the ledger."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When

from domain.base import change_log, locks, webhooks
from domain.base.errors import DomainError, InvalidInput, NotFound, RequestIdReused, raise_all
from domain.base.prepared_queries import ByKey, insert
from domain.catalog import catalog_version
from storefront.models import (
    CartLine,
    Change,
    ChangeAction,
    MovementReason,
    Order,
    ProductVariant,
    Stock,
    StockAdjustment,
    StockMovement,
    StockPolicy,
    User,
)

MAX_ON_HAND = 10_000_000
MAX_ADJUSTMENTS = 200
MAX_NOTE = 200


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


def availability(*, stock: Stock) -> Availability:
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


def best_availability(*, stocks: Sequence[Stock]) -> Availability:
    """A product is as available as its most available variant."""
    return min(
        (availability(stock=stock) for stock in stocks),
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


def _per_variant(quantities: Mapping[int, int]) -> ByKey:
    return ByKey(Stock, quantities, IntegerField())


def reserve(*, order: Order, variants: Mapping[ProductVariant, int], now: datetime) -> None:
    """Promises units to an order, all or nothing. Raises InsufficientStock for each variant that falls short."""
    quantities = {variant.pk: quantity for variant, quantity in variants.items()}
    held = {stock.pk: stock for stock in locks.stock(variant_ids=quantities)}
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
        raise_all(errors=[error for error in short if error])
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
    if any(before._state.adding or availability(stock=before) != availability(stock=after) for before, after in moved):
        catalog_version.change()


def _tell_low(moved: Mapping[ProductVariant, tuple[Stock, int]], *, now: datetime) -> None:
    """Has those told who want to know of which variants little is left now: once, when it comes to be little."""
    low = settings.SHOP_LOW_STOCK
    fell = {
        variant: max(left, 0)
        for variant, (before, left) in moved.items()
        if before.policy != StockPolicy.UNTRACKED and before.available > low >= left
    }
    webhooks.stock_is_low(left=fell, now=now)


def release(*, order: Order, now: datetime) -> None:
    """Gives back what an order had reserved."""
    quantities = _of(order)
    held = locks.stock(variant_ids=quantities)
    Stock.objects.filter(pk__in=quantities).update(reserved=F("reserved") - _per_variant(quantities))
    _record(order, quantities, reason=MovementReason.RELEASED, sign=-1, now=now)
    _tell_public((stock, _moved(stock, reserved=-quantities[stock.pk])) for stock in held)


def ship(*, order: Order, now: datetime) -> None:
    """Takes what an order had reserved out of the warehouse.

    Of goods that are sold on when none is left, more may leave than were ever counted in: none is left then.
    """
    quantities = _of(order)
    held = locks.stock(variant_ids=quantities)
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
    held = locks.stock(variant_ids=quantities)
    Stock.objects.filter(pk__in=quantities).update(on_hand=F("on_hand") + _per_variant(quantities))
    StockMovement.objects.bulk_create(
        StockMovement(variant_id=pk, on_hand_change=quantity, reason=MovementReason.RETURNED, order=order, at=now)
        for pk, quantity in quantities.items()
    )
    _tell_public((stock, _moved(stock, on_hand=quantities[stock.pk])) for stock in held)


def _of(order: Order) -> dict[int, int]:
    return {line.variant_id: line.quantity for line in order.lines.all()}


def _record(order: Order, quantities: Mapping[int, int], *, reason: MovementReason, sign: int, now: datetime) -> None:
    movements = (
        StockMovement(variant_id=pk, reserved_change=sign * quantity, reason=reason, order=order, at=now)
        for pk, quantity in quantities.items()
    )
    insert(*movements)


def count(
    *, variants: Mapping[ProductVariant, tuple[StockPolicy | None, int | None]], actor: User | None, now: datetime
) -> dict[ProductVariant, dict[str, tuple[Any, Any]]]:
    """Sets what is in the warehouse, as counted, and how each variant is sold, or leaves it as it is (None); tells
    what changed.

    A count below what orders have reserved is raised to it, since those units are promised. Variants without
    a stock row get one. Call inside a transaction. Raises InsufficientStock for what is oversold, and shall not be.
    """
    held = {stock.pk: stock for stock in locks.stock(variant_ids=(variant.pk for variant in variants))}
    movements, rows, fell, changed = [], [], {}, {}
    for variant, (wanted, counted) in variants.items():
        stock = held.get(variant.pk) or Stock(variant=variant)
        before = {} if stock._state.adding else _told(stock)
        policy = StockPolicy(wanted or stock.policy)
        on_hand = stock.on_hand if counted is None else max(counted, 0)
        if policy == StockPolicy.DENY and on_hand < stock.reserved:
            if counted is None:
                raise InsufficientStock(variant=variant, requested=stock.reserved, available=stock.on_hand)
            on_hand = stock.reserved
        after = {"policy": policy, "on_hand": on_hand}
        if before == after:
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
        changed[variant] = change_log.between(before=before, after=after)
        fell[variant] = copy(stock), on_hand - stock.reserved
        stock.policy, stock.on_hand = policy, on_hand
        rows.append(stock)
    Stock.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["variant"], update_fields=["policy", "on_hand"]
    )
    StockMovement.objects.bulk_create(movements)
    _tell_low(fell, now=now)
    _tell_public(zip((before for before, _ in fell.values()), rows, strict=True))
    return changed


def _told(stock: Stock) -> dict[str, Any]:
    return {"policy": stock.policy, "on_hand": stock.on_hand}


def low(*, at_most: int) -> QuerySet[ProductVariant]:
    """The variants, with their `available`, of which no more can be promised; not those that are withdrawn or
    archived, nor what is not counted."""
    counted = ProductVariant.objects.exclude(stock__policy=StockPolicy.UNTRACKED)
    in_use = counted.filter(is_withdrawn=False, product__archived_at=None)
    return in_use.annotate(available=F("stock__on_hand") - F("stock__reserved")).filter(available__lte=at_most)


# ── adjusted by staff ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Adjustment:
    """So many units more (or fewer) of a variant, and how it is to be sold from now on; None: as before."""

    variant_id: int
    delta: int = 0
    policy: StockPolicy | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """`replayed`: it was done before, by a request with the same id."""

    adjustment: StockAdjustment
    replayed: bool


@transaction.atomic(durable=True)
def adjust(*, request_id: str, lines: Sequence[Adjustment], actor: User | None, now: datetime) -> Adjusted:
    """Adds to what is in the warehouse, or takes from it, all or nothing; the same `request_id` does so once.

    Raises InvalidInput, RequestIdReused; for each line that cannot be: NotFound, and InsufficientStock where more would
    be taken than orders leave.
    """
    _check(request_id, lines)
    asked = [[line.variant_id, line.delta, line.policy, line.note] for line in lines]
    # Of two at once, the second waits here until the first is done, or undone.
    adjustment, is_new = StockAdjustment.objects.get_or_create(
        request_id=request_id, defaults={"asked": asked, "actor": actor, "at": now}
    )
    if not is_new:
        if adjustment.asked != asked:
            raise RequestIdReused("This id was used for another adjustment.", field=["request_id"])
        return Adjusted(adjustment, replayed=True)
    held = {stock.pk: stock for stock in locks.stock(variant_ids={line.variant_id for line in lines})}
    variants = ProductVariant.objects.in_bulk(held.keys())
    _move(lines, held, variants)
    StockMovement.objects.bulk_create(
        StockMovement(
            variant_id=line.variant_id,
            on_hand_change=line.delta,
            reason=MovementReason.ADJUSTED,
            adjustment=adjustment,
            note=line.note,
            actor=actor,
            at=now,
        )
        for line in lines
    )
    moved = {stock.pk: stock for stock in Stock.objects.filter(pk__in=held)}
    Change.objects.bulk_create(
        change_log.change(
            row=variants[pk],
            action=ChangeAction.UPDATED,
            fields=change_log.between(before=_told(held[pk]), after=_told(stock)),
            actor=actor,
            now=now,
        )
        for pk, stock in moved.items()
    )
    _tell_low({variants[pk]: (held[pk], stock.on_hand - stock.reserved) for pk, stock in moved.items()}, now=now)
    _tell_public((held[pk], stock) for pk, stock in moved.items())
    return Adjusted(adjustment, replayed=False)


def _check(request_id: str, lines: Sequence[Adjustment]) -> None:
    if not 0 < len(request_id) <= 100:
        raise InvalidInput("From 1 to 100 characters.", field=["request_id"])
    if not 1 <= len(lines) <= MAX_ADJUSTMENTS:
        raise InvalidInput(f"Adjust 1 to {MAX_ADJUSTMENTS} variants at a time.", field=["lines"])
    errors: list[DomainError] = []
    for index, line in enumerate(lines):
        field = ["lines", str(index)]
        if not -MAX_ON_HAND <= line.delta <= MAX_ON_HAND or not (line.delta or line.policy):
            errors.append(InvalidInput(f"From 1 to {MAX_ON_HAND} units, more or fewer.", field=[*field, "delta"]))
        if len(line.note) > MAX_NOTE:
            errors.append(InvalidInput(f"At most {MAX_NOTE} characters.", field=[*field, "note"]))
    raise_all(errors=errors)


def _move(lines: Sequence[Adjustment], held: Mapping[int, Stock], variants: Mapping[int, ProductVariant]) -> None:
    """Moves all that the lines ask for by one conditional update, or says what stands in the way."""
    deltas: dict[int, int] = {}
    policies: dict[int, StockPolicy] = {}
    for line in lines:
        deltas[line.variant_id] = deltas.get(line.variant_id, 0) + line.delta
        policies |= {line.variant_id: line.policy} if line.policy else {}
    after = F("on_hand") + _per_variant(deltas)
    denied = [pk for pk in held if policies.get(pk, held[pk].policy) == StockPolicy.DENY]
    moved = (
        Stock.objects.filter(pk__in=deltas)
        .annotate(after=after)
        .filter(~Q(pk__in=denied) | Q(after__gte=F("reserved")), after__gte=0, after__lte=MAX_ON_HAND)
        .update(
            on_hand=after,
            policy=Case(*(When(pk=pk, then=Value(policy)) for pk, policy in policies.items()), default=F("policy")),
        )
    )
    if moved != len(deltas):
        raise_all(errors=list(_refusals(lines, deltas, policies, held, variants)))


def _refusals(
    lines: Sequence[Adjustment],
    deltas: Mapping[int, int],
    policies: Mapping[int, StockPolicy],
    held: Mapping[int, Stock],
    variants: Mapping[int, ProductVariant],
) -> Iterator[DomainError]:
    for index, line in enumerate(lines):
        field, stock = ["lines", str(index)], held.get(line.variant_id)
        if stock is None:
            yield NotFound("There is no such product variant.", field=[*field, "variant_id"])
            continue
        delta = deltas[stock.pk]
        is_denied = policies.get(stock.pk, stock.policy) == StockPolicy.DENY
        left = stock.on_hand - (stock.reserved if is_denied else 0)
        if stock.on_hand + delta > MAX_ON_HAND:
            yield InvalidInput(f"A stock is {MAX_ON_HAND} at most.", field=[*field, "delta"])
        elif left + delta < 0:
            # Fewer than shall be taken; or, of what was oversold, fewer than orders wait for.
            requested, available = (-delta, max(left, 0)) if delta < 0 else (stock.reserved, stock.on_hand + delta)
            variant = variants[stock.pk]
            yield InsufficientStock(variant=variant, requested=requested, available=available, field=[*field, "delta"])
