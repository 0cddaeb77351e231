"""Discount codes: whether a code applies, to which goods, and how often it was used (counted under the code's lock)."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import ClassVar

from django.db.models import Count, Exists, OuterRef, Q, UUIDField

from domain.base import locks
from domain.base.errors import DomainError
from domain.base.money import Exchange
from domain.catalog.browse import CategoryTree
from domain.sales.pricing import Reduction
from storefront.models import Cart, CartLine, Category, Discount, DiscountKind, DiscountUse, Order, Product, User
from storefront.models.promotions import normalize_code

_CODES_OF_CART = locks.Lock(lambda cart: Discount.objects.filter(carts=cart), cart=UUIDField())


class RefusalReason(Enum):
    """Why a code cannot be used."""

    UNKNOWN = "UNKNOWN"
    NOT_YET = "NOT_YET"
    OVER = "OVER"
    USED_UP = "USED_UP"
    USED_BY_CUSTOMER = "USED_BY_CUSTOMER"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    COVERS_NOTHING = "COVERS_NOTHING"
    TOO_MANY = "TOO_MANY"


# Answers that help to guess codes, or e-mail addresses that used a code. Such attempts are rate limited.
REVEALING = frozenset({RefusalReason.UNKNOWN, RefusalReason.USED_BY_CUSTOMER})

_MESSAGES = {
    RefusalReason.UNKNOWN: "This code does not exist.",
    RefusalReason.NOT_YET: "This code cannot be used yet.",
    RefusalReason.OVER: "This code has expired.",
    RefusalReason.USED_UP: "This code has been used up.",
    RefusalReason.USED_BY_CUSTOMER: "You cannot use this code again.",
    RefusalReason.BELOW_MINIMUM: "The goods in the cart cost less than this code requires.",
    RefusalReason.COVERS_NOTHING: "This code does not apply to anything in the cart.",
    RefusalReason.TOO_MANY: "You cannot use any more codes with this cart.",
}


class DiscountRefused(DomainError):
    """The code cannot be used, because of `reason`. BELOW_MINIMUM has the `minimum` in `currency`."""

    code: ClassVar[str] = "DISCOUNT_REFUSED"

    def __init__(
        self,
        discount_code: str,
        reason: RefusalReason,
        *,
        minimum: Decimal | None = None,
        currency: str = "",
        field: Sequence[str] = (),
    ) -> None:
        super().__init__(_MESSAGES[reason], field=field)
        self.discount_code = discount_code
        self.reason = reason
        self.minimum = minimum
        self.currency = currency


def find(*, codes: Iterable[str]) -> dict[str, Discount]:
    """The active discounts with these codes, by their normalised codes."""
    wanted = {normalize_code(code) for code in codes}
    return {discount.code: discount for discount in Discount.objects.filter(code__in=wanted, is_active=True)}


def lock_codes(*, cart: Cart) -> None:
    """Locks the cart's discounts until the transaction ends, so that their uses can be counted."""
    _CODES_OF_CART.all(cart=cart.pk)


def covered_skus(*, discounts: Collection[Discount], lines: Collection[CartLine]) -> dict[int, frozenset[str]]:
    """For each discount, by its key, the SKUs of the lines that it covers."""
    everything = frozenset(line.variant.sku for line in lines)
    covered = {discount.pk: everything for discount in discounts}
    # Only asks whether a discount is limited to some goods: it may list thousands of them.
    by_product, by_category = (
        Exists(chosen.objects.filter(discount=OuterRef("pk")))
        for chosen in (Discount.products.through, Discount.categories.through)
    )
    limited = list(Discount.objects.filter(by_product | by_category, pk__in=covered).values_list("pk", flat=True))
    if limited:
        chosen = _covered_pairs(limited, {line.variant.product_id for line in lines})
        for pk in limited:
            covered[pk] = frozenset(line.variant.sku for line in lines if (pk, line.variant.product_id) in chosen)
    return covered


def _covered_pairs(discount_ids: Collection[int], product_ids: Collection[int]) -> set[tuple[int, int]]:
    """Pairs of keys (discount, product): the discount lists the product, or a category at or above it."""
    by_product = Discount.products.through.objects.filter(discount__in=discount_ids, product__in=product_ids)
    chosen = set(by_product.values_list("discount_id", "product_id"))
    by_category = Discount.categories.through.objects.filter(discount__in=discount_ids)
    if wanted := list(by_category.values_list("discount_id", "category_id")):
        hangs = Product.categories.through.objects.filter(product__in=product_ids)
        within: dict[int, set[int]] = {}
        for category_id, product_id in hangs.values_list("category_id", "product_id"):
            within.setdefault(category_id, set()).add(product_id)
        tree = CategoryTree()
        for discount_id, category_id in wanted:
            for below in tree.with_descendants(Category(pk=category_id)):
                chosen |= {(discount_id, product_id) for product_id in within.get(below.pk, ())}
    return chosen


def count_uses(*, discounts: Iterable[Discount], user: User | None, email: str) -> dict[int, tuple[int, int]]:
    """How often each discount was used, by key: (by anyone, by this customer). Discounts without limits are left out.

    A customer is recognised by the account, its e-mail, and the e-mails of their checkouts.
    """
    in_all = [it.pk for it in discounts if it.max_uses is not None]
    by_customer = [it.pk for it in discounts if it.max_uses_per_customer is not None]
    if not in_all and not by_customer:
        return {}
    emails = {each for each in (email, user and user.email) if each}
    theirs = Q(email__in=emails) | Q(user__email__in=emails)
    if user:
        theirs |= Q(user=user)
    counted = (
        DiscountUse.objects.filter(Q(discount__in=in_all) | Q(discount__in=by_customer) & theirs, given_back_at=None)
        .order_by()
        .values_list("discount_id")
        .annotate(by_all=Count("pk"), by_them=Count("pk", filter=theirs))
    )
    return {pk: (by_all, by_them) for pk, by_all, by_them in counted}


def refusal(
    *,
    discount: Discount,
    worth: Decimal,
    covers: Collection[str],
    uses: tuple[int, int],
    exchange: Exchange,
    now: datetime,
    field: Sequence[str] = (),
) -> DiscountRefused | None:
    """Why the discount cannot be used for goods that are `worth` so much before discounts; None if it can.

    `worth` is in the exchange's currency. `uses` comes from `count_uses`.
    """
    minimum = None if discount.minimum_total is None else exchange(discount.minimum_total)
    reason = None
    if not discount.is_active:
        reason = RefusalReason.UNKNOWN
    elif discount.starts_at and now < discount.starts_at:
        reason = RefusalReason.NOT_YET
    elif discount.ends_at and now >= discount.ends_at:
        reason = RefusalReason.OVER
    elif over := _over_limit(discount, uses):
        reason = over
    elif minimum is not None and worth < minimum:
        return DiscountRefused(
            discount.code, RefusalReason.BELOW_MINIMUM, minimum=minimum, currency=exchange.currency, field=field
        )
    elif not covers:
        reason = RefusalReason.COVERS_NOTHING
    return DiscountRefused(discount.code, reason, field=field) if reason else None


def reduction(*, discount: Discount, covers: frozenset[str], exchange: Exchange) -> Reduction:
    kind = DiscountKind(discount.kind)
    value = exchange(discount.value) if kind == DiscountKind.FIXED else discount.value
    return Reduction(discount.code, kind, value, covers)


def record_uses(*, order: Order, discounts: Iterable[Discount], now: datetime) -> None:
    """Records a use of each discount. The caller holds their locks and has checked them with `refusal`."""
    DiscountUse.objects.bulk_create(
        DiscountUse(discount=discount, order=order, user_id=order.user_id, email=order.email, used_at=now)
        for discount in discounts
    )


def release_uses(*, order: Order, now: datetime) -> None:
    """Releases the discount uses of a cancelled or expired order. The caller holds the order's lock."""
    DiscountUse.objects.filter(order=order, given_back_at=None).update(given_back_at=now)


def restore_uses(*, order: Order) -> None:
    """Counts the uses of a revived order again. Raises DiscountRefused if a limit no longer allows it.

    The caller holds the order's lock. Dates and minimums are not checked again: they held when it was placed.
    """
    given_back = order.discount_uses.exclude(given_back_at=None)
    discounts = locks.discounts(candidates=Discount.objects.filter(uses__in=given_back))
    counted = count_uses(discounts=discounts, user=order.user, email=order.email)
    for discount in discounts:
        if over := _over_limit(discount, counted.get(discount.pk, (0, 0))):
            raise DiscountRefused(discount.code, over)
    given_back.update(given_back_at=None)


def _over_limit(discount: Discount, uses: tuple[int, int]) -> RefusalReason | None:
    by_all, by_customer = uses
    if discount.max_uses is not None and by_all >= discount.max_uses:
        return RefusalReason.USED_UP
    if discount.max_uses_per_customer is not None and by_customer >= discount.max_uses_per_customer:
        return RefusalReason.USED_BY_CUSTOMER
    return None
