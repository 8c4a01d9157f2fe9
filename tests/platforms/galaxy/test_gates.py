"""What planemo's linters say of tools, data manager, repositories and workflows."""

from __future__ import annotations

from pathlib import Path

import pytest
from server import Server

TOOLS = "tools/llmbin"
DATA_MANAGER = "data_managers/data_manager_llmbin"


@pytest.mark.parametrize(
    "command",
    [
        # The entry of LLMBin in bio.tools can only be asked for over the network.
        ("lint", "--skip", "BioToolsValid", TOOLS),
        ("lint", "--skip", "BioToolsValid", f"{DATA_MANAGER}/data_manager"),
        *(
            # version_bumped compares with what the Tool Shed has.
            ("shed_lint", "--tools", "--ensure_metadata", "-s", "version_bumped,BioToolsValid", one)
            for one in (TOOLS, DATA_MANAGER)
        ),
        ("workflow_lint", "workflows"),
    ],
    ids=" ".join,
)
def test_lint(galaxy: Server, files: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    *words, target = command
    done = galaxy.call(tmp_path, *words, files / target)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("target", [TOOLS, DATA_MANAGER, f"{DATA_MANAGER}/data_manager"])
def test_format(galaxy: Server, files: Path, tmp_path: Path, target: str) -> None:
    # The exit code is 0 in any case.
    done = galaxy.call(tmp_path, "format", "--dry-run", files / target)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("\n0 file(s) would be reformatted.\n"), done.stdout
