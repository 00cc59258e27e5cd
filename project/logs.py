"""What must not stand in a log."""

import logging
import re

# Keys, one-time links and share ids are in addresses; whoever reads logs must not be able to use them.
_SECRET = re.compile(r"(/(?:k|setup|invitation|share|api/shares?)/)[\w-]{6,}")


def without_secrets(text: str) -> str:
    """The text with the secrets of our addresses cut to their beginning."""
    return _SECRET.sub(lambda match: f"{match[1]}{match[0][len(match[1]) :][:3]}…", text)


class SecretFilter(logging.Filter):
    """Cuts the secrets out of every record, whoever logs it."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (cut := without_secrets(message)) != message:
            record.msg, record.args = cut, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = without_secrets(logging.Formatter().formatException(record.exc_info))
        return True
