"""Pages and endpoints about accounts."""

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from project.accounts import device, views

app_name = "accounts"

urlpatterns = [
    path(
        "sign-in",
        auth.LoginView.as_view(template_name="accounts/sign_in.html", redirect_authenticated_user=True),
        name="sign-in",
    ),
    path("sign-out", auth.LogoutView.as_view(), name="sign-out"),
    path(
        "password",
        auth.PasswordChangeView.as_view(
            template_name="accounts/password.html", success_url=reverse_lazy("accounts:password-changed")
        ),
        name="password",
    ),
    path(
        "password/changed",
        auth.PasswordChangeDoneView.as_view(template_name="accounts/password_changed.html"),
        name="password-changed",
    ),
    path("setup/<str:token>", views.set_up, name="set-up"),
    path("invitation/<str:token>", views.accept_invitation, name="invitation"),
    path("tokens", views.token_list, name="tokens"),
    path("tokens/<int:pk>/revoke", views.revoke_token, name="revoke-token"),
    path("tokens/logins/<int:pk>/revoke", views.revoke_login, name="revoke-login"),
    path("tokens/ingest-key", views.renew_ingest_key, name="renew-ingest-key"),
    path("device", views.confirm_device, name="device"),
    path("auth/device/code", device.code, name="device-code"),
    path("auth/device/token", device.token, name="device-token"),
]
