"""Computes totals. Pure functions without a database: the same input always gives the same amounts.

Rounding (docs/adr/0013) is half up, to the currency's minor unit, once for the tax of each line and of shipping.
Every other amount is a sum or difference of rounded ones. A discount is rounded as a whole and then split over the
lines that it covers, so that the shares add up to it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_FLOOR, Decimal, localcontext
from enum import Enum
from typing import Any

from domain.base.money import PRECISION, ZERO, quantize, smallest_unit
from storefront.models import DiscountKind

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Rate:
    """A tax rate in percent, with the name that buyers read."""

    name: str = ""
    percent: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Item:
    """A line to price. `key` is a SKU, `title` is for the buyer. `unit_price` is rounded before it is multiplied."""

    key: str
    unit_price: Decimal
    quantity: int
    tax: Rate = Rate()
    title: str = ""


@dataclass(frozen=True, slots=True)
class ShippingCharge:
    """The price of shipping. `label` names the method and the rule."""

    label: str
    price: Decimal
    tax: Rate = Rate()


@dataclass(frozen=True, slots=True)
class Reduction:
    """The effect of a discount code. `value` is a percentage or an amount, taken off the SKUs that it `covers`."""

    code: str
    kind: DiscountKind
    value: Decimal
    covers: frozenset[str]


class StepKind(Enum):
    GOODS = "GOODS"
    DISCOUNT = "DISCOUNT"
    SHIPPING = "SHIPPING"
    TAX = "TAX"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a total: `amount` is added to it (a discount is negative).

    An `included` step is part of earlier amounts and adds nothing. `rate` is a percentage of `base`. `code` is the SKU
    or the discount code.
    """

    kind: StepKind
    label: str
    amount: Decimal
    code: str = ""
    base: Decimal | None = None
    rate: Decimal | None = None
    included: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON data for `Order.price_trace`. Amounts are texts, to keep their decimals."""
        return {
            name: value.value if isinstance(value, Enum) else str(value) if isinstance(value, Decimal) else value
            for name, value in ((field.name, getattr(self, field.name)) for field in fields(self))
        }

    @classmethod
    def from_json(cls, step: dict[str, Any]) -> "Step":
        amounts = {name: Decimal(step[name]) for name in ("amount", "base", "rate") if step[name] is not None}
        return cls(**{**step, **amounts, "kind": StepKind(step["kind"])})


@dataclass(frozen=True, slots=True)
class Amounts:
    """The amounts of a line or of shipping. `listed` - `discount` is `gross` if prices include tax, else `net`."""

    listed: Decimal
    discount: Decimal
    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class Totals:
    """The amounts of a cart or an order. `total` = `net` + `tax` = `subtotal` - `discount` + `shipping` (+ `tax`, if
    prices do not include it)."""

    currency: str
    prices_include_tax: bool
    lines: Mapping[str, Amounts]
    shipping_amounts: Amounts
    trace: tuple[Step, ...]

    @property
    def subtotal(self) -> Decimal:
        return self._sum(line.listed for line in self.lines.values())

    @property
    def discount(self) -> Decimal:
        return self._sum(each.discount for each in self._all)

    @property
    def shipping(self) -> Decimal:
        return self.shipping_amounts.listed

    @property
    def net(self) -> Decimal:
        return self._sum(each.net for each in self._all)

    @property
    def tax(self) -> Decimal:
        return self._sum(each.tax for each in self._all)

    @property
    def total(self) -> Decimal:
        return self.net + self.tax

    @property
    def _all(self) -> Iterable[Amounts]:
        return [*self.lines.values(), self.shipping_amounts]

    def _sum(self, amounts: Iterable[Decimal]) -> Decimal:
        return sum(amounts, quantize(amount=ZERO, currency=self.currency))


def totals(
    *,
    goods: Iterable[Item],
    shipping: ShippingCharge | None = None,
    reductions: Iterable[Reduction] = (),
    currency: str,
    prices_include_tax: bool,
) -> Totals:
    """Computes the totals of goods (each with a key of its own), reductions and shipping.

    Reductions apply in a fixed order: percentages (each on what the one before left), then amounts, then free
    shipping; within a kind by code. So the order in which a buyer enters codes does not matter.
    """
    goods = list(goods)
    listed = {good.key: quantize(amount=good.unit_price, currency=currency) * good.quantity for good in goods}
    trace = [
        Step(
            kind=StepKind.GOODS,
            label=f"{good.quantity} × {good.title}",
            amount=listed[good.key],
            code=good.key,
        )
        for good in goods
    ]
    left = dict(listed)
    ordered = sorted(reductions, key=lambda it: (list(DiscountKind).index(it.kind), it.code))
    for reduction in ordered:
        taken, before = _amounts_off(reduction, left, currency), _sum(left, reduction.covers)
        left = {key: amount - taken.get(key, ZERO) for key, amount in left.items()}
        if taken:
            trace.append(_discount_step(reduction, base=before, taken=before - _sum(left, reduction.covers)))

    price = quantize(amount=shipping.price, currency=currency) if shipping else quantize(amount=ZERO, currency=currency)
    free_by = next((it for it in ordered if it.kind == DiscountKind.FREE_SHIPPING), None)
    off = price if free_by else quantize(amount=ZERO, currency=currency)
    if shipping:
        trace.append(Step(kind=StepKind.SHIPPING, label=shipping.label, amount=price))
    if free_by and off:
        trace.append(_discount_step(free_by, base=price, taken=off))

    taxed = Taxation(currency, prices_include_tax)
    lines = {good.key: taxed.amounts(listed[good.key], left[good.key], good.tax) for good in goods}
    shipping_amounts = taxed.amounts(price, price - off, shipping.tax if shipping else Rate())
    trace += [taxed.step(lines[good.key], good.tax, label=good.title, code=good.key) for good in goods if good.tax.name]
    if shipping and shipping.tax.name and price:
        trace.append(taxed.step(shipping_amounts, shipping.tax, label=shipping.label))
    return Totals(currency, prices_include_tax, lines, shipping_amounts, tuple(trace))


def _sum(amounts: Mapping[str, Decimal], keys: Collection[str]) -> Decimal:
    return sum((amounts[key] for key in keys if key in amounts), ZERO)


def _amounts_off(reduction: Reduction, left: Mapping[str, Decimal], currency: str) -> dict[str, Decimal]:
    """The amounts that a reduction takes off each line that it covers and that is not free already."""
    covered = {key: left[key] for key in reduction.covers if left.get(key)}
    whole = sum(covered.values(), ZERO)
    if not whole or reduction.kind == DiscountKind.FREE_SHIPPING:
        return {}
    amount = reduction.value
    if reduction.kind == DiscountKind.PERCENTAGE:
        with localcontext(prec=PRECISION):
            amount = whole * reduction.value / _HUNDRED
    amount = min(quantize(amount=amount, currency=currency), whole)
    return _shares(amount, covered, smallest_unit(currency=currency)) if amount else {}


def _shares(amount: Decimal, weights: Mapping[str, Decimal], unit: Decimal) -> dict[str, Decimal]:
    """Splits an amount in proportion to weights, in whole units, by the largest remainder method; ties go by key."""
    with localcontext(prec=PRECISION):
        whole = sum(weights.values())
        exact = {key: amount * weight / whole for key, weight in weights.items()}
        shares = {key: share.quantize(unit, ROUND_FLOOR) for key, share in exact.items()}
        units = int((amount - sum(shares.values())) / unit)
        for key in sorted(exact, key=lambda key: (shares[key] - exact[key], key))[:units]:
            shares[key] += unit
    return shares


def _discount_step(reduction: Reduction, *, base: Decimal, taken: Decimal) -> Step:
    percentage = reduction.kind == DiscountKind.PERCENTAGE
    return Step(
        kind=StepKind.DISCOUNT,
        label=f"{reduction.code}: {reduction.kind.label}",
        amount=-taken,
        code=reduction.code,
        base=base if percentage else None,
        rate=reduction.value if percentage else None,
    )


@dataclass(frozen=True, slots=True)
class Taxation:
    """Computes taxes, for prices that include tax (as in Europe) or not (as in the USA)."""

    currency: str
    prices_include_tax: bool

    def amounts(self, listed: Decimal, left: Decimal, rate: Rate) -> Amounts:
        with localcontext(prec=PRECISION):
            if self.prices_include_tax:
                tax = quantize(amount=left * rate.percent / (_HUNDRED + rate.percent), currency=self.currency)
                return Amounts(listed, discount=listed - left, net=left - tax, tax=tax)
            tax = quantize(amount=left * rate.percent / _HUNDRED, currency=self.currency)
            return Amounts(listed, discount=listed - left, net=left, tax=tax)

    def step(self, amounts: Amounts, rate: Rate, *, label: str, code: str = "") -> Step:
        return Step(
            kind=StepKind.TAX,
            label=f"{rate.name} on {label}",
            amount=amounts.tax,
            code=code,
            base=amounts.net,
            rate=rate.percent,
            included=self.prices_include_tax,
        )
