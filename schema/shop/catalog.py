"""The public catalogue: the same answer for everyone, so that it can be cached for everyone."""

from decimal import Decimal
from typing import Annotated, Any, TypeVar

import strawberry
import strawberry_django
from django.db.models import Model, Prefetch

from domain.catalog import browse, facets, images, renditions, stock
from domain.catalog import search as searches
from domain.catalog.facets import Facet as FacetCounts
from domain.sales import currency
from schema.base import ids
from schema.base.connections import After, Before, Connection, First, Keyset, Last, Page
from schema.base.context import Info
from schema.base.enums import expose
from schema.base.loading import Without, load, load_nodes
from schema.base.public import PUBLIC
from schema.base.scalars import Money
from schema.shop.product_filters import Id, ProductFilter, Slug, decoded, one
from storefront import models

expose(
    stock.Availability,
    "How well a thing can be had, coarsely.",
    IN_STOCK="There is enough.",
    LOW_STOCK="The last few.",
    OUT_OF_STOCK="None is left.",
    BACKORDER="None is left, but it can be ordered, and ships later.",
)
expose(models.PaymentProvider, "Who takes the money.")
expose(
    facets.FacetKind,
    "Which part of `ProductFilter` a facet's values go to.",
    VENDOR="`vendor`.",
    PRODUCT_TYPE="`productType`.",
    TAG="`tags`.",
    OPTION="`options`, with the facet's name.",
)
expose(
    renditions.ImageSize,
    "A size of a picture: its longer side at most, in pixels, and never more than the original has.",
    THUMBNAIL="200 pixels: in a cart, in a list of staff.",
    CARD="600 pixels: in a list of products.",
    DETAIL="1600 pixels: on a product's page.",
)
expose(
    browse.Sort,
    "In which order products come. Prices are the cheapest variant's.",
    name="ProductSort",
    RELEVANCE="The best match of a search first; without one, and where more than 1,000 products match, as NEWEST.",
    NEWEST="The last published first.",
    PRICE_ASC="The cheapest first.",
    PRICE_DESC="The dearest first.",
    TITLE="By the alphabet.",
)

_SORTS = {
    browse.Sort.RELEVANCE: Keyset("-score", "id"),
    browse.Sort.NEWEST: Keyset("-published_at", "id"),
    browse.Sort.PRICE_ASC: Keyset("min_price", "id"),
    browse.Sort.PRICE_DESC: Keyset("-min_price", "id"),
    browse.Sort.TITLE: Keyset("title", "id"),
}
Row = TypeVar("Row", bound=Model)

# `only` names all of its row that a resolver reads, beside the relations of the other hints:
# see schema.serving.compiled_reads.
_OPTION_NAMES = ["option1_name", "option2_name", "option3_name"]
_OPTIONS = ["option1", "option2", "option3"]
_VARIANTS = Prefetch("variants", models.ProductVariant.objects.select_related("stock"))


def _prices(info: Info) -> Prefetch[Any]:
    return Prefetch("prices", currency.listed_in(exchange=info.context.exchange))


def _priced_variants(info: Info) -> Prefetch[Any]:
    """The variants with their list prices, for a product that is not priced by its own columns."""
    variants = models.ProductVariant.objects.filter(is_withdrawn=False).prefetch_related(_prices(info))
    return Prefetch(
        "variants", variants if info.context.is_abroad else variants.filter(pk__in=()), to_attr="priced_variants"
    )


def _on_sale(product: models.Product) -> list[models.ProductVariant]:
    return [variant for variant in product.variants.all() if not variant.is_withdrawn]


def _money(amount: Decimal, info: Info) -> Money:
    return Money.of(amount, info.context.exchange.currency)


# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@strawberry_django.type(models.Image, description="A picture.")
class Image(ids.Node):
    alt: str = strawberry_django.field(description="What it shows, for those who cannot see it; may be empty.")
    width: int = strawberry_django.field(description="Pixels of the original; every size has its proportions.")
    height: int = strawberry_django.field(description="Pixels of the original; every size has its proportions.")

    @strawberry_django.field(
        only=["file", "upload", "rendered_at"],
        description="Absolute address of a file without metadata, WebP; for some seconds after a picture was put in, "
        "that of DETAIL for every size. What was imported by an earlier version is as it was, until "
        "`manage.py render_images` has run.",
    )
    def url(
        self: Any,
        info: Info,
        size: Annotated[
            renditions.ImageSize, strawberry.argument(description="How large.")
        ] = renditions.ImageSize.DETAIL,
    ) -> str:
        return info.context.absolute(images.url(image=self, size=size))


@strawberry.type(description="A choice that a product offers.")
class ProductOption:
    name: str = strawberry.field(description='"Size".')
    values: list[str] = strawberry.field(description='In the order of the variants: "S", "M", "L".')


@strawberry.type(description="What was chosen for one option.")
class SelectedOption:
    name: str = strawberry.field(description='"Size".')
    value: str = strawberry.field(description='"M".')


@strawberry.type(description="The lowest and the highest price among a product's variants.")
class PriceRange:
    min: Money = strawberry.field(description="The cheapest variant's.")
    max: Money = strawberry.field(description="The dearest variant's.")


@strawberry_django.type(models.Category, description="A node of the category tree.")
class Category(ids.Versioned):
    slug: str = strawberry_django.field(description="Unique; for addresses.")
    name: str = strawberry_django.field(description="What the buyer reads.")
    description: str = strawberry_django.field(description="Plain text; may be empty.")

    @strawberry.field(graphql_type="Category | None", description="Null for a root.")
    def parent(self: Any, info: Info) -> models.Category | None:
        return info.context.categories.parent(self)

    @strawberry.field(graphql_type=list["Category"], description="In the shop's order.")
    def children(self: Any, info: Info) -> list[models.Category]:
        return info.context.categories.children(self)

    @strawberry.field(graphql_type=list["Category"], description="From the root down to the parent; empty for a root.")
    def ancestors(self: Any, info: Info) -> list[models.Category]:
        return info.context.categories.ancestors(self)


@strawberry_django.type(models.ProductVariant, description="What is put in a cart: one choice of a product's options.")
class ProductVariant(ids.Node):
    sku: str = strawberry_django.field(description="The shop's own article number; unique.")
    product: "Product" = strawberry_django.field(description="What it is a variant of.")
    image: Image | None = strawberry_django.field(description="Its own picture; null when the product's will do.")
    barcode: str = strawberry_django.field(description="GTIN as printed (EAN, UPC, ISBN); may be empty.")
    weight_grams: int | None = strawberry_django.field(description="Null when unknown.")
    title: str = strawberry_django.field(
        only=_OPTIONS, description='The options chosen: "M / Sand"; empty where there is nothing to choose.'
    )

    @strawberry_django.field(
        only=["price"],
        prefetch_related=_prices,
        description="Of one unit, in the shop's currency or that of `@inContext`.",
    )
    def price(self: Any, info: Info) -> Money:
        return _money(currency.price_of(variant=self, exchange=info.context.exchange), info)

    @strawberry_django.field(
        only=["compare_at_price"],
        prefetch_related=_prices,
        description="What it cost before, or elsewhere; null when there is nothing to compare.",
    )
    def compare_at_price(self: Any, info: Info) -> Money | None:
        before = currency.compare_at_price_of(variant=self, exchange=info.context.exchange)
        return None if before is None else _money(before, info)

    @strawberry_django.field(
        only=[*_OPTIONS, *(f"product__{name}" for name in _OPTION_NAMES)],
        select_related=["product"],
        description="In the order of the product's options.",
    )
    def selected_options(self: Any) -> list[SelectedOption]:
        return [
            SelectedOption(name=name, value=value)
            for name, value in zip(self.product.option_names, self.option_values, strict=False)
        ]

    @strawberry_django.field(
        only=["stock__policy", "stock__on_hand", "stock__reserved"],
        select_related=["stock"],
        description="Whether it can be had.",
    )
    def availability(self: Any) -> stock.Availability:
        return stock.availability(stock=self.stock)


@strawberry_django.type(models.Product, description="What the shop sells, in one or more variants.")
class Product(ids.Node):
    slug: str = strawberry_django.field(description="Unique; for addresses.")
    title: str = strawberry_django.field(description="What the buyer reads.")
    description_html: str = strawberry_django.field(description="Sanitised HTML, safe to show; may be empty.")
    vendor: str = strawberry_django.field(description="Who makes it; may be empty.")
    product_type: str = strawberry_django.field(description="What kind of thing it is; may be empty.")
    categories: list[Category] = strawberry_django.field(description="Where it hangs in the tree.")
    images: list[Image] = strawberry_django.field(description="In the shop's order.")
    published_at: strawberry.auto = strawberry_django.field(description="Since when it is for sale.")
    variants: list[ProductVariant] = strawberry_django.field(
        extensions=[Without("is_withdrawn")], description="In the shop's order; at least one."
    )

    @strawberry_django.field(only=["pk"], prefetch_related=["tags"], description="In alphabetical order.")
    def tags(self: Any) -> list[str]:
        return [tag.name for tag in self.tags.all()]

    @strawberry_django.field(
        only=["pk"], prefetch_related=["images"], description="The first picture; null when there is none."
    )
    def featured_image(self: Any) -> Image | None:
        return next(iter(self.images.all()), None)

    @strawberry_django.field(
        only=_OPTION_NAMES,
        prefetch_related=["variants"],
        description="Up to three; empty where there is nothing to choose.",
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
        description="The variant with this SKU; null when it is another product's, or withdrawn.",
    )
    def variant(
        self: Any, sku: Annotated[str, strawberry.argument(description="`ProductVariant.sku`.")]
    ) -> models.ProductVariant | None:
        return next((variant for variant in _on_sale(self) if variant.sku == sku), None)

    @strawberry_django.field(
        only=["min_price", "max_price"],
        prefetch_related=_priced_variants,
        description="The lowest and the highest price of its variants, in the shop's currency or that of `@inContext`.",
    )
    def price_range(self: Any, info: Info) -> PriceRange:
        prices = [info.context.exchange(amount) for amount in (self.min_price, self.max_price)]
        if info.context.is_abroad and self.priced_variants:
            prices = [
                currency.price_of(variant=variant, exchange=info.context.exchange) for variant in self.priced_variants
            ]
        return PriceRange(min=_money(min(prices), info), max=_money(max(prices), info))

    @strawberry_django.field(
        only=["pk"],
        prefetch_related=["variants", _priced_variants],
        description="The lowest earlier price among its variants; null without one.",
    )
    def compare_at_price(self: Any, info: Info) -> Money | None:
        variants = self.priced_variants if info.context.is_abroad else _on_sale(self)
        earlier = (
            currency.compare_at_price_of(variant=variant, exchange=info.context.exchange) for variant in variants
        )
        before = [amount for amount in earlier if amount is not None]
        return _money(min(before), info) if before else None

    @strawberry_django.field(
        only=["pk"], prefetch_related=[_VARIANTS], description="That of its most available variant."
    )
    def availability(self: Any) -> stock.Availability:
        return stock.best_availability(stocks=[variant.stock for variant in _on_sale(self)])


@strawberry.type(description="How many products a value would leave, were it chosen.")
class FacetValue:
    value: str = strawberry.field(description="As the filter takes it.")
    count: int = strawberry.field(description="Products.")


@strawberry.type(description="One way to narrow a list further, counted under all the other filters.")
class Facet:
    kind: facets.FacetKind = strawberry.field(description="Which part of `ProductFilter` its values go to.")
    name: str = strawberry.field(description="For OPTION the option's name, as `OptionFilter.name` takes it.")
    values: list[FacetValue] = strawberry.field(description="The most frequent first, at most 100.")


@strawberry.type(description="A page of products.")
class ProductConnection(Connection[Product]):
    filter: strawberry.Private[browse.ProductFilter]
    question: strawberry.Private[searches.Question | None]

    @strawberry.field(
        graphql_type=list[Facet],
        description="What narrows the list; counted in 10,000 products at most, and in 200 of those that match a "
        "search where they are more than 1,000.",
    )
    def facets(self, info: Info) -> list[FacetCounts]:
        return facets.count(filter=self.filter, question=self.question, now=info.context.now)


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class CatalogQuery:
    @strawberry.field(
        graphql_type=Product | None,
        metadata=PUBLIC,
        description="One published product, by id or by slug; null when there is none.",
    )
    def product(self, info: Info, id: Id = None, slug: Slug = None) -> models.Product | None:
        published = models.Product.objects.published(now=info.context.now)
        return load(one(published, "Product", id, slug), info).first()

    @strawberry.field(metadata=PUBLIC, description="Published products, by default 24 from the first on.")
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
                description="Words or their beginnings; misspellings are forgiven. What is found is counted to "
                f"{searches.MANY:,}, and where more is, the newest comes first."
            ),
        ] = None,
        filter: Annotated[ProductFilter | None, strawberry.argument(description="Which ones.")] = None,
        sort: Annotated[browse.Sort, strawberry.argument(description="In which order.")] = browse.Sort.RELEVANCE,
    ) -> ProductConnection:
        question = searches.understand(text=search, now=info.context.now) if search and search.strip() else None
        if sort is browse.Sort.RELEVANCE and not (question and question.is_ranked):
            sort = browse.Sort.NEWEST
        wanted = decoded(filter or ProductFilter(), info)
        page = Page(
            browse.browse(filter=wanted, question=question, now=info.context.now),
            _SORTS[sort],
            load=lambda rows: load_nodes(rows, info),
            first=first,
            after=after,
            last=last,
            before=before,
            most=searches.MANY if question else None,
            count=question.count if question and wanted == browse.ProductFilter() else None,
        )
        return ProductConnection(page=page, filter=wanted, question=question)

    @strawberry.field(
        graphql_type=Category | None, metadata=PUBLIC, description="By id or by slug; null when there is none."
    )
    def category(self, info: Info, id: Id = None, slug: Slug = None) -> models.Category | None:
        return load(one(models.Category.objects.all(), "Category", id, slug), info).first()

    @strawberry.field(
        graphql_type=list[Category], metadata=PUBLIC, description="The roots of the tree; descend by `children`."
    )
    def categories(self, info: Info) -> list[models.Category]:
        return info.context.categories.children(None)
