"""The ASGI application: what waits stays on the event loop, every other request runs on a small thread pool."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

django.setup(set_prefix=False)

from project.request_pool import RequestPool  # noqa: E402
from project.routing import Router  # noqa: E402

application = Router(
    RequestPool(WSGIHandler(), settings.GANDER.threads, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
)
