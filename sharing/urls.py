"""Where the visitors' door and opencode's share protocol are reached."""

from django.urls import include, path

from sharing import opencode, views

_protocol = [
    path("", opencode.collection, name="collection"),
    path("/<str:share_id>", opencode.item, name="item"),
    path("/<str:share_id>/sync", opencode.item_sync, name="sync"),
    path("/<str:share_id>/data", opencode.item_data, name="data"),
    path("/<str:share_id>/metadata", opencode.item_metadata, name="metadata"),
]

urlpatterns = [
    path("api/share", include((_protocol, "opencode"), namespace="share")),
    path("api/shares", include((_protocol, "opencode"), namespace="shares")),
    path("k/<str:key>/api/share", include((_protocol, "opencode"), namespace="ingest")),
    path("share/<str:share_id>", views.shared_session, name="shared-session"),
    path("share/<str:share_id>/parts/<int:pk>", views.whole_part, name="shared-part"),
]
