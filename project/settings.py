"""Django's settings, all of them derived from :mod:`project.config`."""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF

from project import config, data_dir

BASE_DIR = Path(__file__).resolve().parent.parent
GANDER = config.get()

data_dir.prepare(GANDER.data_dir)
SECRET_KEY = GANDER.secret_key or data_dir.secret_key(GANDER.data_dir)
DEBUG = GANDER.debug

_base = urlsplit(GANDER.base_url)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", ".localhost", *GANDER.allowed_hosts]
if GANDER.host not in ("0.0.0.0", "::"):  # noqa: S104
    ALLOWED_HOSTS.append(f"[{GANDER.host}]" if ":" in GANDER.host else GANDER.host)
if _base.hostname:
    ALLOWED_HOSTS.append(_base.hostname)
_secure = _base.scheme == "https"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    # Before Channels, whose command for workers it replaces.
    "project",
    "channels",
    "corsheaders",
    "axes",
    "csp",
    "project.accounts",
    "sharing",
    "sessions_app",
    "extensions",
]

MIDDLEWARE = [
    "project.middleware.HealthMiddleware",
    "project.middleware.TrustedProxiesMiddleware",
    "project.middleware.NulMiddleware",
    "project.guide.GuideMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "sharing.headers.ShareHeadersMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "project.middleware.CsrfMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "project.accounts.identity.IdentityMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


def _databases() -> dict[str, dict[str, Any]]:
    if GANDER.database_url:
        # Requests run on a fixed pool of threads, so persistent connections are the pool.
        database = dj_database_url.parse(GANDER.database_url, conn_max_age=None, conn_health_checks=True)
        database["OPTIONS"] = {"connect_timeout": 10, **database.get("OPTIONS", {})}
        return {"default": {**database}}
    return {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": GANDER.data_dir / "gander.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": (
                    "PRAGMA journal_mode=WAL;"
                    f"PRAGMA synchronous={GANDER.sqlite_synchronous.upper()};"
                    "PRAGMA temp_store=MEMORY;PRAGMA mmap_size=134217728;PRAGMA cache_size=-16000;"
                ),
            },
        }
    }


DATABASES = _databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [GANDER.redis_url]},
        }
        if GANDER.redis_url
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

# Rendered parts, a few KB each.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 10_000, "CULL_FREQUENCY": 4},
    }
}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "sessions:list"
LOGOUT_REDIRECT_URL = "accounts:sign-in"

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "project.accounts.views.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True


def _static_version() -> str:
    """A digest of our static files, part of their URLs, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for path in sorted((BASE_DIR / "static").rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_URL = f"/static/{_static_version()}/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 31536000
WHITENOISE_ALLOW_ALL_ORIGINS = False

DATA_UPLOAD_MAX_MEMORY_SIZE = GANDER.max_sync_mb * 1024 * 1024

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_NAME = "gander_session"
CSRF_COOKIE_NAME = "gander_csrf"
CSRF_COOKIE_HTTPONLY = False
CSRF_FAILURE_VIEW = "project.errors.csrf_failure"
CSRF_TRUSTED_ORIGINS = [GANDER.base_url] if GANDER.base_url else []
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31536000 if _secure else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
USE_X_FORWARDED_HOST = True
X_FRAME_OPTIONS = "DENY"

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}

# Shares are public by their link; other origins may read them, without cookies.
CORS_URLS_REGEX = r"^/api/shares?/[^/]+(/data|/metadata)?$"
CORS_ALLOW_ALL_ORIGINS = True
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"secrets": {"()": "project.logs.SecretFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["secrets"]}},
    "root": {"handlers": ["stderr"], "level": GANDER.log_level.upper()},
    "loggers": {
        "daphne": {"level": "WARNING"},
        "uvicorn": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "asyncio": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        # They say the whole address of each request.
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},
        # It quotes what an extension prints, secrets and all; what matters of it is said by our own.
        "mcp": {"level": "CRITICAL"},
    },
}

SILENCED_SYSTEM_CHECKS = [
    # The CSRF middleware is a class of ours that derives from Django's.
    "security.W003",
    # TLS ends at a reverse proxy, which also does the redirect; cookies are secure where the base URL is https.
    "security.W008",
    "security.W012",
    "security.W016",
    # Sub-domains and preload are the operator's to decide.
    "security.W005",
    "security.W021",
    *([] if _secure else ["security.W004"]),
]
