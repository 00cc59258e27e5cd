"""The owner's pages."""

from django.urls import path

from sessions_app import session_views, views

app_name = "sessions"

urlpatterns = [
    path("sessions", views.session_list, name="list"),
    path("sessions/summary", views.list_summary, name="summary"),
    path("sessions/choices", views.list_choices, name="choices"),
    path("sessions/many", views.change_many, name="many"),
    *(
        path(
            f"sessions/<uuid:session_id>{end}",
            views.of_owner(view),
            name="session" if end == "" else view.__name__,
        )
        for end, view in session_views.VIEWS.items()
    ),
    path("sessions/<uuid:session_id>/change", views.change_session, name="change-session"),
    path("sessions/<uuid:session_id>/delete", views.delete_session, name="delete"),
]
