"""The help of every command: an example that works, a text for every option, defaults, units."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from llmbin_tools.llmbin import COMMANDS


def _walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _walk(inner)


def _parsers() -> list[argparse.ArgumentParser]:
    mains = [importlib.import_module(f"llmbin_tools.{name}")._parser() for name in COMMANDS]
    return [parser for main in mains for parser in _walk(main)]


PARSERS = {parser.prog: parser for parser in _parsers()}


@pytest.mark.parametrize("prog", PARSERS)
def test_examples_are_commands_that_parse(prog: str) -> None:
    title, *lines = (PARSERS[prog].epilog or "").split("\n")
    assert title == "example:"
    assert lines
    for line in lines:
        words = [word for word in shlex.split(line.split(" > ")[0]) if word != "\\"]
        assert " ".join(words).startswith(prog), line
        top = prog.split(" ")[0] if prog != "llmbin run" else prog
        PARSERS[top].parse_args(words[len(top.split(" ")) :])


@pytest.mark.parametrize("prog", PARSERS)
def test_every_option_is_explained(prog: str) -> None:
    parser = PARSERS[prog]
    text = " ".join(parser.format_help().split())
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        name = action.option_strings[-1] if action.option_strings else action.dest
        assert action.help, f"{prog} {name} has no help"
        shown = action.default not in (None, (), argparse.SUPPRESS, {})
        if shown and not isinstance(action.default, bool):
            assert f"(default: {action.default})" in text, f"{prog} {name} hides its default"


# What a number is: a count, base pairs, a share, another number that the help explains.
NUMBERS = {"N", "BP", "SHARE", "X", "K/N", "P", "MIN", "MAX"}


@pytest.mark.parametrize("prog", PARSERS)
def test_numbers_have_units(prog: str) -> None:
    for action in PARSERS[prog]._actions:
        numeric = isinstance(action.default, int | float) and not isinstance(action.default, bool)
        if numeric or getattr(action.type, "__name__", "") in ("int", "float", "positive"):
            metavars = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
            known = NUMBERS.issuperset(filter(None, metavars)) and None not in metavars
            assert known, f"{prog} {action.option_strings}: {action.metavar}"


def test_files_are_shown_as_such() -> None:
    for prog, parser in PARSERS.items():
        for action in parser._actions:
            if action.type is Path:
                assert action.metavar, f"{prog} {action.option_strings} has no metavar"
