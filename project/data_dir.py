"""The data directory and what Gander itself keeps in it."""

import contextlib
import os
import secrets
from pathlib import Path

from project.config import ConfigurationError


def prepare(directory: Path) -> None:
    """Makes the directory, readable by its owner alone.

    Raises:
        ConfigurationError: it cannot be made or written.
    """
    try:
        if not directory.is_dir():
            directory.mkdir(mode=0o700, parents=True)
            directory.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the data directory {directory} cannot be made ({error.strerror}); set GANDER_DATA_DIR to another"
        ) from None
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"the data directory {directory} cannot be written; set GANDER_DATA_DIR to another, or change its owner"
        )


def secret_key(directory: Path) -> str:
    """The installation's secret key, generated at the first call and kept with mode 0600."""
    path = directory / "secret_key"
    if not path.exists():
        # Linked into place whole: processes that start together agree on one key and never read half of it.
        draft = directory / f".secret_key.{os.getpid()}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(48))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written ({error.strerror})") from None
    try:
        key = path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})") from None
    if len(key) < 32:
        raise ConfigurationError(f"{path} holds no usable key; delete it to have a new one made")
    return key
