from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView
from django.views.static import serve

from commercia.exports import export
from commercia.gateway_webhooks import receive
from commercia.metrics import metrics
from commercia.uploads import upload
from schema.serving.view import graphql

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/graphql/")),
    path("graphql/", graphql, name="graphql"),
    path("admin/", admin.site.urls),
    path("exports/<slug:name>.csv", export, name="export"),
    path("metrics", metrics),
    path("uploads/", upload, name="uploads"),
    path("webhooks/<slug:provider>/", receive),
]
if settings.SERVE_MEDIA:
    prefix = settings.MEDIA_URL.lstrip("/")
    urlpatterns.append(re_path(rf"^{prefix}(?P<path>.*)$", serve, {"document_root": settings.MEDIA_ROOT}))
