"""Where Galaxy cannot be installed tests are skipped; where a version is wrong they fail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import server


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (("-m venv", "ensurepip"), server.NotInstalled),
        (("-m venv",), RuntimeError),
        (("planemo==", "--dry-run"), server.NotInstalled),
        (("planemo==",), RuntimeError),
        (("galaxy-app==", "--dry-run"), server.NotInstalled),
        (("galaxy-app==",), RuntimeError),
    ],
    ids=[
        "no pip",
        "no folder",
        "no index",
        "planemo is not in it",
        "no index any more",
        "Galaxy is not in it",
    ],
)
def test_install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: tuple[str, ...],
    error: type[Exception],
) -> None:
    def run(*command: str) -> subprocess.CompletedProcess[str]:
        failed = any(one in " ".join(command) for one in failing)
        return subprocess.CompletedProcess(command, int(failed), "", "the reason\n")

    monkeypatch.setattr(server, "_run", run)
    with pytest.raises(error, match="the reason") as raised:
        server.Server(tmp_path / "root").install()
    assert type(raised.value) is error
