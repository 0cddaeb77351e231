"""The limit: a view that does nothing but return the bytes of an answer, on the same gunicorn.

BARE_MIDDLEWARE says behind how much: `all` of ours, or `none`. `/W1` is the file W1 of the folder BARE_ANSWERS.
"""

import os
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "commercia.settings"

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.ROOT_URLCONF = __name__
if os.environ["BARE_MIDDLEWARE"] == "none":
    settings.MIDDLEWARE = []
ANSWERS = {file.name: file.read_bytes() for file in Path(os.environ["BARE_ANSWERS"]).iterdir()}


@csrf_exempt
def answer(_: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(ANSWERS[name], content_type="application/json")


urlpatterns = [path("<str:name>", answer)]
application = get_wsgi_application()
