"""The owner's pages."""

from django.urls import path

from sessions_app import session_views, views
from sessions_app.agent import views as agent_views

app_name = "sessions"

urlpatterns = [
    path("sessions", views.session_list, name="list"),
    path("sessions/summary", views.list_summary, name="summary"),
    path("sessions/choices", views.list_choices, name="choices"),
    path("sessions/many", views.change_many, name="many"),
    path("sessions/new", agent_views.new_session, name="new"),
    path("sessions/permissions", agent_views.permissions, name="permissions"),
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
    # Agents. The server guide's own names for these are the API's.
    path("sessions/<uuid:session_id>/say", agent_views.say, name="say"),
    path("sessions/<uuid:session_id>/set-up", agent_views.set_up, name="set-up"),
    path("sessions/<uuid:session_id>/stop/<uuid:turn_id>", agent_views.stop, name="stop"),
    path("sessions/<uuid:session_id>/decide/<path:call>", agent_views.decide, name="decide"),
    path("sessions/<uuid:session_id>/forks", agent_views.fork, name="fork"),
]
