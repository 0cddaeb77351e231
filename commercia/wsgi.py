import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "commercia.settings")
application = get_wsgi_application()
# Built before the first request comes, and once for all processes where the server loads this before it forks.
import_module(settings.ROOT_URLCONF)
