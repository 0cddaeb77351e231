"""The admin. Stock, orders and payments are read-only here: only domain functions change them."""

from django.contrib import admin

from storefront.admin import accounts, background, catalog, changes, imports, orders, terms

__all__ = ["accounts", "background", "catalog", "changes", "imports", "orders", "terms"]

admin.site.index_title = "Dashboard"
admin.site.index_template = "admin/front_page.html"
