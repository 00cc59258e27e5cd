"""The members' page."""

from django.urls import path

from extensions import views

app_name = "extensions"

urlpatterns = [
    path("extensions", views.extension_list, name="list"),
    path("extensions/<slug:name>/switch", views.switch, name="switch"),
    path("extensions/<slug:name>/test", views.test, name="test"),
]
