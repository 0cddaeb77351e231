"""Products as staff see and write them: drafts and what is archived, with versions and stock."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.conf import settings

from domain.catalog import browse, products
from domain.catalog.drafts import KEEP, ProductDraft, Revision, VariantDraft
from domain.catalog.search import understand
from schema.base import crud, ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError
from schema.base.loading import load, load_nodes
from schema.base.scalars import Money
from schema.shop.catalog import Category, Image
from schema.shop.product_filters import Id, ProductFilter, Slug, decoded, one
from schema.staff.tax import TaxClass
from storefront import models

expose(
    browse.ProductState,
    "Whether buyers see a product, and why not.",
    DRAFT="Not published.",
    SCHEDULED="To be published later.",
    PUBLISHED="For sale.",
    ARCHIVED="Withdrawn for good, and left out of lists unless asked for.",
)
expose(models.StockPolicy, "What happens when none is left.")
_LAST_CHANGED, _BEST_MATCH = Keyset("-updated_at", "id"), Keyset("-score", "id")
_IN_USE = (browse.ProductState.DRAFT, browse.ProductState.SCHEDULED, browse.ProductState.PUBLISHED)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Stock, description="How many units of a variant there are.")
class Stock:
    on_hand: int = strawberry_django.field(description="Units in the warehouse.")
    reserved: int = strawberry_django.field(description="Units of them that orders wait for.")
    available: int = strawberry_django.field(description="Units that can still be promised.")
    policy: models.StockPolicy = strawberry_django.field(description="What happens when none is left.")


@strawberry_django.type(models.ProductVariant, description="A variant with its stock; its `id` is `ProductVariant.id`.")
class StaffProductVariant(ids.Node):
    sku: str = strawberry_django.field(description="The shop's own article number; unique.")
    product: "StaffProduct" = strawberry_django.field(description="What it is a variant of.")
    title: str = strawberry_django.field(description='The options chosen: "M / Sand".')
    image: Image | None = strawberry_django.field(description="Its own picture; null when the product's will do.")
    barcode: str = strawberry_django.field(description="GTIN as printed; may be empty.")
    weight_grams: int | None = strawberry_django.field(description="Null when unknown.")
    is_withdrawn: bool = strawberry_django.field(description="Whether it is no longer shown, nor sold.")
    stock: Stock = strawberry_django.field(description="How many there are.")

    @strawberry_django.field(description="In the order of `StaffProduct.optionNames`.")
    def options(self: Any) -> list[str]:
        return list(self.option_values)

    @strawberry_django.field(description="Of one unit, in the shop's currency.")
    def price(self: Any) -> Money:
        return Money.of(self.price, settings.SHOP_CURRENCY)

    @strawberry_django.field(description="What it cost before, or elsewhere; null when there is nothing to compare.")
    def compare_at_price(self: Any) -> Money | None:
        return None if self.compare_at_price is None else Money.of(self.compare_at_price, settings.SHOP_CURRENCY)


@strawberry_django.type(models.Product, description="A product with what staff need of it; its `id` is `Product.id`.")
class StaffProduct(ids.Versioned):
    slug: str = strawberry_django.field(description="Unique; for addresses.")
    title: str = strawberry_django.field(description="What the buyer reads.")
    description_html: str = strawberry_django.field(description="Sanitised HTML; may be empty.")
    vendor: str = strawberry_django.field(description="Who makes it; may be empty.")
    product_type: str = strawberry_django.field(description="What kind of thing it is; may be empty.")
    option_names: list[str] = strawberry_django.field(description="Up to three: what tells its variants apart.")
    tax_class: TaxClass | None = strawberry_django.field(description="Null: standard.")
    categories: list[Category] = strawberry_django.field(description="Where it hangs in the tree.")
    images: list[Image] = strawberry_django.field(description="In the shop's order.")
    variants: list[StaffProductVariant] = strawberry_django.field(description="All, also those that are withdrawn.")
    published_at: datetime | None = strawberry_django.field(description="Since, or from, when it is for sale.")
    archived_at: datetime | None = strawberry_django.field(description="Since when it is archived.")
    created_at: datetime = strawberry_django.field(description="When it was made.")
    updated_at: datetime = strawberry_django.field(description="When it was last changed.")

    @strawberry_django.field(description="Whether buyers see it.")
    def state(self: Any, info: Info) -> browse.ProductState:
        return browse.state(product=self, now=info.context.now)

    @strawberry_django.field(prefetch_related=["tags"], description="In alphabetical order.")
    def tags(self: Any) -> list[str]:
        return [tag.name for tag in self.tags.all()]


@strawberry.type(description="A page of products.")
class StaffProductConnection(Connection[StaffProduct]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(
    description="A variant: the one with the `id`, else the product's one of that SKU, else a new one, which needs "
    "`sku` and `price`. What is left out stays."
)
class VariantInput:
    id: strawberry.ID | None = strawberry.field(default=None, description="`ProductVariant.id`.")
    sku: str | None = strawberry.field(default=strawberry.UNSET, description="Unique in the shop; 100 characters.")
    options: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="A value for each of the product's `optionNames`, in their order."
    )
    price: Decimal | None = strawberry.field(default=strawberry.UNSET, description="In the shop's currency.")
    compare_at_price: Decimal | None = strawberry.field(default=strawberry.UNSET, description="Null: none.")
    weight_grams: int | None = strawberry.field(default=strawberry.UNSET, description="Null: unknown.")
    barcode: str | None = strawberry.field(default=strawberry.UNSET, description="GTIN; 50 characters.")
    is_withdrawn: bool | None = strawberry.field(default=strawberry.UNSET, description="No longer shown, nor sold.")
    policy: models.StockPolicy | None = strawberry.field(
        default=strawberry.UNSET, description="DENY unless said, for a new one."
    )
    on_hand: int | None = strawberry.field(
        default=strawberry.UNSET, description="Units in the warehouse, of a new one; `adjustStock` is for the others."
    )


@strawberry.input(description="What a product is; what is left out stays, or is empty.")
class ProductParts:
    slug: str | None = strawberry.field(
        default=strawberry.UNSET, description="Unique; letters, digits, - and _. A new one has one of its title."
    )
    description_html: str | None = strawberry.field(
        default=strawberry.UNSET, description="HTML; what could run is taken out."
    )
    vendor: str | None = strawberry.field(default=strawberry.UNSET, description="200 characters.")
    product_type: str | None = strawberry.field(default=strawberry.UNSET, description="200 characters.")
    tax_class_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Null: standard.")
    tags: list[str] | None = strawberry.field(default=strawberry.UNSET, description="All that it shall have.")
    category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="All that it shall hang on."
    )
    option_names: list[str] | None = strawberry.field(default=strawberry.UNSET, description='Up to three: "Size".')
    is_published: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether it is for sale.")


@strawberry.input(description="A new product. Sent again it is refused, since its slug is taken then.")
class CreateProductInput(ProductParts):
    title: str = strawberry.field(description="What the buyer reads; 300 characters.")
    variants: list[VariantInput] = strawberry.field(description="One at least, 500 at most.")


@strawberry.input(description="What becomes of a product. What is left out stays.")
class UpdateProductInput(ProductParts):
    id: strawberry.ID = strawberry.field(description="`Product.id`.")
    version: int | None = strawberry.field(default=None, description=crud.SEEN)
    title: str | None = strawberry.field(default=strawberry.UNSET, description="What the buyer reads; 300 characters.")
    is_archived: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Archived, it is withdrawn; publishing it takes it out again."
    )
    variants: list[VariantInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Those to change and to add; the others stay."
    )
    delete_variant_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Never in a cart or an order, without a stock movement; else IN_USE."
    )


@strawberry.input(description="What becomes of many products alike. What is left out stays.")
class UpdateProductsInput:
    ids: list[strawberry.ID] = strawberry.field(description="`Product.id` of 1 to 100.")
    vendor: str | None = strawberry.field(default=strawberry.UNSET, description="200 characters.")
    product_type: str | None = strawberry.field(default=strawberry.UNSET, description="200 characters.")
    is_published: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether they are for sale.")
    is_archived: bool | None = strawberry.field(default=strawberry.UNSET, description="Whether they are archived.")
    add_tags: list[str] | None = strawberry.field(default=strawberry.UNSET, description="Beside those they have.")
    remove_tags: list[str] | None = strawberry.field(default=strawberry.UNSET, description="Where they have them.")
    add_category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Beside those they hang on."
    )
    remove_category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Where they hang on them."
    )


# What null says, where it does not leave a part as it is.
_TEXTS = ("slug", "title", "description_html", "vendor", "product_type", "sku", "barcode")
_OF_NULL: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, ""),
    **dict.fromkeys(("tags", "option_names", "options"), ()),
    **dict.fromkeys(("price", "compare_at_price", "weight_grams"), None),
}


def _parts(given: Any, *names: str) -> dict[str, Any]:
    """What a draft is made of: a list that is null is empty, so is a text; a switch that is null stays as it is."""
    values = {name: value for name, value in vars(given).items() if name in names and value is not strawberry.UNSET}
    return {name: _part(name, value) for name, value in values.items()}


def _part(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return _OF_NULL.get(name, KEEP) if value is None else value


def _keys(given: Any, name: str, type_name: str) -> tuple[int, ...] | None:
    """The keys of a list of ids; None where it was left out."""
    listed = getattr(given, name, strawberry.UNSET)
    if listed is strawberry.UNSET:
        return None
    return tuple(ids.number(each, type_name, field=[name, str(at)]) for at, each in enumerate(listed or ()))


def _variant(given: VariantInput, index: int) -> VariantDraft:
    names = ("sku", "options", "price", "compare_at_price", "weight_grams", "barcode", "is_withdrawn", "policy")
    field = ["variants", str(index), "id"]
    key = None if given.id is None else ids.number(given.id, "ProductVariant", field=field)
    return VariantDraft(key=key, **_parts(given, *names, "on_hand"))


def _draft(given: CreateProductInput | UpdateProductInput) -> ProductDraft:
    names = ("slug", "title", "description_html", "vendor", "product_type", "tags", "option_names")
    values = _parts(given, *names, "is_published", "is_archived")
    if isinstance(given, CreateProductInput) and not given.slug:
        values.pop("slug", None)
    if given.tax_class_id is not strawberry.UNSET:
        named = given.tax_class_id
        values["tax_class_id"] = named and ids.number(named, "TaxClass", field=["tax_class_id"])
    categories = _keys(given, "category_ids", "Category")
    return ProductDraft(
        categories=KEEP if categories is None else categories,
        variants=tuple(_variant(each, index) for index, each in enumerate(given.variants or ())),
        delete_variants=_keys(given, "delete_variant_ids", "ProductVariant") or (),
        **values,
    )


def _revision(given: UpdateProductsInput) -> Revision:
    return Revision(
        add_tags=tuple(given.add_tags or ()),
        remove_tags=tuple(given.remove_tags or ()),
        add_categories=_keys(given, "add_category_ids", "Category") or (),
        remove_categories=_keys(given, "remove_category_ids", "Category") or (),
        **_parts(given, "vendor", "product_type", "is_published", "is_archived"),
    )


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The product as it is now, or why nothing was done.")
class ProductPayload:
    key: strawberry.Private[int | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(graphql_type=StaffProduct | None, description="Null when nothing was done.")
    def product(self, info: Info) -> models.Product | None:
        return None if self.key is None else load(models.Product.objects.filter(pk=self.key), info).first()


@strawberry.type(description="The products as they are now, or why nothing was done.")
class ProductsPayload:
    keys: strawberry.Private[tuple[int, ...]] = ()
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was done; empty on success."
    )

    @strawberry.field(graphql_type=list[StaffProduct], description="Empty when nothing was done.")
    def products(self, info: Info) -> list[models.Product]:
        return list(load(models.Product.objects.filter(pk__in=self.keys).order_by("pk"), info)) if self.keys else []


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ProductQuery:
    @strawberry.field(
        description="For staff who may view products: all of them, the last changed first, or as a search matches."
    )
    def staff_products(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[str | None, strawberry.argument(description="Words, or a SKU.")] = None,
        filter: Annotated[ProductFilter | None, strawberry.argument(description="Which ones.")] = None,
        states: Annotated[
            list[browse.ProductState] | None,
            strawberry.argument(description="One of these; without it, all but those that are archived."),
        ] = None,
    ) -> StaffProductConnection:
        info.context.allow("view_product")
        question = understand(text=search) if search and search.strip() else None
        rows = browse.of_staff(
            filter=decoded(filter or ProductFilter(), info),
            states=_IN_USE if states is None else states,
            question=question,
            now=info.context.now,
        )
        page = Page(
            rows,
            _BEST_MATCH if question else _LAST_CHANGED,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return StaffProductConnection(page=page)

    @strawberry.field(
        graphql_type=StaffProduct | None,
        description="For staff who may view products: one by id or by slug, in any state; null: none.",
    )
    def staff_product(self, info: Info, id: Id = None, slug: Slug = None) -> models.Product | None:
        info.context.allow("view_product")
        return load(one(models.Product.objects.all(), "Product", id, slug), info).first()


@strawberry.type
class ProductMutation:
    @strawberry.mutation(
        description="For staff: makes a product with its variants and their stock. Errors: INVALID, NOT_FOUND."
    )
    def create_product(self, info: Info, input: CreateProductInput) -> ProductPayload:
        info.context.allow("add_product")
        with Refusals(info) as errors:
            draft = _draft(input)
            product = products.create(draft=draft, actor=info.context.user, now=info.context.now)
            return ProductPayload(key=product.pk)
        return ProductPayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: changes a product and its variants, all or nothing. "
        "Errors: INVALID, NOT_FOUND, STALE_VERSION, IN_USE, INSUFFICIENT_STOCK."
    )
    def update_product(self, info: Info, input: UpdateProductInput) -> ProductPayload:
        info.context.allow("change_product")
        with Refusals(info) as errors:
            key, draft = ids.number(input.id, "Product", field=["id"]), _draft(input)
            products.update(
                product_id=key, version=input.version, draft=draft, actor=info.context.user, now=info.context.now
            )
            return ProductPayload(key=key)
        return ProductPayload(user_errors=errors)

    @strawberry.mutation(description="For staff: changes many products alike, all or none. Errors: INVALID, NOT_FOUND.")
    def update_products(self, info: Info, input: UpdateProductsInput) -> ProductsPayload:
        info.context.allow("change_product")
        with Refusals(info) as errors:
            keys = _keys(input, "ids", "Product") or ()
            products.update_many(
                product_ids=keys, revision=_revision(input), actor=info.context.user, now=info.context.now
            )
            return ProductsPayload(keys=keys)
        return ProductsPayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: deletes a product that was never in a cart or an order, whose stock never moved and "
        "that no discount covers; any other is archived instead. Errors: NOT_FOUND, STALE_VERSION, IN_USE."
    )
    def delete_product(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        info.context.allow("delete_product")
        with Refusals(info) as errors:
            key = ids.number(input.id, "Product", field=["id"])
            products.delete(product_id=key, version=input.version, actor=info.context.user, now=info.context.now)
            return crud.DeletePayload(deleted_id=input.id)
        return crud.DeletePayload(user_errors=errors)
