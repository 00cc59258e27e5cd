"""Loaded by pytest before Django reads its settings: a configuration of the suite's own, whatever the machine's is."""

import os
import tempfile

for _name in list(os.environ):
    if _name.endswith("_API_KEY") or (
        _name.startswith(("GANDER_", "GOOSE_")) and not _name.startswith("GANDER_TEST_")
    ):
        del os.environ[_name]

os.environ["GANDER_DATA_DIR"] = tempfile.mkdtemp(prefix="gander-tests-")
os.environ["GANDER_LOG_LEVEL"] = "warning"

# pytest-playwright keeps an event loop in the main thread, beside which Django would refuse its database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
