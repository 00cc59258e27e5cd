"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from project import errors, pages
from project.api import api

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="sessions:list"), name="home"),
    path("", include("sharing.urls")),
    path("", include("sessions_app.urls")),
    path("", include("extensions.urls")),
    path("", include("project.accounts.urls")),
    path("api/docs", pages.api_reference, name="api-docs"),
    path("api/", api.urls),
    path("admin/", admin.site.urls),
    path("robots.txt", pages.robots, name="robots"),
    path("favicon.ico", pages.favicon, name="favicon"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
