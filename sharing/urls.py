"""Where the visitors' door and opencode's share protocol are reached."""

from django.urls import include, path

from sessions_app.session_views import VIEWS
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
    # The longer endings first: a share id has no dot, but a route's pattern would take one.
    *(
        path(
            f"share/<str:share_id>{end}",
            views.of_readers(view),
            name="shared-session" if end == "" else f"shared-{view.__name__}",
        )
        for end, view in sorted(VIEWS.items(), reverse=True)
    ),
]
