"""The staff's pages. What has rules (stock, orders, payments) is shown here and changed by the domain."""

from django.conf import settings
from django.contrib import admin

from storefront.admin import accounts, background, catalog, imports, orders, terms

__all__ = ["accounts", "background", "catalog", "imports", "orders", "terms"]

admin.site.site_header = admin.site.site_title = settings.SHOP_NAME
admin.site.index_title = "The shop"
