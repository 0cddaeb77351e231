"""Stock: units on hand and reserved. Each change is a conditional update and adds a StockMovement to the ledger."""

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
from domain.base.prepared_queries import insert, value_by_key
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
    """Only `available` units of `variant` can be sold, fewer than `requested`. `line` is the cart line, if any."""

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
        title = variant.full_title
        super().__init__(f"Only {available} left of {title}." if available else f"{title} is sold out.", field=field)
        self.variant = variant
        self.line = line
        self.requested = requested
        self.available = available


class Availability(Enum):
    IN_STOCK = "IN_STOCK"
    LOW_STOCK = "LOW_STOCK"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    BACKORDER = "BACKORDER"


# A condition on stock rows: the variant can be bought now.
SELLABLE = ~Q(policy=StockPolicy.DENY) | Q(on_hand__gt=F("reserved"))


def availability(*, stock: Stock) -> Availability:
    """The public availability of a variant. It is coarse, so that it seldom changes and can be cached."""
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
    """The error if the variant has fewer than `quantity` units now; None if it has enough."""
    stock = variant.stock
    if stock.policy != StockPolicy.DENY or stock.available >= quantity:
        return None
    return InsufficientStock(variant=variant, requested=quantity, available=stock.available, line=line, field=field)


def _by_variant(quantities: Mapping[int, int]) -> Any:
    return value_by_key(model=Stock, values=quantities, output_field=IntegerField())


def reserve(*, order: Order, variants: Mapping[ProductVariant, int], now: datetime) -> None:
    """Reserves units for an order, all or none. Raises InsufficientStock for each variant that has too few."""
    quantities = {variant.pk: quantity for variant, quantity in variants.items()}
    held = {stock.pk: stock for stock in locks.stock(variant_ids=quantities)}
    wanted = _by_variant(quantities)
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
    _record_movements(order, quantities, reason=MovementReason.RESERVED, sign=1, now=now)
    moved_to = {it: (held[it.pk], held[it.pk].available - quantity) for it, quantity in variants.items()}
    _queue_low_stock(moved_to, now=now)
    _publish_availability((held[pk], _after_change(held[pk], reserved=quantity)) for pk, quantity in quantities.items())


def _after_change(stock: Stock, *, on_hand: int = 0, reserved: int = 0) -> Stock:
    """A copy of the stock row with so many units added."""
    after = copy(stock)
    after.on_hand, after.reserved = stock.on_hand + on_hand, stock.reserved + reserved
    return after


def _publish_availability(moved: Iterable[tuple[Stock, Stock]]) -> None:
    """Makes a new catalogue version if any public availability changed. Most sales change none."""
    if any(before._state.adding or availability(stock=before) != availability(stock=after) for before, after in moved):
        catalog_version.change()


def _queue_low_stock(moved: Mapping[ProductVariant, tuple[Stock, int]], *, now: datetime) -> None:
    """Queues a webhook for the variants whose available units have just fallen to SHOP_LOW_STOCK or below."""
    low = settings.SHOP_LOW_STOCK
    fell = {
        variant: max(left, 0)
        for variant, (before, left) in moved.items()
        if before.policy != StockPolicy.UNTRACKED and before.available > low >= left
    }
    webhooks.queue_low_stock(available=fell, now=now)


def release(*, order: Order, now: datetime) -> None:
    """Releases an order's reserved units."""
    quantities = _quantities(order)
    held = locks.stock(variant_ids=quantities)
    Stock.objects.filter(pk__in=quantities).update(reserved=F("reserved") - _by_variant(quantities))
    _record_movements(order, quantities, reason=MovementReason.RELEASED, sign=-1, now=now)
    _publish_availability((stock, _after_change(stock, reserved=-quantities[stock.pk])) for stock in held)


def ship(*, order: Order, now: datetime) -> None:
    """Removes an order's reserved units from the warehouse.

    A variant on backorder may ship more units than are on hand; on hand is then zero.
    """
    quantities = _quantities(order)
    held = locks.stock(variant_ids=quantities)
    left = {stock.pk: min(quantities[stock.pk], stock.on_hand) for stock in held}
    Stock.objects.filter(pk__in=quantities).update(
        on_hand=F("on_hand") - _by_variant(left), reserved=F("reserved") - _by_variant(quantities)
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
    _publish_availability(
        (stock, _after_change(stock, on_hand=-left[stock.pk], reserved=-quantities[stock.pk])) for stock in held
    )


def restock(*, order: Order, now: datetime) -> None:
    """Puts a shipped order's units back into the warehouse."""
    quantities = _quantities(order)
    held = locks.stock(variant_ids=quantities)
    Stock.objects.filter(pk__in=quantities).update(on_hand=F("on_hand") + _by_variant(quantities))
    StockMovement.objects.bulk_create(
        StockMovement(variant_id=pk, on_hand_change=quantity, reason=MovementReason.RETURNED, order=order, at=now)
        for pk, quantity in quantities.items()
    )
    _publish_availability((stock, _after_change(stock, on_hand=quantities[stock.pk])) for stock in held)


def _quantities(order: Order) -> dict[int, int]:
    return {line.variant_id: line.quantity for line in order.lines.all()}


def _record_movements(
    order: Order, quantities: Mapping[int, int], *, reason: MovementReason, sign: int, now: datetime
) -> None:
    movements = (
        StockMovement(variant_id=pk, reserved_change=sign * quantity, reason=reason, order=order, at=now)
        for pk, quantity in quantities.items()
    )
    insert(*movements)


def record_count(
    *, variants: Mapping[ProductVariant, tuple[StockPolicy | None, int | None]], actor: User | None, now: datetime
) -> dict[ProductVariant, dict[str, tuple[Any, Any]]]:
    """Sets each variant's policy and counted units on hand; None leaves one as it is. Returns what changed.

    A count below the reserved units is raised to them. Variants without a stock row get one. Call inside a
    transaction. Raises InsufficientStock if a variant on backorder is oversold and its policy becomes DENY.
    """
    held = {stock.pk: stock for stock in locks.stock(variant_ids=(variant.pk for variant in variants))}
    movements, rows, fell, changed = [], [], {}, {}
    for variant, (wanted, counted) in variants.items():
        stock = held.get(variant.pk) or Stock(variant=variant)
        before = {} if stock._state.adding else _column_values(stock)
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
        changed[variant] = change_log.differences(before=before, after=after)
        fell[variant] = copy(stock), on_hand - stock.reserved
        stock.policy, stock.on_hand = policy, on_hand
        rows.append(stock)
    Stock.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["variant"], update_fields=["policy", "on_hand"]
    )
    StockMovement.objects.bulk_create(movements)
    _queue_low_stock(fell, now=now)
    _publish_availability(zip((before for before, _ in fell.values()), rows, strict=True))
    return changed


def _column_values(stock: Stock) -> dict[str, Any]:
    return {"policy": stock.policy, "on_hand": stock.on_hand}


def low_variants(*, at_most: int) -> QuerySet[ProductVariant]:
    """The variants with at most `at_most` units available, each with `available`. Withdrawn, archived and untracked
    variants are left out."""
    counted = ProductVariant.objects.exclude(stock__policy=StockPolicy.UNTRACKED)
    in_use = counted.filter(is_withdrawn=False, product__archived_at=None)
    return in_use.annotate(available=F("stock__on_hand") - F("stock__reserved")).filter(available__lte=at_most)


# ── adjustments by staff ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Adds `delta` units to a variant (negative: removes them) and sets its policy (None: unchanged)."""

    variant_id: int
    delta: int = 0
    policy: StockPolicy | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """`replayed`: an earlier request with the same id made this adjustment."""

    adjustment: StockAdjustment
    replayed: bool


@transaction.atomic(durable=True)
def adjust(*, request_id: str, lines: Sequence[Adjustment], actor: User | None, now: datetime) -> Adjusted:
    """Changes the units on hand, all lines or none. Calls with the same `request_id` adjust once.

    Raises InvalidInput, RequestIdReused; for each invalid line NotFound, or InsufficientStock if fewer units would
    remain than orders have reserved.
    """
    _check_adjustments(request_id, lines)
    asked = [[line.variant_id, line.delta, line.policy, line.note] for line in lines]
    # A concurrent request with the same id waits here until this transaction ends.
    adjustment, is_new = StockAdjustment.objects.get_or_create(
        request_id=request_id, defaults={"asked": asked, "actor": actor, "at": now}
    )
    if not is_new:
        if adjustment.asked != asked:
            raise RequestIdReused("This id was used for another adjustment.", field=["request_id"])
        return Adjusted(adjustment, replayed=True)
    held = {stock.pk: stock for stock in locks.stock(variant_ids={line.variant_id for line in lines})}
    variants = ProductVariant.objects.select_related("product").in_bulk(held.keys())
    _apply_adjustments(lines, held, variants)
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
        change_log.entry(
            row=variants[pk],
            action=ChangeAction.UPDATED,
            fields=change_log.differences(before=_column_values(held[pk]), after=_column_values(stock)),
            actor=actor,
            now=now,
        )
        for pk, stock in moved.items()
    )
    _queue_low_stock({variants[pk]: (held[pk], stock.on_hand - stock.reserved) for pk, stock in moved.items()}, now=now)
    _publish_availability((held[pk], stock) for pk, stock in moved.items())
    return Adjusted(adjustment, replayed=False)


def _check_adjustments(request_id: str, lines: Sequence[Adjustment]) -> None:
    if not 0 < len(request_id) <= 100:
        raise InvalidInput("A request id has from 1 to 100 characters.", field=["request_id"])
    if not 1 <= len(lines) <= MAX_ADJUSTMENTS:
        raise InvalidInput(f"Adjust 1 to {MAX_ADJUSTMENTS} variants at a time.", field=["lines"])
    errors: list[DomainError] = []
    for index, line in enumerate(lines):
        field = ["lines", str(index)]
        if not -MAX_ON_HAND <= line.delta <= MAX_ON_HAND or not (line.delta or line.policy):
            errors.append(InvalidInput(f"Add or remove from 1 to {MAX_ON_HAND} units.", field=[*field, "delta"]))
        if len(line.note) > MAX_NOTE:
            errors.append(InvalidInput(f"A note has at most {MAX_NOTE} characters.", field=[*field, "note"]))
    raise_all(errors=errors)


def _apply_adjustments(
    lines: Sequence[Adjustment], held: Mapping[int, Stock], variants: Mapping[int, ProductVariant]
) -> None:
    """Applies all lines with one conditional update, or raises the reasons why it cannot."""
    deltas: dict[int, int] = {}
    policies: dict[int, StockPolicy] = {}
    for line in lines:
        deltas[line.variant_id] = deltas.get(line.variant_id, 0) + line.delta
        policies |= {line.variant_id: line.policy} if line.policy else {}
    after = F("on_hand") + _by_variant(deltas)
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
        raise_all(errors=list(_adjustment_errors(lines, deltas, policies, held, variants)))


def _adjustment_errors(
    lines: Sequence[Adjustment],
    deltas: Mapping[int, int],
    policies: Mapping[int, StockPolicy],
    held: Mapping[int, Stock],
    variants: Mapping[int, ProductVariant],
) -> Iterator[DomainError]:
    for index, line in enumerate(lines):
        field, stock = ["lines", str(index)], held.get(line.variant_id)
        if stock is None:
            yield NotFound("This product variant does not exist.", field=[*field, "variant_id"])
            continue
        delta = deltas[stock.pk]
        is_denied = policies.get(stock.pk, stock.policy) == StockPolicy.DENY
        left = stock.on_hand - (stock.reserved if is_denied else 0)
        if stock.on_hand + delta > MAX_ON_HAND:
            yield InvalidInput(f"A variant can have at most {MAX_ON_HAND} units.", field=[*field, "delta"])
        elif left + delta < 0:
            # Too few to remove; or, after backorders, too few for the reserved units.
            requested, available = (-delta, max(left, 0)) if delta < 0 else (stock.reserved, stock.on_hand + delta)
            variant = variants[stock.pk]
            yield InsufficientStock(variant=variant, requested=requested, available=available, field=[*field, "delta"])
