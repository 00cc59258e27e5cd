from django.apps import AppConfig
from django.db.models.signals import post_delete, pre_save


class SessionsConfig(AppConfig):
    name = "sessions_app"

    def ready(self) -> None:
        from extensions.models import Extension
        from sessions_app.agent import standing

        pre_save.connect(standing.on_change, sender=Extension)
        post_delete.connect(standing.on_delete, sender=Extension)
