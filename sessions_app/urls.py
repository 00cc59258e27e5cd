"""The owner's pages."""

from django.urls import path

from sessions_app import views

app_name = "sessions"

urlpatterns = [
    path("sessions", views.session_list, name="list"),
    path("sessions/<uuid:session_id>", views.session_page, name="session"),
    path("sessions/<uuid:session_id>/parts/<int:pk>", views.whole_part, name="part"),
    path("sessions/<uuid:session_id>/change", views.change_session, name="change"),
    path("sessions/<uuid:session_id>/delete", views.delete_session, name="delete"),
]
