"""The folder in which the worked example was run."""

from __future__ import annotations

from pathlib import Path

import pytest
import worked_example


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Its folder, and command -> what it printed."""
    folder = tmp_path_factory.mktemp("example")
    guide = worked_example.GUIDE.read_text(encoding="utf-8")
    commands = [one.text for block in worked_example.blocks(guide) for one in block]
    return folder, {text: worked_example.run(text, folder) for text in commands}
