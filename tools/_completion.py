"""Completion scripts for bash, zsh and fish, made from the parsers of the executables.

The scripts hold all options themselves, so completing starts no Python.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SHELLS = ("bash", "zsh", "fish")


class Option(NamedTuple):
    """One option: its name, what it may be followed by, its help."""

    name: str
    takes_value: bool
    choices: tuple[str, ...]
    help: str


class Command(NamedTuple):
    """A command line up to its options: ``llmbin bin``, ``llmbin-bin``, ``llmbin models list``."""

    words: tuple[str, ...]
    help: str
    options: tuple[Option, ...]
    below: tuple[str, ...]


def script(shell: str, commands: Mapping[str, str]) -> str:
    """The completion script of a shell.

    Parameters
    ----------
    shell : str
        One of SHELLS.
    commands : mapping
        The commands of ``llmbin`` and what they do.
    """
    top = Command(("llmbin",), "", (), (*commands, "completion"))
    found = [top, Command(("llmbin", "completion"), "", (), SHELLS)]
    for name in commands:
        module = importlib.import_module(f"llmbin_tools.{name}")
        for words in ((("llmbin", name),) if name == "run" else
                      (("llmbin", name), (f"llmbin-{name}",))):  # fmt: skip
            found += _walk(words, commands[name], module._parser())
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](found)


def _walk(words: tuple[str, ...], help: str, parser: argparse.ArgumentParser) -> Iterator[Command]:
    options, below = [], {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below = dict(action.choices)
        for name in action.option_strings:
            choices = tuple(map(str, action.choices or ()))
            text = " ".join((action.help or "").replace("%%", "%").split())
            options.append(Option(name, action.nargs != 0, choices, text))
    yield Command(words, help, tuple(options), tuple(below))
    for name, inner in below.items():
        yield from _walk((*words, name), inner.description or "", inner)


def _bash(commands: list[Command]) -> str:
    cases, values = [], []
    for c in commands:
        line = " ".join(c.words)
        offered = " ".join((*c.below, *(o.name for o in c.options)))
        cases.append(f'        "{line}") offered="{offered}" ;;')
        for o in c.options:
            if o.takes_value:
                offer = f'offered="{" ".join(o.choices)}"' if o.choices else "files=1"
                values.append(f'        "{line} {o.name}") {offer}; value=1 ;;')
    words = sorted({w for c in commands for w in c.words[1:]})
    programs = sorted({c.words[0] for c in commands})
    return _BASH.format(
        words="|".join(words),
        cases="\n".join(cases),
        values="\n".join(values),
        programs=" ".join(programs),
    )


_BASH = """\
# bash completion of llmbin; made by: llmbin completion bash
_llmbin() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} line=${{COMP_WORDS[0]##*/}}
    local option= offered= files= value= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        -*) option=${{COMP_WORDS[i]}} ;;
        {words}) [[ $option ]] || line+=" ${{COMP_WORDS[i]}}" ;;
        esac
    done
    # The value of an option: its choices, or a file; several where an option takes several.
    case "$line $option" in
{values}
    esac
    if [[ ! $value || $word == -* ]]; then
        offered= files=
        case $line in
{cases}
        esac
    fi
    local IFS=$' \t\n'
    COMPREPLY=($(compgen -W "$offered" -- "$word"))
    if [[ $files ]]; then
        IFS=$'\n'
        COMPREPLY+=($(compgen -f -- "$word"))
        compopt -o filenames 2>/dev/null
    fi
    return 0
}}
complete -F _llmbin {programs}
"""


def _zsh(commands: list[Command]) -> str:
    # zsh runs bash's function; its own descriptions would need a second description of everything.
    return "\n".join(
        (
            "#compdef llmbin",
            "# zsh completion of llmbin; made by: llmbin completion zsh",
            "autoload -U +X compinit && (( $+functions[compdef] )) || compinit -u",
            "autoload -U +X bashcompinit && bashcompinit",
            _bash(commands).split("\n", 1)[1],
        )
    )


def _fish(commands: list[Command]) -> str:
    lines = ["# fish completion of llmbin; made by: llmbin completion fish"]
    for c in commands:
        program, *words = c.words
        seen = "; and ".join(f"__fish_seen_subcommand_from {w}" for w in words)
        start = f"complete -c {program}"
        if c.below:
            none = f"not __fish_seen_subcommand_from {' '.join(c.below)}"
            condition = "; and ".join(filter(None, (seen, none)))
            lines.append(f"{start} -f -n {_quoted(condition)} -a {_quoted(' '.join(c.below))}")
        for o in c.options:
            kind = "-l" if o.name.startswith("--") else "-s"
            line = f"{start}{f' -n {_quoted(seen)}' if seen else ''} {kind} {o.name.lstrip('-')}"
            if o.takes_value:
                line += f" -x -a {_quoted(' '.join(o.choices))}" if o.choices else " -r -F"
            lines.append(f"{line} -d {_quoted(o.help)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
