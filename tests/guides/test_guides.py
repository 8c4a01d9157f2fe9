"""What the guides say is what the program does."""

from __future__ import annotations

import argparse
import doctest
import importlib
import re
from pathlib import Path

import pytest
import worked_example
from llmbin_tools.llmbin import COMMANDS

from llmbin_core.bintable import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = [
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith((".", "build")) for part in path.relative_to(ROOT).parts)
]
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("llmbin_core", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
)


def test_outputs_of_the_worked_example(example: tuple[Path, dict[str, str]]) -> None:
    _, printed = example
    for block in worked_example.blocks(worked_example.GUIDE.read_text(encoding="utf-8")):
        for one in block:
            assert worked_example.same(one.output, printed[one.text]), (
                f"$ {one.text}\n{printed[one.text]}\nThe guide shows\n{one.output}\n"
                "'make example' writes it anew."
            )


def test_python_of_the_readme(
    example: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example[0])
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {}, "README.md", "README.md", 0)
    assert len(test.examples) > 10
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.failed == 0, "".join(said)


@pytest.mark.parametrize(
    ("shown", "printed", "agree"),
    [
        ("a\t1.00\n", "a\t1.01\n", True),
        ("a\t1.00\n", "a\t1.5\n", False),
        ("a\t1\n", "b\t1\n", False),
        ("a 1\n", "a\t1\n", False),
        ("x\n", "x\ny\n", False),
        ("100\n", "103\n", False),
    ],
)
def test_outputs_are_compared_as_they_should(shown: str, printed: str, agree: bool) -> None:
    assert worked_example.same(shown, printed) is agree


def test_columns_of_the_table_of_bins() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.*) \|$", README, re.MULTILINE))
    assert {name: rows.get(name) for name in COLUMNS} == {n: t for n, (_, t) in COLUMNS.items()}


def test_messages_of_the_troubleshooting_are_those_of_the_program() -> None:
    part = README.split("## Troubleshooting")[1].split("\n## ")[0]
    messages = re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)
    assert len(messages) > 10
    # In the source a message is cut into lines and has figures in it.
    source = re.sub(r'"\s*\n\s*f?"', "", SOURCE)
    for message in messages:
        pattern = r"\{[^}]+\}".join(re.escape(p) for p in re.split(r"\b[NM]\b", message))
        assert re.search(pattern, source), message


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w -]", "", h).lower().replace(" ", "-")
        for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith(("http:", "https:")):
            assert (guide.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_of_the_guides_exist(guide: Path) -> None:
    """Every line that calls an executable uses options that it has."""
    for line in guide.read_text(encoding="utf-8").splitlines():
        match = re.match(r"^(?:\$ )?llmbin[ -](\w+) (.*)$", line)
        if not match or match[1] not in COMMANDS:
            continue
        parser = importlib.import_module(f"llmbin_tools.{match[1]}")._parser()
        for word in match[2].split():  # a command of the command has options of its own
            parser = _commands_of(parser).get(word, parser)
        for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", match[2]):
            assert option in parser._option_string_actions, line


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {name: sub for action in found for name, sub in action.choices.items()}


def test_every_top_folder_has_a_readme() -> None:
    for folder in ("llmbin_core", "tools", "tests"):
        assert (ROOT / folder / "README.md").is_file()
