"""The shop's models. Rules that a database can enforce are constraints here."""

from storefront.models.accounts import Attempts, RefreshToken, SavedAddress, Session, User
from storefront.models.cart import Cart, CartLine, CartState
from storefront.models.catalog import (
    CatalogueVersion,
    Category,
    Image,
    ImageUpload,
    Product,
    ProductVariant,
    SearchDocument,
    Tag,
)
from storefront.models.changes import Change, ChangeAction
from storefront.models.checkout import Checkout
from storefront.models.clocks import ClockRun
from storefront.models.currency import Currency, VariantPrice
from storefront.models.fields import Address, Versioned
from storefront.models.fulfilment import Shipment
from storefront.models.imports import Import, ImportKind, ImportPart, ImportRow, ImportState
from storefront.models.orders import Order, OrderEvent, OrderEventKind, OrderLine, OrderState
from storefront.models.outbox import OutboxMessage
from storefront.models.payments import (
    GatewayEvent,
    Payment,
    PaymentProvider,
    PaymentState,
    Refund,
    TestCharge,
    TestRefund,
    UnverifiedEvent,
)
from storefront.models.promotions import Discount, DiscountKind, DiscountUse
from storefront.models.shipping import ShippingMethod, ShippingZone, WeightBand
from storefront.models.stock import MovementReason, Stock, StockAdjustment, StockMovement, StockPolicy
from storefront.models.tax import TaxClass, TaxRate
from storefront.models.webhooks import WebhookDelivery, WebhookEndpoint, WebhookTopic

__all__ = [
    "Address",
    "Attempts",
    "Cart",
    "CartLine",
    "CartState",
    "CatalogueVersion",
    "Category",
    "Change",
    "ChangeAction",
    "Checkout",
    "ClockRun",
    "Currency",
    "Discount",
    "DiscountKind",
    "DiscountUse",
    "GatewayEvent",
    "Image",
    "ImageUpload",
    "Import",
    "ImportKind",
    "ImportPart",
    "ImportRow",
    "ImportState",
    "MovementReason",
    "Order",
    "OrderEvent",
    "OrderEventKind",
    "OrderLine",
    "OrderState",
    "OutboxMessage",
    "Payment",
    "PaymentProvider",
    "PaymentState",
    "Product",
    "ProductVariant",
    "RefreshToken",
    "Refund",
    "SavedAddress",
    "SearchDocument",
    "Session",
    "Shipment",
    "ShippingMethod",
    "ShippingZone",
    "Stock",
    "StockAdjustment",
    "StockMovement",
    "StockPolicy",
    "Tag",
    "TaxClass",
    "TaxRate",
    "TestCharge",
    "TestRefund",
    "UnverifiedEvent",
    "User",
    "VariantPrice",
    "Versioned",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookTopic",
    "WeightBand",
]
