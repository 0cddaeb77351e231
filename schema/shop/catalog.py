"""The public catalogue. Its answers are the same for everyone, so they can be cached for everyone."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import strawberry
import strawberry_django
from django.db.models import Prefetch

from domain.catalog import browse, facets, images, renditions, stock
from domain.catalog import search as searches
from domain.catalog.facets import Facet as FacetCounts
from domain.sales import currency
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.errors import UserError, user_error
from schema.base.loading import Together, Without, load, load_nodes
from schema.base.public import PUBLIC
from schema.base.scalars import Money
from schema.shop.product_filters import Id, ProductFilter, Slug, by_id_or_slug, decode_filter
from storefront import models

expose(
    stock.Availability,
    "Whether something can be bought, without exact numbers.",
    IN_STOCK="Enough units are available.",
    LOW_STOCK="Only a few units are left.",
    OUT_OF_STOCK="Sold out.",
    BACKORDER="Sold out, but it can be ordered and ships later.",
)
expose(
    facets.FacetKind,
    "The field of `ProductFilter` that takes a facet's values.",
    VENDOR="`ProductFilter.vendor`.",
    PRODUCT_TYPE="`ProductFilter.productType`.",
    TAG="`ProductFilter.tags`.",
    OPTION="`ProductFilter.options`, with the facet's name.",
)
expose(
    renditions.ImageSize,
    "A size of an image: the length of its longer side. Images are never enlarged.",
    THUMBNAIL="At most 200 pixels: for carts and lists in the admin.",
    CARD="At most 600 pixels: for lists of products.",
    DETAIL="At most 1600 pixels: for the page of a product.",
)
expose(
    browse.Sort,
    "The order of a list of products. Prices are those of the cheapest variant.",
    name="ProductSort",
    RELEVANCE="Best match of the search first. Without a search, or with more than 1,000 matches, the same as NEWEST.",
    NEWEST="Most recently published first.",
    PRICE_ASC="Cheapest first.",
    PRICE_DESC="Most expensive first.",
    TITLE="Alphabetical by title.",
)

_SORTS = {
    browse.Sort.RELEVANCE: Keyset("-score", "id"),
    browse.Sort.NEWEST: Keyset("-published_at", "id"),
    browse.Sort.PRICE_ASC: Keyset("min_price", "id"),
    browse.Sort.PRICE_DESC: Keyset("-min_price", "id"),
    browse.Sort.TITLE: Keyset("title", "id"),
}

# `only` lists every column that a resolver reads, besides the relations in its other hints: see
# schema.serving.compiled_reads.
_OPTION_NAMES = ["option1_name", "option2_name", "option3_name"]
_OPTIONS = ["option1", "option2", "option3"]
_VARIANTS = Prefetch("variants", models.ProductVariant.objects.select_related("stock"))


def _prices(info: Info) -> Prefetch[Any]:
    return Prefetch("prices", currency.listed_in(exchange=info.context.exchange))


def _priced_variants(info: Info) -> Prefetch[Any]:
    """The variants with the prices that are set in the currency; none if the currency is the shop's own."""
    variants = models.ProductVariant.objects.filter(is_withdrawn=False).prefetch_related(_prices(info))
    return Prefetch(
        "variants",
        variants if info.context.shows_foreign_currency else variants.filter(pk__in=()),
        to_attr="priced_variants",
    )


def _on_sale(product: models.Product) -> list[models.ProductVariant]:
    return [variant for variant in product.variants.all() if not variant.is_withdrawn]


def _money(amount: Decimal, info: Info) -> Money:
    return Money.of(amount, info.context.exchange.currency)


# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Image, description="An image.")
class Image(ids.Node):
    alt: str = strawberry_django.field(description="Alternative text; may be empty.")
    width: int = strawberry_django.field(
        description="Width of the original in pixels. All sizes have the same proportions."
    )
    height: int = strawberry_django.field(
        description="Height of the original in pixels. All sizes have the same proportions."
    )

    @strawberry_django.field(
        only=["file", "upload", "rendered_at"],
        description="Absolute URL of a WebP file without metadata. For a few seconds after the upload, the URL of "
        "DETAIL stands for every size. Images from an earlier version of the shop keep their original file until "
        "`manage.py render_images` has run.",
    )
    def url(
        self: Any,
        info: Info,
        size: Annotated[
            renditions.ImageSize, strawberry.argument(description="The size.")
        ] = renditions.ImageSize.DETAIL,
    ) -> str:
        return info.context.absolute(images.url(image=self, size=size))


@strawberry.type(description="An option that a product offers, such as its size.")
class ProductOption:
    name: str = strawberry.field(description='The name of the option: "Size".')
    values: list[str] = strawberry.field(description='The values, in the order of the variants: "S", "M", "L".')


@strawberry.type(description="The value of one option of a variant.")
class SelectedOption:
    name: str = strawberry.field(description='The name of the option: "Size".')
    value: str = strawberry.field(description='The value: "M".')


@strawberry.type(description="The lowest and the highest price of a product's variants.")
class PriceRange:
    min: Money = strawberry.field(description="Price of the cheapest variant.")
    max: Money = strawberry.field(description="Price of the most expensive variant.")


@strawberry_django.type(models.Category, description="A category in the category tree.")
class Category(ids.Versioned):
    slug: str = strawberry_django.field(description="Unique name for URLs.")
    name: str = strawberry_django.field(description="The name that buyers see.")
    description: str = strawberry_django.field(description="Plain text; may be empty.")

    @strawberry.field(graphql_type="Category | None", description="The category above; null for a root.")
    def parent(self: Any, info: Info) -> models.Category | None:
        return info.context.categories.parent(self)

    @strawberry.field(graphql_type=list["Category"], description="The categories below, in the shop's order.")
    def children(self: Any, info: Info) -> list[models.Category]:
        return info.context.categories.children(self)

    @strawberry.field(
        graphql_type=list["Category"],
        description="The categories above, from the root to the parent; empty for a root.",
    )
    def ancestors(self: Any, info: Info) -> list[models.Category]:
        return info.context.categories.ancestors(self)


@strawberry_django.type(
    models.ProductVariant, description="A product in one combination of its options. This is what a cart holds."
)
class ProductVariant(ids.Node):
    sku: str = strawberry_django.field(description="Stock keeping unit; unique.")
    product: "Product" = strawberry_django.field(description="The product of the variant.")
    image: Image | None = strawberry_django.field(
        description="The variant's own image; null if it has none. Then show `Product.featuredImage`."
    )
    barcode: str = strawberry_django.field(description="GTIN (EAN, UPC, ISBN) as printed; may be empty.")
    weight_grams: int | None = strawberry_django.field(description="Weight in grams; null if unknown.")
    title: str = strawberry_django.field(
        only=_OPTIONS, description='The option values: "M / Sand". Empty if the product has no options.'
    )

    @strawberry_django.field(
        only=["price"],
        prefetch_related=_prices,
        description="Price of one unit, in the shop's currency or the one of `@inContext`.",
    )
    def price(self: Any, info: Info) -> Money:
        return _money(currency.price_of(variant=self, exchange=info.context.exchange), info)

    @strawberry_django.field(
        only=["compare_at_price"],
        prefetch_related=_prices,
        description="Earlier or recommended price of one unit; null if there is none.",
    )
    def compare_at_price(self: Any, info: Info) -> Money | None:
        before = currency.compare_at_price_of(variant=self, exchange=info.context.exchange)
        return None if before is None else _money(before, info)

    @strawberry_django.field(
        only=[*_OPTIONS, *(f"product__{name}" for name in _OPTION_NAMES)],
        select_related=["product"],
        description="The option values, in the order of the product's options.",
    )
    def selected_options(self: Any) -> list[SelectedOption]:
        return [
            SelectedOption(name=name, value=value)
            for name, value in zip(self.product.option_names, self.option_values, strict=False)
        ]

    @strawberry_django.field(
        only=["stock__policy", "stock__on_hand", "stock__reserved"],
        select_related=["stock"],
        description="Whether the variant can be bought.",
    )
    def availability(self: Any) -> stock.Availability:
        return stock.availability(stock=self.stock)


@strawberry_django.type(models.Product, description="A product, sold in one or more variants.")
class Product(ids.Node):
    slug: str = strawberry_django.field(description="Unique name for URLs.")
    title: str = strawberry_django.field(description="The title that buyers see.")
    description_html: str = strawberry_django.field(description="Sanitised HTML, safe to show; may be empty.")
    vendor: str = strawberry_django.field(description="Manufacturer or brand; may be empty.")
    product_type: str = strawberry_django.field(description='Kind of product, such as "Shirt"; may be empty.')
    categories: list[Category] = strawberry_django.field(description="The categories of the product.")
    images: list[Image] = strawberry_django.field(description="The images, in the shop's order.")
    published_at: strawberry.auto = strawberry_django.field(description="When the product was published.")
    variants: list[ProductVariant] = strawberry_django.field(
        extensions=[Without("is_withdrawn")],
        description="The variants that are sold, in the shop's order; at least one.",
    )

    @strawberry_django.field(only=["pk"], prefetch_related=["tags"], description="The tags, in alphabetical order.")
    def tags(self: Any) -> list[str]:
        return [tag.name for tag in self.tags.all()]

    @strawberry_django.field(
        only=["pk"], prefetch_related=["images"], description="The first image; null if there is none."
    )
    def featured_image(self: Any) -> Image | None:
        return next(iter(self.images.all()), None)

    @strawberry_django.field(
        only=_OPTION_NAMES,
        prefetch_related=["variants"],
        description="Up to three options; empty if there is nothing to choose.",
    )
    def options(self: Any) -> list[ProductOption]:
        columns = zip(*(variant.option_values for variant in _on_sale(self)), strict=False)
        return [
            ProductOption(name=name, values=list(dict.fromkeys(values)))
            for name, values in zip(self.option_names, columns, strict=False)
        ]

    @strawberry_django.field(
        graphql_type=ProductVariant | None,
        only=["pk"],
        prefetch_related=["variants"],
        description="The variant with this SKU; null if the product has no such variant, or if it is no longer sold.",
    )
    def variant(
        self: Any, sku: Annotated[str, strawberry.argument(description="`ProductVariant.sku`.")]
    ) -> models.ProductVariant | None:
        return next((variant for variant in _on_sale(self) if variant.sku == sku), None)

    @strawberry_django.field(
        only=["min_price", "max_price"],
        prefetch_related=_priced_variants,
        description="The lowest and the highest price of the variants, in the shop's currency or the one of "
        "`@inContext`.",
    )
    def price_range(self: Any, info: Info) -> PriceRange:
        prices = [info.context.exchange(amount) for amount in (self.min_price, self.max_price)]
        if info.context.shows_foreign_currency and self.priced_variants:
            prices = [
                currency.price_of(variant=variant, exchange=info.context.exchange) for variant in self.priced_variants
            ]
        return PriceRange(min=_money(min(prices), info), max=_money(max(prices), info))

    @strawberry_django.field(
        only=["pk"],
        prefetch_related=["variants", _priced_variants],
        description="The lowest `compareAtPrice` of the variants; null if there is none.",
    )
    def compare_at_price(self: Any, info: Info) -> Money | None:
        variants = self.priced_variants if info.context.shows_foreign_currency else _on_sale(self)
        earlier = (
            currency.compare_at_price_of(variant=variant, exchange=info.context.exchange) for variant in variants
        )
        before = [amount for amount in earlier if amount is not None]
        return _money(min(before), info) if before else None

    @strawberry_django.field(
        only=["pk"],
        prefetch_related=[_VARIANTS],
        description="The availability of the variant with the best availability.",
    )
    def availability(self: Any) -> stock.Availability:
        return stock.best_availability(stocks=[variant.stock for variant in _on_sale(self)])


@strawberry.type(description="A value of a facet, and how many products it would leave.")
class FacetValue:
    value: str = strawberry.field(description="The value, as the filter takes it.")
    count: int = strawberry.field(description="Number of products.")


@strawberry.type(description="A way to narrow the list, counted with all other filters applied.")
class Facet:
    kind: facets.FacetKind = strawberry.field(description="The field of `ProductFilter` that takes the values.")
    name: str = strawberry.field(description="For OPTION: the name of the option, for `OptionFilter.name`.")
    values: list[FacetValue] = strawberry.field(description="The values, most frequent first, at most 100.")


@strawberry.type(description="A page of products.")
class ProductConnection(Connection[Product]):
    filter: strawberry.Private[browse.ProductFilter]
    search_query: strawberry.Private[searches.SearchQuery | None]

    @strawberry.field(
        graphql_type=list[Facet],
        description="Facets that narrow the list. They are counted in at most 10,000 products, and in 200 if a search "
        "matches more than 1,000.",
    )
    def facets(self, info: Info) -> list[FacetCounts]:
        return facets.count(filter=self.filter, query=self.search_query, now=info.context.now)


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────


@user_error(stock.InsufficientStock)
@strawberry.type(description="Fewer units are available than requested.")
class InsufficientStock(UserError):
    variants: strawberry.Private[Together[models.ProductVariant]]
    variant_id: strawberry.Private[int]
    requested: int = strawberry.field(description="Number of units that the line would have.")
    available: int = strawberry.field(description="Number of units that are available.")
    line_id: strawberry.ID | None = strawberry.field(
        description="The cart line that requests them, for `updateCartLine`; null if the variant is not in the cart."
    )

    @strawberry.field(graphql_type=ProductVariant, description="The variant of which too few units are available.")
    def variant(self, info: Info) -> models.ProductVariant:
        return self.variants.get(self.variant_id, info)

    @classmethod
    def data_of_all(cls, errors: Sequence[stock.InsufficientStock]) -> list[dict[str, Any]]:
        variants = Together(models.ProductVariant.objects.filter(pk__in=[error.variant.pk for error in errors]))
        return [
            {
                "variants": variants,
                "variant_id": error.variant.pk,
                "requested": error.requested,
                "available": error.available,
                "line_id": ids.encode_row("CartLine", error.line),
            }
            for error in errors
        ]


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CatalogQuery:
    @strawberry.field(
        graphql_type=Product | None,
        metadata=PUBLIC,
        description="A published product by id or slug; null if there is none.",
    )
    def product(self, info: Info, id: Id = None, slug: Slug = None) -> models.Product | None:
        published = models.Product.objects.published(now=info.context.now)
        return load(by_id_or_slug(published, "Product", id, slug), info).first()

    @strawberry.field(metadata=PUBLIC, description="Published products; by default the first 24.")
    def products(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        search: Annotated[
            str | None,
            strawberry.argument(
                description="Words or beginnings of words; misspellings are tolerated. Matches are counted up to "
                f"{searches.MAX_RANKED:,}. With more matches, the newest product comes first."
            ),
        ] = None,
        filter: Annotated[
            ProductFilter | None, strawberry.argument(description="Only products that match this filter.")
        ] = None,
        sort: Annotated[browse.Sort, strawberry.argument(description="The order of the list.")] = browse.Sort.RELEVANCE,
    ) -> ProductConnection:
        query = searches.parse_query(text=search, now=info.context.now) if search and search.strip() else None
        if sort is browse.Sort.RELEVANCE and not (query and query.is_ranked):
            sort = browse.Sort.NEWEST
        wanted = decode_filter(filter or ProductFilter(), info)
        page = Page(
            browse.browse(filter=wanted, query=query, now=info.context.now),
            _SORTS[sort],
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
            most=searches.MAX_RANKED if query else None,
            count=query.count if query and wanted == browse.ProductFilter() else None,
        )
        return ProductConnection(page=page, filter=wanted, search_query=query)

    @strawberry.field(
        graphql_type=Category | None, metadata=PUBLIC, description="A category by id or slug; null if there is none."
    )
    def category(self, info: Info, id: Id = None, slug: Slug = None) -> models.Category | None:
        return load(by_id_or_slug(models.Category.objects.all(), "Category", id, slug), info).first()

    @strawberry.field(
        graphql_type=list[Category], metadata=PUBLIC, description="The root categories. `children` leads to the others."
    )
    def categories(self, info: Info) -> list[models.Category]:
        return info.context.categories.children(None)
