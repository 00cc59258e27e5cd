"""Links to sessions, as staff administer them."""

from sessions_app.models import Session


class SessionLink(Session):
    """A session's own link; the same row, without its content."""

    class Meta:
        proxy = True
        verbose_name = "session link"

    def __str__(self) -> str:
        return f"Link {self.link_hint}"

    @property
    def link_hint(self) -> str:
        """The link's first characters: enough to find it, not enough to open it."""
        return f"{self.share_id[:6]}…"
