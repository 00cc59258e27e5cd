"""A session as somebody may read it: whatever shows content goes through a :class:`Reading`.

The owner's is made here; everyone else's in ``sharing.access``, with a mask.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet

from sessions_app.models import FileDiff, Item, Message, Part, Session
from sessions_app.paths import relative
from sessions_app.render.tool import obj, txt

Mask = Callable[[str, Any], Any]


def unmasked(kind: str, data: Any) -> Any:
    """What the owner sees: everything."""
    return data


@dataclass(frozen=True, slots=True)
class Change:
    """How one file changed: one patch, or one for each turn that changed it, in order."""

    pk: int
    file: str
    patches: list[str]
    statuses: list[str]
    additions: int
    deletions: int

    @property
    def status(self) -> str:
        """From before the first patch to after the last."""
        if self.statuses[-1] == "deleted":
            return "deleted"
        return "added" if self.statuses[0] == "added" else self.statuses[-1]


@dataclass(frozen=True, slots=True)
class Reading:
    """A session, and what of it may be read.

    ``mask(kind, data)`` takes a session, message, part, diff or other item, and answers what may be shown of it.
    """

    session: Session
    mask: Mask = unmasked
    masked: bool = False

    def info(self) -> Any:
        """What the source said of the session, ``None`` where it said nothing."""
        if self.session.info is None:
            return None
        shown = self.mask("session", self.session.info)
        if self.session.title_is_own:
            # The title that the owner gave, not the one that it replaced.
            shown = {**shown, "title": self.title}
        return shown

    def text(self, value: str) -> str:
        """A title, a directory, a file's name."""
        return str(self.mask("text", value))

    @property
    def title(self) -> str:
        return self.text(self.session.shown_title)

    @property
    def model_names(self) -> list[str]:
        """The models that answered; local ones are called by where they lie."""
        return [self.text(name) for name in self.session.model_names]

    @property
    def directory(self) -> str:
        return self.text(self.session.directory)

    def file(self, row: FileDiff) -> str:
        """A changed file's name, as seen from the session's directory."""
        return relative(self.text(row.file), self.directory)

    def messages(self) -> QuerySet[Message]:
        """Messages in order; placeholders, of which nothing is known yet, are left out."""
        return self.session.messages.filter(placeholder=False)

    def message(self, row: Message) -> Any:
        return self.mask("message", row.data)

    def part(self, row: Part) -> Any:
        return self.mask("part", row.data)

    @property
    def revert_mark(self) -> str:
        """Where the session was taken back to: a message's id, and a part's where the message itself stays."""
        revert = obj(obj(self.session.info).get("revert"))
        return f"{txt(revert.get('messageID'))} {txt(revert.get('partID'))}".strip()

    def is_reverted(self, message_id: str) -> bool:
        """Whether the session was taken back to before this message."""
        first, _, part = self.revert_mark.partition(" ")
        return bool(first) and (message_id > first or (message_id == first and not part))

    @property
    def files_changed(self) -> int:
        """How many files :meth:`changes` answers."""
        return len({digest for _, digest in self._kept()}) if self.revert_mark else self.session.files

    def changes_of_turns(self, prompts: Iterable[str]) -> dict[str, list[FileDiff]]:
        """What the turn of each of these prompts changed, by the prompt's id; without the patches."""
        rows = self.session.diffs.filter(message__external_id__in=list(prompts)).defer("patch")
        found: dict[str, list[FileDiff]] = {}
        for row in rows.annotate(prompt=F("message__external_id")).order_by("file"):
            row.file = self.file(row)
            found.setdefault(row.prompt, []).append(row)
        return found

    def change(self, pk: int) -> Change | None:
        """One of :meth:`changes`."""
        return next((change for change in self.changes() if change.pk == pk), None)

    def change_of_turn(self, pk: int) -> Change | None:
        """What a single turn did to one file."""
        row = self.session.diffs.filter(pk=pk).exclude(message=None).first()
        return self._change([row]) if row else None

    def changes(self) -> list[Change]:
        """Every file changed: as the source says of the whole session, else what each prompt's turn did, in order.

        Of turns that were taken back nothing is left.
        """
        kept = self._kept()
        rows = self.session.diffs.in_bulk([pk for pk, _ in kept])
        by_file: dict[str, list[FileDiff]] = {}
        for pk, digest in kept:
            if row := rows.get(pk):
                by_file.setdefault(digest, []).append(row)
        return sorted(map(self._change, by_file.values()), key=lambda change: change.file)

    def _kept(self) -> list[tuple[int, str]]:
        """The rows that :meth:`changes` is made of, in order: each one's key and its file's."""
        whole = list(self.session.diffs.filter(message=None).values_list("pk", "file_digest"))
        if whole:
            return whole
        of_turns = self.session.diffs.order_by("message__created_at", "message__external_id")
        rows = of_turns.values_list("pk", "file_digest", "message__external_id")
        return [(pk, digest) for pk, digest, prompt in rows if not self.is_reverted(prompt)]

    def _change(self, rows: list[FileDiff]) -> Change:
        return Change(
            pk=rows[-1].pk,
            file=self.file(rows[-1]),
            patches=[self.text(row.patch) for row in rows],
            statuses=[row.status for row in rows],
            additions=sum(row.additions for row in rows),
            deletions=sum(row.deletions for row in rows),
        )

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every item as the source would send it, ``(kind, data)``, in the order of opencode's server.

        That server sorts by the keys ``message/<id>``, ``model``, ``part/<message>/<id>``, ``session``,
        ``session_diff``; further kinds stand where their names sort.
        """
        sections: list[tuple[str, Callable[[], Iterator[tuple[str, Any]]]]] = [
            ("message/", self._message_items),
            ("part/", self._part_items),
        ]
        if self.session.info is not None:
            sections.append(("session", lambda: iter([("session", self.info())])))
        rows = list(self.session.items.all())
        if models := [self.mask("model", row.data) for row in rows if row.kind == "model"]:
            sections.append(("model", lambda: iter([("model", models)])))
        sections += [
            (f"{row.kind}/{row.external_id}" if row.external_id else row.kind, self._one(row))
            for row in rows
            if row.kind != "model"
        ]
        for _, section in sorted(sections, key=lambda section: section[0]):
            yield from section()

    def _one(self, row: Item) -> Callable[[], Iterator[tuple[str, Any]]]:
        return lambda: iter([(row.kind, self.mask(row.kind, row.data))])

    def _message_items(self) -> Iterator[tuple[str, Any]]:
        for row in self.messages().order_by("external_id").only("data").iterator():
            yield "message", self.message(row)

    def _part_items(self) -> Iterator[tuple[str, Any]]:
        rows = self.session.parts.order_by("message__external_id", "external_id")
        for row in rows.only("data").iterator():
            yield "part", self.part(row)
