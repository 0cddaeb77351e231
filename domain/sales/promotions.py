"""Discount codes: whether one counts, of what, and how often it did. A use is counted under the code's lock."""

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
from storefront.models.promotions import normal_code

_OF_CART = locks.Lock(lambda cart: Discount.objects.filter(carts=cart), cart=UUIDField())


class Refusal(Enum):
    """Why a code does not count."""

    UNKNOWN = "UNKNOWN"
    NOT_YET = "NOT_YET"
    OVER = "OVER"
    USED_UP = "USED_UP"
    USED_BY_CUSTOMER = "USED_BY_CUSTOMER"
    BELOW_MINIMUM = "BELOW_MINIMUM"
    COVERS_NOTHING = "COVERS_NOTHING"
    TOO_MANY = "TOO_MANY"


# What somebody learns from who tries codes, or e-mails with a code: such attempts are counted.
TELLING = frozenset({Refusal.UNKNOWN, Refusal.USED_BY_CUSTOMER})

_WORDS = {
    Refusal.UNKNOWN: "There is no such code.",
    Refusal.NOT_YET: "This code cannot be used yet.",
    Refusal.OVER: "This code is over.",
    Refusal.USED_UP: "This code has been used up.",
    Refusal.USED_BY_CUSTOMER: "You have used this code as often as it can be.",
    Refusal.BELOW_MINIMUM: "The goods do not cost enough for this code.",
    Refusal.COVERS_NOTHING: "This code covers nothing in the cart.",
    Refusal.TOO_MANY: "No further code can be used.",
}


class DiscountRefused(DomainError):
    """The code does not count: `reason`. BELOW_MINIMUM comes with the `minimum` in `currency`."""

    code: ClassVar[str] = "DISCOUNT_REFUSED"

    def __init__(
        self,
        discount_code: str,
        reason: Refusal,
        *,
        minimum: Decimal | None = None,
        currency: str = "",
        field: Sequence[str] = (),
    ) -> None:
        super().__init__(_WORDS[reason], field=field)
        self.discount_code = discount_code
        self.reason = reason
        self.minimum = minimum
        self.currency = currency


def found(*, codes: Iterable[str]) -> dict[str, Discount]:
    """The discounts that are offered, by their codes as stored."""
    wanted = {normal_code(code) for code in codes}
    return {discount.code: discount for discount in Discount.objects.filter(code__in=wanted, is_active=True)}


def lock_of(*, cart: Cart) -> None:
    """Takes the right to count uses of the cart's codes, by primary key, until the transaction ends."""
    _OF_CART.all(cart=cart.pk)


def coverage(*, discounts: Collection[Discount], lines: Collection[CartLine]) -> dict[int, frozenset[str]]:
    """The SKUs of the lines that each of the discounts covers, by its key."""
    everything = frozenset(line.variant.sku for line in lines)
    covered = {discount.pk: everything for discount in discounts}
    # Whether they are choosy about goods; not about which, of which there may be thousands.
    by_product, by_category = (
        Exists(chosen.objects.filter(discount=OuterRef("pk")))
        for chosen in (Discount.products.through, Discount.categories.through)
    )
    choosy = list(Discount.objects.filter(by_product | by_category, pk__in=covered).values_list("pk", flat=True))
    if choosy:
        chosen = _chosen(choosy, {line.variant.product_id for line in lines})
        for pk in choosy:
            covered[pk] = frozenset(line.variant.sku for line in lines if (pk, line.variant.product_id) in chosen)
    return covered


def _chosen(discount_ids: Collection[int], product_ids: Collection[int]) -> set[tuple[int, int]]:
    """Which of the discounts covers which of the products, by itself or by a category above it."""
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
            for below in tree.with_all_below(Category(pk=category_id)):
                chosen |= {(discount_id, product_id) for product_id in within.get(below.pk, ())}
    return chosen


def uses_by(*, discounts: Iterable[Discount], user: User | None, email: str) -> dict[int, tuple[int, int]]:
    """How often each has been used: by anyone, of those that are limited in all; and by this customer, who is known
    by the account, its e-mail and those of checkouts. Discounts without limits are not counted."""
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
    """Why the discount does not count for goods that are `worth` so much before discounts; None if it does."""
    minimum = None if discount.minimum_total is None else exchange(discount.minimum_total)
    reason = None
    if not discount.is_active:
        reason = Refusal.UNKNOWN
    elif discount.starts_at and now < discount.starts_at:
        reason = Refusal.NOT_YET
    elif discount.ends_at and now >= discount.ends_at:
        reason = Refusal.OVER
    elif over := _over_limit(discount, uses):
        reason = over
    elif minimum is not None and worth < minimum:
        return DiscountRefused(
            discount.code, Refusal.BELOW_MINIMUM, minimum=minimum, currency=exchange.currency, field=field
        )
    elif not covers:
        reason = Refusal.COVERS_NOTHING
    return DiscountRefused(discount.code, reason, field=field) if reason else None


def reduction(*, discount: Discount, covers: frozenset[str], exchange: Exchange) -> Reduction:
    kind = DiscountKind(discount.kind)
    value = exchange(discount.value) if kind == DiscountKind.FIXED else discount.value
    return Reduction(discount.code, kind, value, covers)


def take(*, order: Order, discounts: Iterable[Discount], now: datetime) -> None:
    """Counts a use of each. The caller holds their locks and has found that they count."""
    DiscountUse.objects.bulk_create(
        DiscountUse(discount=discount, order=order, user_id=order.user_id, email=order.email, used_at=now)
        for discount in discounts
    )


def give_back(*, order: Order, now: datetime) -> None:
    """An order that is given up no longer counts. The caller holds the order's lock."""
    DiscountUse.objects.filter(order=order, given_back_at=None).update(given_back_at=now)


def take_again(*, order: Order) -> None:
    """Counts the uses of an order that comes back. Raises DiscountRefused if a limit no longer allows it.

    The caller holds the order's lock. Dates and minimums held when it was placed, and are not asked again.
    """
    given_back = order.discount_uses.exclude(given_back_at=None)
    discounts = locks.discounts(candidates=Discount.objects.filter(uses__in=given_back))
    counted = uses_by(discounts=discounts, user=order.user, email=order.email)
    for discount in discounts:
        if over := _over_limit(discount, counted.get(discount.pk, (0, 0))):
            raise DiscountRefused(discount.code, over)
    given_back.update(given_back_at=None)


def _over_limit(discount: Discount, uses: tuple[int, int]) -> Refusal | None:
    by_all, by_customer = uses
    if discount.max_uses is not None and by_all >= discount.max_uses:
        return Refusal.USED_UP
    if discount.max_uses_per_customer is not None and by_customer >= discount.max_uses_per_customer:
        return Refusal.USED_BY_CUSTOMER
    return None
