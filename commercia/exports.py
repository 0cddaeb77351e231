"""CSV downloads for staff at `/exports/<name>.csv`, by the admin's session or an access token, as a stream."""

from collections.abc import Callable, Iterator

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe
from graphql import GraphQLError

from domain.importing.shopify_export import export_products
from domain.importing.stock_csv import export_stock
from schema.base.context import Context

_REQUIRED_PERMISSIONS = ("view_product", "view_stock")
_FILES: dict[str, Callable[[], Iterator[str]]] = {"products": export_products, "stock": export_stock}


@require_safe
def export(request: HttpRequest, name: str) -> HttpResponseBase:
    if name not in _FILES:
        raise Http404
    try:
        # Cookies are enough: another site can make a browser send this request, but cannot read the response.
        Context(request=request, trusts_cookies=True).allow(*_REQUIRED_PERMISSIONS)
    except GraphQLError as error:
        is_logged_in = (error.extensions or {})["code"] == "FORBIDDEN"
        return HttpResponse(error.message, status=403 if is_logged_in else 401, content_type="text/plain")
    blocks = (block.encode() for block in _FILES[name]())
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "private, no-store"}
    return StreamingHttpResponse(blocks, content_type="text/csv; charset=utf-8", headers=headers)
