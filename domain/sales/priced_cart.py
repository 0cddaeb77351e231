"""What a cart costs now, and why: prices, discounts, shipping and tax brought together for `domain.sales.pricing`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, UUIDField

from domain.base.money import Exchange
from domain.base.prepared_queries import Statement, attach
from domain.catalog.catalog_version import Changes
from domain.sales import currency, pricing, promotions, rates_cache, shipping, tax
from domain.sales.promotions import DiscountRefused
from storefront.models import Cart, CartLine, CartState, Discount, ShippingMethod

# What `quote` reads of a cart: for `select_related` and `prefetch_related`.
RELATED = ("currency", "user", "checkout")
_LINES = CartLine.objects.select_related("variant__product", "variant__stock")
PREFETCHED = (Prefetch("lines", _LINES), "discounts")
# The same of one cart.
_HAS_CODES = Exists(Cart.discounts.through.objects.filter(cart=OuterRef("pk")))
_CART = Statement(
    lambda cart: (
        Cart.objects.filter(pk=cart).select_related(*RELATED).annotate(has_codes=_HAS_CODES, changes=Changes())
    ),
    cart=UUIDField(),
)
_LINES_OF = Statement(lambda cart: _LINES.filter(cart=cart), cart=UUIDField())
_DISCOUNTS_OF = Statement(lambda cart: Discount.objects.filter(carts=cart), cart=UUIDField())


@dataclass(frozen=True)
class Quote:
    """A cart's `totals` in the currency of `exchange`, and the unit prices by variant that they are made of.

    `offer` is the chosen way of shipping, if it can be had; `parcel` is what further ones of `methods` are asked for.
    `discounts` took something off. Those that do not count are `refused`; one that counts may still find nothing
    left to take, and is not used up by it.
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
        """What can be chosen to send the cart by; nothing as long as there is no address."""
        return shipping.offers(parcel=self.parcel, methods=self.methods) if self.parcel else []


def load(*, cart: Cart) -> Cart:
    """The cart as it is now, with all that its quote depends on."""
    loaded: Any = _CART.all(cart=cart.pk)[0]
    return _with(loaded, _LINES_OF.all(cart=cart.pk), _DISCOUNTS_OF.all(cart=cart.pk) if loaded.has_codes else [])


def new(*, cart: Cart, lines: Sequence[CartLine], changes: int | None) -> Cart:
    """A cart that was begun just now, as `load` would read it: with these lines, and nothing else; `changes` are those
    of the catalogue that the lines' variants were read from."""
    Cart.checkout.related.set_cached_value(cart, None)
    vars(cart)["changes"] = changes
    return _with(cart, lines, [])


def _with(cart: Cart, lines: Sequence[CartLine], discounts: Sequence[Discount]) -> Cart:
    for line in lines:
        line.cart = cart
    attach(row=cart, name="lines", related=lines)
    attach(row=cart, name="discounts", related=discounts)
    return cart


def quote(*, cart: Cart, now: datetime) -> Quote:
    """What a cart costs that was loaded; worked out once, and true as long as nothing of it is changed."""
    if "_quote" not in vars(cart):
        vars(cart)["_quote"] = _worked_out(cart, now=now)
    found: Quote = vars(cart)["_quote"]
    return found


def _worked_out(cart: Cart, *, now: datetime) -> Quote:
    lines = list(cart.lines.all())
    checkout = getattr(cart, "checkout", None)
    address = checkout.shipping_address if checkout else None
    exchange = currency.exchange_of(cart=cart)
    prices = currency.unit_prices(variants=[line.variant for line in lines], exchange=exchange)
    rates, methods = rates_cache.of(cart=cart)
    goods = [
        pricing.Good(
            key=line.variant.sku,
            unit_price=prices[line.variant_id],
            quantity=line.quantity,
            tax=tax.rate(rates=rates, address=address, tax_class_id=line.variant.product.tax_class_id),
        )
        for line in lines
    ]
    discounts, reductions, refused = _judged(cart, goods, exchange, now=now)

    def totals(carriage: pricing.Carriage | None) -> pricing.Totals:
        return pricing.totals(
            goods=goods,
            carriage=carriage,
            reductions=reductions,
            currency=exchange.currency,
            prices_include_tax=settings.PRICES_INCLUDE_TAX,
        )

    found = totals(None)
    parcel, offer = None, None
    if address:
        worth = found.subtotal - found.discount
        parcel = shipping.Parcel(address, grams=shipping.grams(lines=lines), worth=worth, exchange=exchange)
        method = methods.get(checkout.shipping_method_id) if checkout else None
        offer = shipping.offer(method=method, parcel=parcel) if method else None
    if offer:
        rate = tax.rate(rates=rates, address=address, tax_class_id=offer.method.tax_class_id)
        found = totals(pricing.Carriage(offer.rule, offer.price, rate))
    took = {step.code for step in found.trace if step.kind is pricing.StepKind.DISCOUNT}
    used = [discount for discount in discounts if discount.code in took]
    return Quote(found, exchange, prices, methods, parcel, offer, used, refused)


def _judged(
    cart: Cart, goods: list[pricing.Good], exchange: Exchange, *, now: datetime
) -> tuple[list[Discount], list[pricing.Reduction], list[DiscountRefused]]:
    """The cart's discounts that count, what they take off, and why the others do not."""
    discounts = list(cart.discounts.all())
    if not discounts:
        return [], [], []
    checkout = getattr(cart, "checkout", None)
    email = checkout.email if checkout else ""
    # A cart that became an order has had its uses.
    uses = (
        promotions.uses_by(discounts=discounts, user=cart.user, email=email) if cart.state == CartState.ACTIVE else {}
    )
    covers = promotions.coverage(discounts=discounts, lines=list(cart.lines.all()))
    worth = sum((good.unit_price * good.quantity for good in goods), Decimal(0))
    kept, reductions, refused = [], [], []
    for discount in sorted(discounts, key=lambda it: it.code):
        why_not = promotions.refusal(
            discount=discount,
            worth=worth,
            covers=covers[discount.pk],
            uses=uses.get(discount.pk, (0, 0)),
            exchange=exchange,
            now=now,
            field=["discount_codes"],
        )
        if why_not:
            refused.append(why_not)
        else:
            kept.append(discount)
            reductions.append(promotions.reduction(discount=discount, covers=covers[discount.pk], exchange=exchange))
    return kept, reductions, refused
