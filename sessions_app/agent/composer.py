"""What the owner needs to talk to a session's agent: models and modes to pick from, extensions, and what it is at."""

from dataclasses import dataclass
from typing import Any

from extensions import switches
from sessions_app.agent import choices, state
from sessions_app.agent.models import AgentSettings, Mode
from sessions_app.agent.state import AgentState
from sessions_app.models import Session

MODE_SAYS = {
    Mode.APPROVE: "It reads by itself, and asks you before anything that may change something.",
    Mode.AUTO: "It writes files and calls tools on its own; for folders where mistakes cost little.",
    Mode.CHAT: "It answers from the conversation alone.",
}


@dataclass(frozen=True, slots=True)
class Option:
    """One of several to pick from."""

    value: str
    label: str
    picked: bool = False
    says: str = ""
    # Whether it can be picked at all.
    open: bool = True


@dataclass(frozen=True, slots=True)
class Composer:
    """All that the end of the owner's page shows of a session's agent."""

    state: AgentState
    models: list[Option]
    modes: list[Option]
    extensions: list[Option]
    # Why nothing can be sent, and what an admin must do.
    problem: str
    # What was typed and could not be sent.
    typed: str = ""

    @property
    def extensions_on(self) -> int:
        return sum(option.picked for option in self.extensions)


def of(session: Session, user: Any, typed: str = "") -> Composer | None:
    """What the page shows; nothing for a session that Gander does not run."""
    found = state.of(session)
    setup = AgentSettings.objects.filter(session=session).first() if found is not None else None
    if found is None or setup is None:
        return None
    return Composer(
        state=found,
        models=models(setup.model),
        modes=modes(setup.mode),
        extensions=extensions(user, setup.extensions),
        problem=problem(),
        typed=typed,
    )


def problem() -> str:
    """Why no agent can run here, and what an admin must do; empty where one can."""
    try:
        choices.chosen("")
    except choices.UnknownModel as error:
        return str(error)
    return ""


def models(picked: str = "") -> list[Option]:
    """Every model that may be picked; the default goes by the empty name, so that it follows the installation's."""
    found = choices.available()
    options = [
        Option(
            value="" if number == 0 else choice.id,
            label=f"{choice.name} · {choice.provider.label}",
            picked=picked == choice.id or (number == 0 and not picked),
        )
        for number, choice in enumerate(found)
    ]
    if picked and not any(option.picked for option in options):
        options.append(Option(picked, f"{picked}, not allowed any more", picked=True))
    return options


def modes(picked: str = Mode.APPROVE) -> list[Option]:
    """What an agent may do without asking."""
    return [Option(mode, str(mode.label), mode == picked, MODE_SAYS[mode]) for mode in Mode]


def extensions(user: Any, wanted: list[str] | None = None) -> list[Option]:
    """The catalogue: what is switched off for its user cannot be had in a session either."""
    return [
        Option(
            value=switch.extension.name,
            label=switch.extension.name,
            picked=switch.enabled and (wanted is None or switch.extension.name in wanted),
            says=switch.extension.description,
            open=switch.enabled,
        )
        for switch in switches.of(user)
    ]


def wanted_extensions(user: Any, picked: list[str]) -> list[str] | None:
    """What to note of picked extensions: nothing where all that are on were, so that later ones are on too."""
    on = {extension.name for extension in switches.enabled(user)}
    return None if on <= set(picked) else [name for name in picked if name in on]
