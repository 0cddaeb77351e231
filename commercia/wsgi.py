import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commercia.settings")
application = get_wsgi_application()
# Imports the schema before the first request; with preloading, once for all processes.
import_module(settings.ROOT_URLCONF)
