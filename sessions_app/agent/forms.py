"""The form that begins a session."""

import contextlib
from typing import Any

from django import forms

from sessions_app.agent import composer, workspaces
from sessions_app.agent.models import Mode
from sessions_app.models import TITLE_LENGTH, Session, Source

_MOST_DIRECTORIES = 50


class NewSession(forms.Form):
    """Where an agent is to work, on which model, and what it may do there."""

    directory = forms.CharField(
        max_length=4000,
        label="Folder",
        help_text="Where the agent works; it reaches nothing outside. A name alone lies in your workspace.",
        error_messages={"required": "Name the folder in which the agent is to work."},
        widget=forms.TextInput(attrs={"list": "directories", "spellcheck": "false", "autocomplete": "off"}),
    )
    make = forms.BooleanField(required=False, label="Make the folder if it is not there")
    title = forms.CharField(
        max_length=TITLE_LENGTH,
        required=False,
        help_text="Without one it is called by the beginning of your first message.",
    )
    # Whether it may be used is for the act to say, which names those that may.
    model = forms.CharField(max_length=200, required=False, widget=forms.Select)
    mode = forms.ChoiceField(choices=Mode.choices, initial=Mode.APPROVE, label="What it may do")
    extensions = forms.MultipleChoiceField(required=False)

    def __init__(self, user: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.user = user
        # Where there is no workspace, the act says why.
        self._roots: list[str] = []
        with contextlib.suppress(workspaces.OutsideWorkspace):
            self._roots = [str(root) for root in workspaces.roots(user)]
            self.fields["directory"].initial = self._roots[0]
        options = [(option.value, option.label) for option in composer.models()]
        self.fields["model"].widget.choices = options
        names = [option.value for option in composer.extensions(user)]
        self.fields["extensions"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    @property
    def modes(self) -> list[composer.Option]:
        return composer.modes(self["mode"].value() or Mode.APPROVE)

    @property
    def switches(self) -> list[composer.Option]:
        """The extensions, picked as they were on the form."""
        return composer.extensions(self.user, self["extensions"].value() or [] if self.is_bound else None)

    @property
    def directories(self) -> list[str]:
        """What may be meant: where sessions may work, and where they did."""
        used = (
            Session.objects.owned_by(self.user)
            .filter(source=Source.GANDER)
            .order_by("-updated_at")
            .values_list("directory", flat=True)[:_MOST_DIRECTORIES]
        )
        return list(dict.fromkeys([*self._roots, *used]))
