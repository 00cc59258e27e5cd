"""The floor of the throughput figures: Django with no middleware, one view, one constant. Also its settings."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from project.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.constant"
MIDDLEWARE: list[str] = []


def constant(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b'{"constant": true}', content_type="application/json")


urlpatterns: list[Any] = [path("constant", constant)]
