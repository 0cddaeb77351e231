"""A cart with its price: the lines, discounts and rates that it was priced from, and the totals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, UUIDField

from domain.base.money import Exchange
from domain.base.prepared_queries import PreparedQuery, attach
from domain.catalog.catalog_version import Changes
from domain.sales import currency, pricing, promotions, rates_cache, shipping, tax
from domain.sales.promotions import DiscountRefused
from storefront.models import Cart, CartLine, CartState, Checkout, Discount, ShippingMethod

_HAS_CODES = Exists(Cart.discounts.through.objects.filter(cart=OuterRef("pk")))


def _with_rest(carts: QuerySet[Cart]) -> QuerySet[Cart]:
    """The carts with their related rows, whether they have discount codes, and the catalogue's version."""
    return carts.select_related("currency", "user", "checkout").annotate(has_codes=_HAS_CODES, changes=Changes())


_CART = PreparedQuery(lambda cart: _with_rest(Cart.objects.filter(pk=cart)), cart=UUIDField())
_LINES_OF = PreparedQuery(
    lambda cart: CartLine.objects.filter(cart=cart).select_related("variant__product", "variant__stock"),
    cart=UUIDField(),
)
_DISCOUNTS_OF = PreparedQuery(lambda cart: Discount.objects.filter(carts=cart), cart=UUIDField())


@dataclass(frozen=True)
class Quote:
    """A cart's `totals` in the currency of `exchange`, with the unit prices by variant that they are made of.

    `offer` is the chosen shipping method with its price, if it is available. `parcel` is the input for the offers of
    all `methods`. `discounts` reduced the total; `refused` cannot be used. A valid discount that finds nothing left to
    reduce is in neither list, and does not count as used.
    """

    totals: pricing.Totals
    exchange: Exchange
    unit_prices: dict[int, Decimal]
    methods: dict[int, ShippingMethod]
    parcel: shipping.Parcel | None
    offer: shipping.Offer | None
    discounts: list[Discount]
    refused: list[DiscountRefused]

    @cached_property
    def offers(self) -> list[shipping.Offer]:
        """The shipping methods to choose from, with their prices; none as long as there is no address."""
        return shipping.offers(parcel=self.parcel, methods=self.methods) if self.parcel else []


@dataclass(frozen=True)
class PricedCart:
    """A cart read at one moment: its lines, its discounts, and its price at the time `now`.

    `changes` is the catalogue version that the cart was read with; None in a transaction that changes the catalogue
    itself. The price is computed when `quote` is first read. After a change of the cart, load it again.
    """

    cart: Cart
    lines: Sequence[CartLine]
    discounts: Sequence[Discount]
    changes: int | None
    now: datetime

    def __post_init__(self) -> None:
        for line in self.lines:
            line.cart = self.cart
        # So that reading the cart's relations runs no further SQL.
        attach(row=self.cart, name="lines", related=self.lines)
        attach(row=self.cart, name="discounts", related=self.discounts)

    @property
    def checkout(self) -> Checkout | None:
        """The buyer's e-mail, addresses and shipping method; None until `checkout` was called."""
        return getattr(self.cart, "checkout", None)

    @cached_property
    def quote(self) -> Quote:
        """The cart's price."""
        return _compute_quote(self)


def load_priced_cart(*, cart: Cart, now: datetime) -> PricedCart:
    """Reads the cart again as it is now, with everything that its price depends on."""
    return _load(_CART.all(cart=cart.pk)[0], now=now)


def find_priced_cart(*, candidates: QuerySet[Cart], now: datetime) -> PricedCart | None:
    """Reads the first of the candidates; None if there is none."""
    cart = _with_rest(candidates).first()
    return None if cart is None else _load(cart, now=now)


def _load(cart: Any, *, now: datetime) -> PricedCart:
    return PricedCart(
        cart=cart,
        lines=_LINES_OF.all(cart=cart.pk),
        discounts=_DISCOUNTS_OF.all(cart=cart.pk) if cart.has_codes else [],
        changes=cart.changes,
        now=now,
    )


def new_priced_cart(*, cart: Cart, lines: Sequence[CartLine], changes: int | None, now: datetime) -> PricedCart:
    """A cart that this transaction has created with these lines, as `load_priced_cart` would read it.

    `changes` is the catalogue's version that the lines' variants were read with.
    """
    Cart.checkout.related.set_cached_value(cart, None)
    return PricedCart(cart=cart, lines=lines, discounts=[], changes=changes, now=now)


def _compute_quote(priced: PricedCart) -> Quote:
    lines, checkout = priced.lines, priced.checkout
    address = checkout.shipping_address if checkout else None
    exchange = currency.exchange_of(cart=priced.cart)
    prices = currency.unit_prices(variants=[line.variant for line in lines], exchange=exchange)
    rates = rates_cache.rates(changes=priced.changes)
    goods = [
        pricing.Item(
            key=line.variant.sku,
            unit_price=prices[line.variant_id],
            quantity=line.quantity,
            tax=tax.rate(rates=rates.tax, address=address, tax_class_id=line.variant.product.tax_class_id),
            title=line.variant.full_title,
        )
        for line in lines
    ]
    discounts, reductions, refused = _check_discounts(priced, goods, exchange)

    def totals(charge: pricing.ShippingCharge | None) -> pricing.Totals:
        return pricing.totals(
            goods=goods,
            shipping=charge,
            reductions=reductions,
            currency=exchange.currency,
            prices_include_tax=settings.PRICES_INCLUDE_TAX,
        )

    found = totals(None)
    parcel, offer = None, None
    if address:
        worth = found.subtotal - found.discount
        parcel = shipping.Parcel(address, grams=shipping.grams(lines=lines), worth=worth, exchange=exchange)
        chosen = checkout.shipping_method_id if checkout else None
        method = None if chosen is None else rates.shipping_methods.get(chosen)
        offer = shipping.offer(method=method, parcel=parcel) if method else None
    if offer:
        rate = tax.rate(rates=rates.tax, address=address, tax_class_id=offer.method.tax_class_id)
        found = totals(pricing.ShippingCharge(offer.rule, offer.price, rate))
    took = {step.code for step in found.trace if step.kind is pricing.StepKind.DISCOUNT}
    used = [discount for discount in discounts if discount.code in took]
    return Quote(found, exchange, prices, rates.shipping_methods, parcel, offer, used, refused)


def _check_discounts(
    priced: PricedCart, goods: list[pricing.Item], exchange: Exchange
) -> tuple[list[Discount], list[pricing.Reduction], list[DiscountRefused]]:
    """The cart's valid discounts, their reductions, and why the others cannot be used."""
    cart, discounts = priced.cart, priced.discounts
    if not discounts:
        return [], [], []
    email = priced.checkout.email if priced.checkout else ""
    # The uses of a converted cart were counted when it became an order.
    uses = (
        promotions.count_uses(discounts=discounts, user=cart.user, email=email)
        if cart.state == CartState.ACTIVE
        else {}
    )
    covers = promotions.covered_skus(discounts=discounts, lines=priced.lines)
    worth = sum((good.unit_price * good.quantity for good in goods), Decimal(0))
    valid, reductions, refused = [], [], []
    for discount in sorted(discounts, key=lambda it: it.code):
        error = promotions.refusal(
            discount=discount,
            worth=worth,
            covers=covers[discount.pk],
            uses=uses.get(discount.pk, (0, 0)),
            exchange=exchange,
            now=priced.now,
            field=["discount_codes"],
        )
        if error:
            refused.append(error)
        else:
            valid.append(discount)
            reductions.append(promotions.reduction(discount=discount, covers=covers[discount.pk], exchange=exchange))
    return valid, reductions, refused
