"""The staff's pages. What has rules (stock, orders, payments) is shown here and changed by the domain."""

from django.contrib import admin

from storefront.admin import accounts, background, catalog, changes, imports, orders, terms

__all__ = ["accounts", "background", "catalog", "changes", "imports", "orders", "terms"]

admin.site.index_title = "Dashboard"
admin.site.index_template = "admin/front_page.html"
