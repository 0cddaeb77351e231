"""The shop's rows. Rules that a database can hold are held here, as constraints."""

from storefront.models.accounts import Attempts, RefreshToken, SavedAddress, Session, User
from storefront.models.cart import Cart, CartLine, CartState
from storefront.models.catalog import Category, Image, Product, ProductVariant, SearchDocument, Tag
from storefront.models.checkout import Checkout, ShippingMethod
from storefront.models.fields import Address
from storefront.models.orders import Order, OrderEvent, OrderEventKind, OrderLine, OrderState
from storefront.models.payments import Payment, PaymentProvider, PaymentState
from storefront.models.stock import MovementReason, Stock, StockMovement, StockPolicy

__all__ = [
    "Address",
    "Attempts",
    "Cart",
    "CartLine",
    "CartState",
    "Category",
    "Checkout",
    "Image",
    "MovementReason",
    "Order",
    "OrderEvent",
    "OrderEventKind",
    "OrderLine",
    "OrderState",
    "Payment",
    "PaymentProvider",
    "PaymentState",
    "Product",
    "ProductVariant",
    "RefreshToken",
    "SavedAddress",
    "SearchDocument",
    "Session",
    "ShippingMethod",
    "Stock",
    "StockMovement",
    "StockPolicy",
    "Tag",
    "User",
]
