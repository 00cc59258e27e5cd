"""What admins say about agents: which models may be used, and where sessions may work."""

from typing import Any

from django import forms
from django.contrib import admin

from sessions_app.agent.models import AllowedModel, WorkspaceRoot


@admin.register(AllowedModel)
class AllowedModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("provider", "name", "url")
    list_filter = ("provider",)


class WorkspaceRootForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = WorkspaceRoot
        fields = ("path", "user")

    def clean_path(self) -> Any:
        path = str(self.cleaned_data["path"])
        if not path.startswith("/") or path.strip("/") == "":
            raise forms.ValidationError(
                "Give the whole path of a directory, below the root of the file system."
            )
        return path.rstrip("/")


@admin.register(WorkspaceRoot)
class WorkspaceRootAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = WorkspaceRootForm
    list_display = ("path", "user")
