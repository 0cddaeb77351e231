"""Products for staff: in every state, with versions and stock, and the mutations that change them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.conf import settings

from domain.catalog import browse, products
from domain.catalog.drafts import KEEP, BulkUpdate, ProductDraft, VariantDraft
from domain.catalog.search import parse_query
from schema.base import crud, ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import Refusals, UserError
from schema.base.loading import load, load_nodes
from schema.base.scalars import Money
from schema.shop.catalog import Category, Image
from schema.shop.product_filters import Id, ProductFilter, Slug, by_id_or_slug, decode_filter
from schema.staff.tax import TaxClass
from storefront import models

expose(
    browse.ProductState,
    "Whether buyers can see a product, and why not.",
    DRAFT="Not published.",
    SCHEDULED="To be published at a later time.",
    PUBLISHED="Visible and for sale.",
    ARCHIVED="No longer sold, and hidden from lists unless requested.",
)
expose(models.StockPolicy, "What happens when a variant is sold out.")
_LAST_CHANGED, _BEST_MATCH = Keyset("-updated_at", "id"), Keyset("-score", "id")
_IN_USE = (browse.ProductState.DRAFT, browse.ProductState.SCHEDULED, browse.ProductState.PUBLISHED)

# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Stock, description="The stock of a variant.")
class Stock:
    on_hand: int = strawberry_django.field(description="Units in the warehouse.")
    reserved: int = strawberry_django.field(description="Units in the warehouse that are reserved for orders.")
    available: int = strawberry_django.field(description="Units that can be sold: `onHand` - `reserved`.")
    policy: models.StockPolicy = strawberry_django.field(description="What happens when the variant is sold out.")


@strawberry_django.type(
    models.ProductVariant, description="A variant with its stock, for staff. Its `id` is that of `ProductVariant`."
)
class StaffProductVariant(ids.Node):
    sku: str = strawberry_django.field(description="Stock keeping unit; unique.")
    product: "StaffProduct" = strawberry_django.field(description="The product of the variant.")
    title: str = strawberry_django.field(description='The option values: "M / Sand".')
    image: Image | None = strawberry_django.field(
        description="The variant's own image; null if it has none. Then the product's first image is shown."
    )
    barcode: str = strawberry_django.field(description="GTIN as printed; may be empty.")
    weight_grams: int | None = strawberry_django.field(description="Weight in grams; null if unknown.")
    is_withdrawn: bool = strawberry_django.field(
        description="Whether the variant is withdrawn: hidden from buyers and no longer sold."
    )
    stock: Stock = strawberry_django.field(description="The stock of the variant.")

    @strawberry_django.field(description="The option values, in the order of `StaffProduct.optionNames`.")
    def options(self: Any) -> list[str]:
        return list(self.option_values)

    @strawberry_django.field(description="Price of one unit, in the shop's currency.")
    def price(self: Any) -> Money:
        return Money.of(self.price, settings.SHOP_CURRENCY)

    @strawberry_django.field(description="Earlier or recommended price of one unit; null if there is none.")
    def compare_at_price(self: Any) -> Money | None:
        return None if self.compare_at_price is None else Money.of(self.compare_at_price, settings.SHOP_CURRENCY)


@strawberry_django.type(
    models.Product, description="A product with what staff need of it. Its `id` is that of `Product`."
)
class StaffProduct(ids.Versioned):
    slug: str = strawberry_django.field(description="Unique name for URLs.")
    title: str = strawberry_django.field(description="The title that buyers see.")
    description_html: str = strawberry_django.field(description="Sanitised HTML; may be empty.")
    vendor: str = strawberry_django.field(description="Manufacturer or brand; may be empty.")
    product_type: str = strawberry_django.field(description='Kind of product, such as "Shirt"; may be empty.')
    option_names: list[str] = strawberry_django.field(
        description="The names of up to three options that distinguish the variants."
    )
    tax_class: TaxClass | None = strawberry_django.field(description="The tax class; null for the standard one.")
    categories: list[Category] = strawberry_django.field(description="The categories of the product.")
    images: list[Image] = strawberry_django.field(description="The images, in the shop's order.")
    variants: list[StaffProductVariant] = strawberry_django.field(description="All variants, including withdrawn ones.")
    published_at: datetime | None = strawberry_django.field(
        description="When the product was or will be published; null for a draft."
    )
    archived_at: datetime | None = strawberry_django.field(
        description="When the product was archived; null if it is not archived."
    )
    created_at: datetime = strawberry_django.field(description="When the product was created.")
    updated_at: datetime = strawberry_django.field(description="When the product was last changed.")

    @strawberry_django.field(description="Whether buyers can see the product.")
    def state(self: Any, info: Info) -> browse.ProductState:
        return browse.state(product=self, now=info.context.now)

    @strawberry_django.field(prefetch_related=["tags"], description="The tags, in alphabetical order.")
    def tags(self: Any) -> list[str]:
        return [tag.name for tag in self.tags.all()]


@strawberry.type(description="A page of products.")
class StaffProductConnection(Connection[StaffProduct]):
    pass


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────


@strawberry.input(
    description="A variant: the one with this `id`; without an id, the product's variant with this SKU; otherwise a "
    "new one, which needs `sku` and `price`. Omitted fields stay unchanged."
)
class VariantInput:
    id: strawberry.ID | None = strawberry.field(default=None, description="`ProductVariant.id`.")
    sku: str | None = strawberry.field(
        default=strawberry.UNSET, description="Unique in the shop, at most 100 characters."
    )
    options: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="One value for each of the product's `optionNames`, in the same order."
    )
    price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Price of one unit, in the shop's currency."
    )
    compare_at_price: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="Earlier or recommended price; null for none."
    )
    weight_grams: int | None = strawberry.field(
        default=strawberry.UNSET, description="Weight in grams; null if unknown."
    )
    barcode: str | None = strawberry.field(default=strawberry.UNSET, description="GTIN, at most 50 characters.")
    is_withdrawn: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether to withdraw the variant: hidden from buyers and no longer sold."
    )
    policy: models.StockPolicy | None = strawberry.field(
        default=strawberry.UNSET,
        description="What happens when the variant is sold out. Default for a new variant: DENY.",
    )
    on_hand: int | None = strawberry.field(
        default=strawberry.UNSET,
        description="Units in the warehouse, for a new variant. Use `adjustStock` for existing ones.",
    )


@strawberry.input(description="Fields of a product. Omitted fields stay unchanged, or are empty for a new product.")
class ProductParts:
    slug: str | None = strawberry.field(
        default=strawberry.UNSET,
        description='Unique name for URLs: letters, digits, "-" and "_". A new product gets one from its title.',
    )
    description_html: str | None = strawberry.field(
        default=strawberry.UNSET, description="HTML. Scripts and other unsafe content are removed."
    )
    vendor: str | None = strawberry.field(
        default=strawberry.UNSET, description="Manufacturer or brand, at most 200 characters."
    )
    product_type: str | None = strawberry.field(
        default=strawberry.UNSET, description="Kind of product, at most 200 characters."
    )
    tax_class_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="`TaxClass.id`; null for the standard class."
    )
    tags: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description="All tags of the product. They replace the earlier ones."
    )
    category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="`Category.id` of all categories of the product. They replace the earlier ones.",
    )
    option_names: list[str] | None = strawberry.field(
        default=strawberry.UNSET, description='Up to three names of options, such as "Size".'
    )
    is_published: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether the product is published."
    )


@strawberry.input(description="A new product. Sending it twice fails the second time, because the slug exists already.")
class CreateProductInput(ProductParts):
    title: str = strawberry.field(description="The title that buyers see, at most 300 characters.")
    variants: list[VariantInput] = strawberry.field(description="1 to 500 variants.")


@strawberry.input(description="Changes to a product. Omitted fields stay unchanged.")
class UpdateProductInput(ProductParts):
    id: strawberry.ID = strawberry.field(description="`Product.id`.")
    version: int | None = strawberry.field(default=None, description=crud.VERSION)
    title: str | None = strawberry.field(
        default=strawberry.UNSET, description="The title that buyers see, at most 300 characters."
    )
    is_archived: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whether the product is archived and no longer sold. Publishing it removes it from the archive.",
    )
    variants: list[VariantInput] | None = strawberry.field(
        default=strawberry.UNSET, description="The variants to change or add. Other variants stay unchanged."
    )
    delete_variant_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="`ProductVariant.id` of variants to delete. It fails with IN_USE if one was ever in a cart or an "
        "order, or if its stock was ever moved.",
    )


@strawberry.input(description="The same changes to many products. Omitted fields stay unchanged.")
class UpdateProductsInput:
    ids: list[strawberry.ID] = strawberry.field(description="`Product.id` of 1 to 100 products.")
    vendor: str | None = strawberry.field(
        default=strawberry.UNSET, description="Manufacturer or brand, at most 200 characters."
    )
    product_type: str | None = strawberry.field(
        default=strawberry.UNSET, description="Kind of product, at most 200 characters."
    )
    is_published: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether the products are published."
    )
    is_archived: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether the products are archived."
    )
    add_tags: list[str] | None = strawberry.field(default=strawberry.UNSET, description="Tags to add.")
    remove_tags: list[str] | None = strawberry.field(default=strawberry.UNSET, description="Tags to remove.")
    add_category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="`Category.id` of categories to add the products to."
    )
    remove_category_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="`Category.id` of categories to remove the products from."
    )


# What null means, for fields that it does not leave unchanged.
_TEXTS = ("slug", "title", "description_html", "vendor", "product_type", "sku", "barcode")
_OF_NULL: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, ""),
    **dict.fromkeys(("tags", "option_names", "options"), ()),
    **dict.fromkeys(("price", "compare_at_price", "weight_grams"), None),
}


def _parts(given: Any, *names: str) -> dict[str, Any]:
    """The values of these fields, without omitted ones. Null empties a list or text, and keeps a boolean unchanged."""
    values = {name: value for name, value in vars(given).items() if name in names and value is not strawberry.UNSET}
    return {name: _part(name, value) for name, value in values.items()}


def _part(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return _OF_NULL.get(name, KEEP) if value is None else value


def _keys(given: Any, name: str, type_name: str) -> tuple[int, ...] | None:
    """The keys of a list of ids; None if it was omitted."""
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


def _revision(given: UpdateProductsInput) -> BulkUpdate:
    return BulkUpdate(
        add_tags=tuple(given.add_tags or ()),
        remove_tags=tuple(given.remove_tags or ()),
        add_categories=_keys(given, "add_category_ids", "Category") or (),
        remove_categories=_keys(given, "remove_category_ids", "Category") or (),
        **_parts(given, "vendor", "product_type", "is_published", "is_archived"),
    )


# ── payloads ─────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type(description="The result of changing a product: the product, or errors.")
class ProductPayload:
    key: strawberry.Private[int | None] = None
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(
        graphql_type=StaffProduct | None, description="The product as it is now; null if the mutation failed."
    )
    def product(self, info: Info) -> models.Product | None:
        return None if self.key is None else load(models.Product.objects.filter(pk=self.key), info).first()


@strawberry.type(description="The result of changing several products: the products, or errors.")
class ProductsPayload:
    keys: strawberry.Private[tuple[int, ...]] = ()
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Errors that stopped the mutation; empty on success."
    )

    @strawberry.field(
        graphql_type=list[StaffProduct], description="The products as they are now; empty if the mutation failed."
    )
    def products(self, info: Info) -> list[models.Product]:
        return list(load(models.Product.objects.filter(pk__in=self.keys).order_by("pk"), info)) if self.keys else []


# ── queries and mutations ────────────────────────────────────────────────────────────────────────────


@strawberry.type
class ProductQuery:
    @strawberry.field(
        description="For staff who may view products: all products, most recently changed first, or the best matches "
        "of a search first."
    )
    def staff_products(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[str | None, strawberry.argument(description="Words, or a SKU.")] = None,
        filter: Annotated[
            ProductFilter | None, strawberry.argument(description="Only products that match this filter.")
        ] = None,
        states: Annotated[
            list[browse.ProductState] | None,
            strawberry.argument(description="Only products in one of these states. Default: all except ARCHIVED."),
        ] = None,
    ) -> StaffProductConnection:
        info.context.allow("view_product")
        query = parse_query(text=search) if search and search.strip() else None
        rows = browse.staff_products(
            filter=decode_filter(filter or ProductFilter(), info),
            states=_IN_USE if states is None else states,
            query=query,
            now=info.context.now,
        )
        page = Page(
            rows,
            _BEST_MATCH if query else _LAST_CHANGED,
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return StaffProductConnection(page=page)

    @strawberry.field(
        graphql_type=StaffProduct | None,
        description="For staff who may view products: a product in any state, by id or slug; null if there is none.",
    )
    def staff_product(self, info: Info, id: Id = None, slug: Slug = None) -> models.Product | None:
        info.context.allow("view_product")
        return load(by_id_or_slug(models.Product.objects.all(), "Product", id, slug), info).first()


@strawberry.type
class ProductMutation:
    @strawberry.mutation(
        description="For staff: creates a product with its variants and their stock. Errors: INVALID, NOT_FOUND."
    )
    def create_product(self, info: Info, input: CreateProductInput) -> ProductPayload:
        info.context.allow("add_product")
        with Refusals(info) as errors:
            draft = _draft(input)
            product = products.create(draft=draft, actor=info.context.user, now=info.context.now)
            return ProductPayload(key=product.pk)
        return ProductPayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: changes a product and its variants. If one change fails, nothing is changed. Errors: "
        "INVALID, NOT_FOUND, STALE_VERSION, IN_USE, INSUFFICIENT_STOCK."
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

    @strawberry.mutation(
        description="For staff: makes the same changes to many products. If one change fails, nothing is changed. "
        "Errors: INVALID, NOT_FOUND."
    )
    def update_products(self, info: Info, input: UpdateProductsInput) -> ProductsPayload:
        info.context.allow("change_product")
        with Refusals(info) as errors:
            keys = _keys(input, "ids", "Product") or ()
            products.update_many(
                product_ids=keys, changes=_revision(input), actor=info.context.user, now=info.context.now
            )
            return ProductsPayload(keys=keys)
        return ProductsPayload(user_errors=errors)

    @strawberry.mutation(
        description="For staff: deletes a product that was never in a cart or an order, whose stock was never moved "
        "and that no discount names. Archive other products instead. Errors: NOT_FOUND, STALE_VERSION, IN_USE."
    )
    def delete_product(self, info: Info, input: crud.DeleteInput) -> crud.DeletePayload:
        info.context.allow("delete_product")
        with Refusals(info) as errors:
            key = ids.number(input.id, "Product", field=["id"])
            products.delete(product_id=key, version=input.version, actor=info.context.user, now=info.context.now)
            return crud.DeletePayload(deleted_id=input.id)
        return crud.DeletePayload(user_errors=errors)
