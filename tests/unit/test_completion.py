"""Completion scripts, tried in the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from llmbin_tools._completion import SHELLS, script
from llmbin_tools.llmbin import COMMANDS
from llmbin_tools.llmbin import main as llmbin

# A line, what is offered at its end and what is not.
CASES = [
    ("llmbin cl", {"cluster"}, {"prepare", "--grid"}),
    ("llmbin ", {*COMMANDS, "completion"}, set()),
    ("llmbin models f", {"fetch"}, {"list"}),
    ("llmbin models fetch --o", {"--offline"}, {"--out"}),
    ("llmbin cluster --gr", {"--grid"}, {"--contigs"}),
    ("llmbin-cluster --grid ", {"default", "full"}, {"--grid", "cluster"}),
    ("llmbin bin --choose p", {"partition"}, {"bins"}),
    ("llmbin run --model-", set(), {"--model"}),
    ("llmbin run --contigs a", {"a file.fa", "assembly.fa"}, {"other.bam"}),
    ("llmbin completion ", {*SHELLS}, set()),
]


def _bash(line: str, source: Path, folder: Path) -> set[str]:
    words = line.split(" ")
    text = (
        f"source {source}; complete -p {words[0]} >/dev/null || exit 1; "
        f"COMP_WORDS=({' '.join(w or repr('') for w in words)}); COMP_CWORD={len(words) - 1}; "
        '_llmbin; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return _lines(["bash", "--norc", "-c", text], folder)


def _fish(line: str, source: Path, folder: Path) -> set[str]:
    text = f"source {source}; complete -C '{line}'"
    return {found.split("\t")[0] for found in _lines(["fish", "--no-config", "-c", text], folder)}


def _zsh(line: str, source: Path, folder: Path) -> set[str]:
    """Types the line and TAB into an interactive zsh, and reads what its function was given."""
    seen = folder.parent / "seen"
    seen.unlink(missing_ok=True)
    keys = line.replace("'", "")
    text = f"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'cd {folder}; source {source}; functions[_plain]=$functions[_llmbin]; _llmbin() {{ _plain; print -rl -- "${{COMPREPLY[@]}}" > {seen}; }}; print rea""dy'
zpty -r -m shell x '*ready*'
zpty -n -w shell '{keys}'$'\\t'
for i in {{1..100}}; do [[ -s {seen} ]] && break; sleep 0.1; done
zpty -d shell
"""  # noqa: E501
    _lines(["zsh", "-f", "-c", text], folder)
    found = seen.read_text().splitlines() if seen.exists() else []
    # The function gives zsh all words; zsh keeps those that begin with what was typed.
    return {text for text in found if text.startswith(line.rsplit(" ", 1)[-1])}


def _lines(command: list[str], folder: Path) -> set[str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(filter(None, done.stdout.splitlines()))


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    source = tmp_path / "script"
    source.write_text(script(shell, COMMANDS))
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("a file.fa", "assembly.fa", "other.bam"):
        (folder / name).touch()
    ask = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    for line, offered, not_offered in CASES:
        found = ask(line, source, folder)
        unescaped = {text.replace("\\ ", " ") for text in found}
        assert offered <= unescaped, (line, unescaped)
        assert not not_offered & unescaped, (line, unescaped)


def test_wrong_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmbin(["completion", "csh"]) == 2
    assert "give one of bash, zsh, fish" in capsys.readouterr().err
    assert llmbin(["completion"]) == 2
    assert llmbin(["completion", "--help"]) == 0
    assert "example:" in capsys.readouterr().out
