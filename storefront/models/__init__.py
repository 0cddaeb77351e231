"""The shop's rows. Rules that a database can hold are held here, as constraints."""

from storefront.models.accounts import Attempts, RefreshToken, SavedAddress, Session, User
from storefront.models.cart import Cart, CartLine, CartState
from storefront.models.catalog import CatalogueVersion, Category, Image, Product, ProductVariant, SearchDocument, Tag
from storefront.models.checkout import Checkout
from storefront.models.clocks import ClockRun
from storefront.models.currency import Currency, VariantPrice
from storefront.models.fields import Address
from storefront.models.fulfilment import Shipment
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
)
from storefront.models.promotions import Discount, DiscountKind, DiscountUse
from storefront.models.shipping import ShippingMethod, ShippingZone, WeightBand
from storefront.models.stock import MovementReason, Stock, StockMovement, StockPolicy
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
    "Checkout",
    "ClockRun",
    "Currency",
    "Discount",
    "DiscountKind",
    "DiscountUse",
    "GatewayEvent",
    "Image",
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
    "StockMovement",
    "StockPolicy",
    "Tag",
    "TaxClass",
    "TaxRate",
    "TestCharge",
    "TestRefund",
    "User",
    "VariantPrice",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookTopic",
    "WeightBand",
]
