"""What an extension's process prints to its standard error."""

import contextlib
import os
import threading

_KEPT = 8000
# Of a process that has ended, all has been read within a moment; one that lives on may say more for ever.
_SECONDS = 0.2


class Complaints:
    """The end of what is printed to it, however much that is: a process may run, and print, for weeks.

    It is given to the process as its standard error.
    """

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self._kept = b""
        self._closed = False
        self._reader = threading.Thread(target=self._read, args=(reading,), name="complaints", daemon=True)
        self._reader.start()

    def fileno(self) -> int:
        return self._writing

    def close(self) -> None:
        """Closes our side, once the process has its own or there is none: then its end is seen."""
        if not self._closed:
            self._closed = True
            os.close(self._writing)

    def text(self) -> str:
        """The last 8,000 bytes of what was printed so far. Asked once the process has been started, or could not be."""
        self.close()
        self._reader.join(_SECONDS)
        return self._kept.decode(errors="replace")

    def _read(self, reading: int) -> None:
        with contextlib.suppress(OSError), open(reading, "rb", buffering=0) as pipe:
            while piece := pipe.read(65_536):
                self._kept = (self._kept + piece)[-_KEPT:]
