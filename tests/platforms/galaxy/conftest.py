"""One installation of Galaxy for all tests; where there can be none, tests are skipped."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from server import NotInstalled, Server

GALAXY = Path(__file__).resolve().parents[3] / "galaxy"


# Tests that are told to end do so as at Ctrl-C, with the servers that they started.
signal.signal(signal.SIGTERM, signal.default_int_handler)


def _default_root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmbin-galaxy"


@pytest.fixture(scope="session")
def galaxy() -> Server:
    server = Server(Path(os.environ.get("LLMBIN_GALAXY") or _default_root()).resolve())
    try:
        server.install()
    except NotInstalled as error:
        pytest.skip(f"Galaxy and planemo cannot be installed here: {error}")
    return server


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the folder `galaxy`: what a server writes beside its files stays in it."""
    return Path(shutil.copytree(GALAXY, tmp_path / "galaxy"))
