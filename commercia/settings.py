"""The settings. `.env.example` explains each environment variable that is read here."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
import sentry_sdk
from botocore.config import Config
from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from commercia import logs, sentry

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / "data"

env = environ.Env()
env.read_env(BASE_DIR / ".env")


def env_list(name: str, default: str = "") -> list[str]:
    """A list whose items are separated by commas, spaces or both."""
    text: str = env.str(name, default)
    return text.replace(",", " ").split()


DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "")
SECRET_KEY_FALLBACKS = env_list("SECRET_KEY_FALLBACKS")
if not DEBUG and len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("Set SECRET_KEY to a random text of 32 characters or more, or DEBUG=true to try it out.")
if not SECRET_KEY:
    SECRET_KEY = "not-a-secret:for-development-only:" + "0" * 32
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "localhost 127.0.0.1 [::1]" if DEBUG else "")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")
# The storefronts that may call the API from a browser, with cookies.
CORS_ALLOWED_ORIGINS = env_list("CORS_ALLOWED_ORIGINS", "http://localhost:5173 http://localhost:3000" if DEBUG else "")
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = [*default_headers, "apollo-require-preflight", "x-apollo-operation-name"]
CORS_URLS_REGEX = r"^/(graphql|uploads)/$"

# ── The shop ─────────────────────────────────────────────────────────────────────────────────────────
SHOP_NAME = env.str("SHOP_NAME", "Commercia")
SHOP_CURRENCY = env.str("SHOP_CURRENCY", "EUR").upper()
SHOP_COUNTRIES = [
    code.upper()
    for code in env_list(
        "SHOP_COUNTRIES",
        "AT BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV MT NL NO PL PT RO SE SI SK US",
    )
]
# The shop's own country, whose taxes a cart shows before it has an address.
SHOP_COUNTRY = env.str("SHOP_COUNTRY", SHOP_COUNTRIES[0] if SHOP_COUNTRIES else "").upper()
if SHOP_COUNTRY and SHOP_COUNTRY not in SHOP_COUNTRIES:
    raise ImproperlyConfigured("SHOP_COUNTRY must be one of SHOP_COUNTRIES.")
PRICES_INCLUDE_TAX = env.bool("PRICES_INCLUDE_TAX", True)
MAX_DISCOUNT_CODES = max(env.int("MAX_DISCOUNT_CODES", 1), 0)
UNPAID_ORDER_HOURS = env.int("UNPAID_ORDER_HOURS", 24)
ABANDONED_CART_DAYS = env.int("ABANDONED_CART_DAYS", 90)
SHOP_LOW_STOCK = env.int("SHOP_LOW_STOCK", 3)
PAYMENT_PROVIDERS = [name.upper() for name in env_list("PAYMENT_PROVIDERS", "TEST" if DEBUG else "")]
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", "")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", "")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", "https://api.stripe.com")
PAYPAL_CLIENT_ID = env.str("PAYPAL_CLIENT_ID", "")
PAYPAL_SECRET = env.str("PAYPAL_SECRET", "")
PAYPAL_WEBHOOK_ID = env.str("PAYPAL_WEBHOOK_ID", "")
PAYPAL_API_BASE = env.str("PAYPAL_API_BASE", "https://api-m.paypal.com").rstrip("/")
FLUTTERWAVE_SECRET_KEY = env.str("FLUTTERWAVE_SECRET_KEY", "")
FLUTTERWAVE_WEBHOOK_SECRET = env.str("FLUTTERWAVE_WEBHOOK_SECRET", "")
# Whether webhooks are signed with the secret, or contain it.
FLUTTERWAVE_WEBHOOK_SIGNED = env.bool("FLUTTERWAVE_WEBHOOK_SIGNED", False)
FLUTTERWAVE_API_BASE = env.str("FLUTTERWAVE_API_BASE", "https://api.flutterwave.com").rstrip("/")
# How many requests of a process may wait for gateways at the same time. The other threads stay free for browsing.
GATEWAY_THREADS = env.int("GATEWAY_THREADS", max(env.int("WEB_THREADS", 6) - 2, 1))
_REQUIRED_SETTINGS = {
    "TEST": (),
    "STRIPE": ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"),
    "PAYPAL": ("PAYPAL_CLIENT_ID", "PAYPAL_SECRET", "PAYPAL_WEBHOOK_ID"),
    "FLUTTERWAVE": ("FLUTTERWAVE_SECRET_KEY", "FLUTTERWAVE_WEBHOOK_SECRET"),
}
if unknown := set(PAYMENT_PROVIDERS) - _REQUIRED_SETTINGS.keys():
    raise ImproperlyConfigured(f"PAYMENT_PROVIDERS has unknown names: {', '.join(sorted(unknown))}.")
for _provider in PAYMENT_PROVIDERS:
    if not all(globals()[name] for name in _REQUIRED_SETTINGS[_provider]):
        raise ImproperlyConfigured(
            f"{_provider} needs {', '.join(_REQUIRED_SETTINGS[_provider])}; see docs/{_provider.lower()}.md."
        )
if not re.fullmatch("[A-Z]{3}", SHOP_CURRENCY):
    raise ImproperlyConfigured("SHOP_CURRENCY must be an ISO 4217 code of three letters, such as EUR.")

# Larger import files (in bytes) are refused before they are read.
IMPORT_MAX_BYTES = env.int("IMPORT_MAX_BYTES", 50_000_000)

# ── The API ──────────────────────────────────────────────────────────────────────────────────────────
GRAPHIQL = env.bool("GRAPHIQL", DEBUG)
INTROSPECTION = env.bool("INTROSPECTION", DEBUG)
# The approximate number of values that one response may have.
MAX_QUERY_COST = env.int("MAX_QUERY_COST", 20_000)
# Larger request bodies (in bytes) are refused before they are parsed.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_BODY_BYTES", 100_000)
# The query cost per minute of one user, or of one address for guests; 0: no limit.
MAX_COST_PER_MINUTE = env.int("MAX_COST_PER_MINUTE", 1_000_000)
# The memory of a process for public catalogue responses, and their maximum age: docs/caching.md.
CATALOG_CACHE_MEGABYTES = env.int("CATALOG_CACHE_MEGABYTES", 16)
CATALOG_STALE_SECONDS = env.float("CATALOG_STALE_SECONDS", 2.0)
CATALOG_CACHE_CONTROL = env.str("CATALOG_CACHE_CONTROL", "public, max-age=5, s-maxage=10, stale-while-revalidate=10")
# Off switches of two optimisations that do not change any response: docs/performance.md.
COMPILED_READS = env.bool("COMPILED_READS", True)
PREPARED_QUERIES = env.bool("PREPARED_QUERIES", True)
# If set, only the operations in this file are executed.
PERSISTED_QUERIES_FILE = env.str("PERSISTED_QUERIES_FILE", "")
CART_COOKIE_DAYS = env.int("CART_COOKIE_DAYS", 60)

# ── Accounts ─────────────────────────────────────────────────────────────────────────────────────────
JWT_KEY = env.str("JWT_KEY", "")
JWT_KEY_FALLBACKS = env_list("JWT_KEY_FALLBACKS")
if not DEBUG and (len(JWT_KEY) < 32 or JWT_KEY == SECRET_KEY):
    raise ImproperlyConfigured("Set JWT_KEY to a random text of 32 characters or more that differs from SECRET_KEY.")
if not JWT_KEY:
    JWT_KEY = "not-a-key:for-development-only:" + "0" * 32
ACCESS_TOKEN_MINUTES = env.int("ACCESS_TOKEN_MINUTES", 10)
SESSION_DAYS = env.int("SESSION_DAYS", 30)
PASSWORD_RESET_MINUTES = env.int("PASSWORD_RESET_MINUTES", 60)
EMAIL_PROOF_DAYS = env.int("EMAIL_PROOF_DAYS", 7)
# For django-graphql-jwt, whose defaults accept expired tokens of any issuer, signed with SECRET_KEY.
GRAPHQL_JWT = {
    "JWT_SECRET_KEY": JWT_KEY,
    "JWT_ALGORITHM": "HS256",
    "JWT_VERIFY": True,
    "JWT_VERIFY_EXPIRATION": True,
    "JWT_ISSUER": env.str("JWT_ISSUER", SHOP_NAME),
    "JWT_AUDIENCE": "storefront",
}

# ── Mail ─────────────────────────────────────────────────────────────────────────────────────────────
# The base of the links in mails: /verify-email?token=… and /reset-password?token=… of the storefront.
STOREFRONT_URL = env.str("STOREFRONT_URL", "http://localhost:5173" if DEBUG else "").rstrip("/")
if not STOREFRONT_URL:
    raise ImproperlyConfigured("Set STOREFRONT_URL to the storefront's address, for the links in mails.")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("MAIL_FROM", "shop@localhost")
vars().update(env.email_url("EMAIL_URL", "consolemail://"))
EMAIL_TIMEOUT = 10

# ── Background work ──────────────────────────────────────────────────────────────────────────────────
# Without a broker, a thread of the server process delivers the outbox and runs the periodic jobs.
BROKER_URL = env.str("BROKER_URL", "")
IN_PROCESS_WORKER = env.bool("IN_PROCESS_WORKER", not BROKER_URL)
# Allows webhooks to private addresses and over plain HTTP: for development, never in production.
WEBHOOK_PRIVATE_TARGETS = env.bool("WEBHOOK_PRIVATE_TARGETS", False)
OUTBOX_LEASE_SECONDS = env.int("OUTBOX_LEASE_SECONDS", 120)
CELERY_BROKER_URL = BROKER_URL or None
CELERY_TASK_DEFAULT_QUEUE = env.str("TASK_QUEUE", "commercia")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# If a worker dies, its task goes to another one. No task runs longer than the hard limit.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# ── Django ───────────────────────────────────────────────────────────────────────────────────────────
ROOT_URLCONF = "commercia.urls"
WSGI_APPLICATION = "commercia.wsgi.application"
AUTH_USER_MODEL = "storefront.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

INSTALLED_APPS = [
    "unfold",  # Before the admin, because it replaces the admin's templates and site.
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "storefront",
]
if DEBUG and find_spec("django_extensions"):
    INSTALLED_APPS.append("django_extensions")  # For `make erd`.
MIDDLEWARE = [
    "commercia.requests.Health",
    "commercia.requests.RequestLog",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": env.db("DATABASE_URL", f"sqlite:///{DATA_DIR / 'shop.sqlite3'}")}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction takes the write lock when it starts, so it cannot fail to get it later.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
    # A file instead of memory, because each thread of a test has its own connection.
    _database["TEST"] = {"NAME": f"{_database['NAME']}.test"}
    DATA_DIR.mkdir(exist_ok=True)
else:
    _database["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", 60)
    _database["CONN_HEALTH_CHECKS"] = True
    # The server prepares a statement when a connection sends it for the third time: docs/performance.md.
    _prepared = {"server_side_binding": True, "prepare_threshold": 2} if env.bool("DATABASE_PREPARE", True) else {}
    _database["OPTIONS"] = _prepared | _database.get("OPTIONS", {})
# Replicas for reads of the public catalogue: docs/caching.md. The timeouts detect a dead replica within two seconds.
_REPLICA_TIMEOUTS = {"connect_timeout": 2, "tcp_user_timeout": 2_000}
DATABASE_REPLICAS: list[str] = []
for _url in env_list("DATABASE_REPLICA_URLS"):
    _replica = env.db_url_config(_url)
    if not _replica["ENGINE"] == _database["ENGINE"] == "django.db.backends.postgresql":
        raise ImproperlyConfigured("DATABASE_REPLICA_URLS and DATABASE_URL must be PostgreSQL addresses.")
    DATABASE_REPLICAS.append(f"replica{len(DATABASE_REPLICAS) + 1}")
    DATABASES[DATABASE_REPLICAS[-1]] = {
        **_replica,
        "CONN_MAX_AGE": _database["CONN_MAX_AGE"],
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _REPLICA_TIMEOUTS | _prepared | _replica.get("OPTIONS", {}),
        "TEST": {"MIRROR": "default"},
    }
DATABASE_ROUTERS = ["domain.base.replicas.Router"] if DATABASE_REPLICAS else []
DATABASE_REPLICA_LAG_SECONDS = env.int("DATABASE_REPLICA_LAG_SECONDS", 10)

# With Redis, all processes share one cache. Without it, each has its own, and shared data is in the database.
REDIS_URL = env.str("REDIS_URL", "")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "commercia",
        # Short, because the shop also works without the cache.
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATORS: dict[str, dict[str, Any]] = {
    "UserAttributeSimilarityValidator": {"user_attributes": ["email", "claimed_email", "name"]},
    "MinimumLengthValidator": {},
    "CommonPasswordValidator": {},
    "NumericPasswordValidator": {},
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in _VALIDATORS.items()
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# ── Files ────────────────────────────────────────────────────────────────────────────────────────────
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
MEDIA_URL = env.str("MEDIA_URL", "/media/")
MEDIA_ROOT = env.path("MEDIA_ROOT", str(DATA_DIR / "media"))
SERVE_MEDIA = env.bool("SERVE_MEDIA", DEBUG)
# Original uploads, which are private. Renditions are public, under MEDIA_URL.
ORIGINALS_ROOT = env.path("ORIGINALS_ROOT", str(DATA_DIR / "originals"))
MAX_IMAGE_BYTES = env.int("MAX_IMAGE_BYTES", 20_000_000)
MAX_IMAGE_PIXELS = env.int("MAX_IMAGE_PIXELS", 50_000_000)
S3_BUCKET = env.str("S3_BUCKET", "")


def s3_storages(**options: Any) -> dict[str, dict[str, Any]]:
    """The storages for the bucket's public and private parts (the bucket policy is in docs/images.md).

    The timeouts limit a failed call to five seconds: each of up to eight addresses is tried once.
    """
    shared = {
        "bucket_name": S3_BUCKET,
        "region_name": env.str("S3_REGION", "") or None,
        "endpoint_url": env.str("S3_ENDPOINT_URL", "") or None,
        "client_config": Config(
            signature_version="s3v4",
            connect_timeout=0.5,
            read_timeout=2,
            retries={"total_max_attempts": 1},
        ),
        **options,
    }
    public = {
        "custom_domain": env.str("S3_PUBLIC_DOMAIN", "") or None,
        "querystring_auth": False,
        # The content of a name never changes, so clients may cache it forever.
        "object_parameters": {"CacheControl": "public, max-age=31536000, immutable"},
    }
    backend = "storages.backends.s3.S3Storage"
    return {
        "default": {"BACKEND": backend, "OPTIONS": {**shared, **public}},
        "originals": {"BACKEND": backend, "OPTIONS": {**shared, "location": "originals"}},
    }


_ON_DISK = "django.core.files.storage.FileSystemStorage"
_MEDIA: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": _ON_DISK, "OPTIONS": {"allow_overwrite": True}},
    "originals": {"BACKEND": _ON_DISK, "OPTIONS": {"location": ORIGINALS_ROOT}},
}
STORAGES: dict[str, dict[str, Any]] = {
    **(s3_storages() if S3_BUCKET else _MEDIA),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# ── The admin ────────────────────────────────────────────────────────────────────────────────────────
UNFOLD: dict[str, Any] = {
    # Functions, because unfold treats a string with a dot as an import path.
    "SITE_TITLE": lambda _request: SHOP_NAME,
    "SITE_HEADER": lambda _request: SHOP_NAME,
    "SITE_SYMBOL": "storefront",
    "SITE_URL": lambda _request: STOREFRONT_URL,
    "SITE_FAVICONS": [{"rel": "icon", "href": "data:,"}],
    "STYLES": [lambda _request: static("shop/admin.css")],
    "SIDEBAR": {"navigation": "storefront.admin.navigation.sidebar"},
    "DASHBOARD_CALLBACK": "storefront.admin.front_page.with_numbers",
}

# ── Security and monitoring ──────────────────────────────────────────────────────────────────────────
HTTPS = env.bool("HTTPS", not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", 31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
BEHIND_PROXY = env.bool("BEHIND_PROXY", False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

if SENTRY_DSN := env.str("SENTRY_DSN", ""):
    sentry_sdk.init(**sentry.options(SENTRY_DSN))
# OpenTelemetry's exporter also reads this variable.
if env.str("OTEL_EXPORTER_OTLP_ENDPOINT", ""):
    MIDDLEWARE.insert(MIDDLEWARE.index("commercia.requests.RequestLog") + 1, "commercia.tracing.Tracing")
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
LOG_FORMAT = env.str("LOG_FORMAT", "text" if DEBUG else "json")
LOGGING = logs.configuration(as_json=LOG_FORMAT == "json", level=env.str("LOG_LEVEL", "INFO"))
