"""What staff download, as `/exports/<name>.csv`: by the admin's session or an access token, written as it is read."""

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
        # Whoever makes a browser ask for it from another site cannot read the answer.
        Context(request=request, trusts_cookies=True).allow(*_REQUIRED_PERMISSIONS)
    except GraphQLError as error:
        is_known = (error.extensions or {})["code"] == "FORBIDDEN"
        return HttpResponse(error.message, status=403 if is_known else 401, content_type="text/plain")
    blocks = (block.encode() for block in _FILES[name]())
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "private, no-store"}
    return StreamingHttpResponse(blocks, content_type="text/csv; charset=utf-8", headers=headers)
