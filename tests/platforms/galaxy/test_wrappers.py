"""What the wrappers say, compared with the executables; no server is needed."""

from __future__ import annotations

import importlib
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from llmbin_tools.llmbin import COMMANDS

from llmbin_core import __version__

TOOLS = Path(__file__).resolve().parents[3] / "galaxy" / "tools" / "llmbin"
# Executables without a wrapper; the README of the folder says why.
NOT_WRAPPED = {"pretrain", "simulate", "models"}
WRAPPED = sorted(COMMANDS.keys() - NOT_WRAPPED)

# Options that no tool of Galaxy shows, and why.
LEFT_OUT_EVERYWHERE = {
    "--help": "help is in the tool",
    "--version": "asked by version_command",
    "--quiet": "the log is in the details of the job",
    "--verbose": "the log is in the details of the job",
    "--debug": "for developers",
    "--device": "the program finds the GPU of a job, or there is none",
}
_SCATTER = {
    "--sample": "for machines without a job system",
    "--merge": "for machines without a job system",
}
LEFT_OUT: dict[str, dict[str, str]] = {
    "run": {
        "--sample-names": "names of samples are those of datasets and elements",
        "--assembly-names": "names of samples are those of datasets and elements",
        "--from": "every job starts in an empty folder",
        "--dry-run": "every job starts in an empty folder",
        "--gzip": "bins are plain FASTA, as the tools after it want them",
    },
    "prepare": {"--sample-names": "names of samples are those of datasets and elements"},
    "coverage": {"--sample-names": "names of samples are those of datasets and elements"},
    "composition": {
        "--shard": "for machines without a job system",
        "--merge": "for machines without a job system",
    },
    "embed": {
        "--shard": "for machines without a job system",
        "--merge": "for machines without a job system",
        "--trust-remote-code": "a server must not run code that comes with a gLM",
    },
    "markers": {
        "--shard": "for machines without a job system",
        "--merge": "for machines without a job system",
    },
    "train": {
        "--checkpoint": "every job starts in an empty folder",
        "--sample": _SCATTER["--sample"],
    },
    "encode": _SCATTER,
    "cluster": _SCATTER,
    "bin": _SCATTER | {"--gzip": "bins are plain FASTA, as the tools after it want them"},
    "report": {
        "--run": "there are datasets, no folders",
        "--bin-files": "there are datasets, no folders",
    },
}
ORDER = (
    "description", "macros", "edam_topics", "edam_operations", "xrefs", "creator", "requirements",
    "required_files", "version_command", "command", "configfiles", "inputs", "outputs", "tests",
    "help", "citations",
)  # fmt: skip


def tool_file(command: str) -> Path:
    return TOOLS / ("llmbin.xml" if command == "run" else f"llmbin_{command}.xml")


@cache
def macros() -> Element:
    return ElementTree.parse(TOOLS / "macros.xml").getroot()


@cache
def tool(command: str) -> Element:
    return ElementTree.parse(tool_file(command)).getroot()


def expand(text: str) -> str:
    """Text with the tokens of the macros in it."""
    for token in macros().findall("token"):
        text = text.replace(token.get("name", ""), token.text or "")
    return text


def command_of(command: str) -> str:
    return expand(tool(command).findtext("command", ""))


def elements(root: Element) -> Iterator[Element]:
    """Elements of a tool and of the macros that it uses, in order."""
    for child in root:
        yield child
        if child.tag == "expand":
            name = child.get("macro")
            macro = next(m for m in macros().findall("xml") if m.get("name") == name)
            yield from elements(macro)
        yield from elements(child)


def parameters(command: str) -> dict[str, Element]:
    """Parameters by the option that they stand for."""
    found = {}
    for element in elements(tool(command)):
        if element.tag == "param" and element.get("argument"):
            found[element.get("argument", "")] = element
    return found


def parser_of(command: str) -> ArgumentParser:
    parser: ArgumentParser = importlib.import_module(f"llmbin_tools.{command}")._parser()
    return parser


def options(command: str) -> set[str]:
    return {o for a in parser_of(command)._actions for o in a.option_strings if o.startswith("--")}


def test_every_executable_has_a_wrapper() -> None:
    have = {file.stem for file in TOOLS.glob("llmbin*.xml")}
    assert have == {tool_file(command).stem for command in WRAPPED}
    readme = (TOOLS / "README.md").read_text(encoding="utf-8")
    for command in NOT_WRAPPED:
        assert f"`llmbin-{command}`" in readme


def test_versions_agree() -> None:
    tokens = {t.get("name"): t.text for t in macros().findall("token")}
    assert tokens["@TOOL_VERSION@"] == __version__
    (package,) = macros().findall(".//requirement")
    assert (package.text, package.get("version")) == ("llmbin", "@TOOL_VERSION@")
    (image,) = macros().findall(".//container")
    assert re.fullmatch(r"[a-z0-9.]+/[a-z0-9]+/llmbin:@TOOL_VERSION@--\w+", image.text or "")
    version = f"{__version__}+galaxy{tokens['@VERSION_SUFFIX@']}"
    for workflow in (TOOLS.parents[1] / "workflows").glob("*.gxwf.yml"):
        text = workflow.read_text(encoding="utf-8")
        assert set(re.findall(r"tool_version: *(.*)", text)) == {version}, workflow.name


@pytest.mark.parametrize("command", WRAPPED)
def test_head(command: str) -> None:
    root = tool(command)
    assert root.get("id") == tool_file(command).stem
    assert root.get("version") == "@TOOL_VERSION@+galaxy@VERSION_SUFFIX@"
    assert root.get("profile") == "@PROFILE@"
    inline = {"edam": "edam_topics", "requirements": "requirements", "citations": "citations"}
    tags = [inline[e.get("macro", "")] if e.tag == "expand" else e.tag for e in root]
    assert tags == sorted(tags, key=ORDER.index)


@pytest.mark.parametrize("command", WRAPPED)
def test_every_option_is_shown_or_left_out_for_a_reason(command: str) -> None:
    text = command_of(command)
    flags = {e.get("truevalue") for e in elements(tool(command)) if e.tag == "param"}
    written = set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", text)) | flags
    left_out = LEFT_OUT_EVERYWHERE.keys() | LEFT_OUT.get(command, {}).keys()
    assert options(command) - written - left_out == set()
    assert written & left_out - {"--version", "--quiet"} == set(), "shown, yet left out"
    # What is left out has to exist.
    assert LEFT_OUT.get(command, {}).keys() <= options(command)


@pytest.mark.parametrize("command", WRAPPED)
def test_defaults_are_those_of_the_executable(command: str) -> None:
    actions = {o: a for a in parser_of(command)._actions for o in a.option_strings}
    for option, parameter in parameters(command).items():
        assert option in actions, option
        default, kind = actions[option].default, parameter.get("type")
        if option == "--separator" and default is None:
            continue  # the wrapper asks whether there are several samples
        if kind in ("integer", "float"):
            shown = parameter.get("value")
            assert (float(shown) if shown else None) == default, option
        elif kind == "text":
            assert parameter.get("value") == (default or ""), option
        elif kind == "select" and parameter.find("option") is not None:
            values = [o.get("value") for o in parameter.findall("option")]
            chosen = [o.get("value") for o in parameter.findall("option") if o.get("selected")]
            if actions[option].choices:
                assert values == list(actions[option].choices or ()), option
                assert chosen == [default], option
        elif kind == "boolean":
            assert parameter.get("checked", "false") == "false"
            assert default is False


@pytest.mark.parametrize("command", WRAPPED)
def test_variables_are_quoted(command: str) -> None:
    booleans = {
        e.get("name") or e.get("argument", "").lstrip("-").replace("-", "_")
        for e in elements(tool(command))
        if e.tag == "param" and e.get("type") == "boolean"
    }
    unquoted = []
    for line in command_of(command).splitlines():
        if line.lstrip().startswith(("#", "@")):
            continue
        rest = re.sub(r"'[^']*'", "", line)
        rest = re.sub(r'"\\\$(\{GALAXY_SLOTS:-1\}|PWD/models)"', "", rest)
        found = re.findall(r"\$[{\w.]+", rest)
        unquoted += [v for v in found if v.lstrip("$").split(".")[-1] not in booleans]
    assert unquoted == []


@pytest.mark.parametrize("command", WRAPPED)
def test_command_line(command: str) -> None:
    root, text = tool(command), command_of(command)
    (found,) = root.findall("command")
    assert found.get("detect_errors") == "exit_code"
    assert "||" not in text
    assert '--threads "\\${GALAXY_SLOTS:-1}"' in text
    name = "llmbin run" if command == "run" else f"llmbin-{command}"
    assert re.search(rf"^{name}$", text, re.M)


@pytest.mark.parametrize("command", WRAPPED)
def test_tests_use_files_that_are_there(command: str) -> None:
    tests = tool(command).findall("tests/test")
    assert tests
    for test in tests:
        refused = test.get("expect_failure") == "true"
        assert (test.get("expect_num_outputs") is None) == refused
        assert test.get("expect_exit_code") == ("3" if refused else "0")
        assert not refused or test.find("assert_stderr") is not None
        inputs = [e for e in test.iter() if e.get("ftype") and e.tag in ("param", "element")]
        files = [file for e in inputs for file in e.get("value", "").split(",") if file]
        files += [str(e.get("file")) for e in test.iter() if e.get("file")]
        for file in files:
            assert (TOOLS / "test-data" / file).is_file(), file


@pytest.mark.parametrize("command", WRAPPED)
def test_every_branch_is_tested(command: str) -> None:
    tests = tool(command).findall("tests/test")
    assert any(test.get("expect_failure") == "true" for test in tests), "no test of bad input"
    values: dict[str, set[str]] = {}
    for test in tests:
        if test.get("expect_failure") != "true":
            for param in test.iter("param"):
                given = param.get("value", "")
                values.setdefault(param.get("name", ""), set()).update((given, *given.split(",")))
    (inputs,) = tool(command).findall("inputs")
    for element in elements(inputs):
        if element.tag == "param":
            name = element.get("name") or element.get("argument", "").lstrip("-").replace("-", "_")
            assert name in values, f"{name} is set in no test that has to succeed"
            for option in elements(element):
                value = option.get("value")
                if option.tag == "option" and not option.get("selected"):
                    assert value in values[name], f"{name}: {value} is chosen in no such test"


def test_no_bins_and_odd_names_are_tested() -> None:
    # Galaxy 26.1 does not compare a count of 0: tables without lines are what these tests check.
    texts = [tool_file(c).read_text(encoding="utf-8") for c in ("run", "bin")]
    assert all('name="bins" type="list" count="0"' in text for text in texts)
    # Tests of tools can name the elements of collections alone, not those of several datasets.
    names = [e.get("name", "") for e in tool("evaluate").iter("element")]
    assert any(all(sign in name for sign in " ';$(ä\"") for name in names)


def test_names_of_samples() -> None:
    lines = re.findall(r"#set \$?(\w+) = (.+)", expand("@NAMES@"))
    scope: dict[str, Any] = {"re": re}
    for name, expression in lines:
        scope[name] = eval(expression, scope)

    def stem(name: str) -> str:
        return str(scope["stem"](SimpleNamespace(element_identifier=name)))

    assert stem("S 1.sorted.bam") == stem("S_1") == "S_1"
    assert stem("-'$(x).fasta.gz") == "____x_"
    assert stem(".bam") == "_"
    # A file has 255 bytes for its name; no letter is cut in two.
    assert stem("x" * 300) == "x" * 200
    assert stem("a" + "Ж" * 250) == "a" + "Ж" * 99


def test_size_of_test_data() -> None:
    files = [p for p in (TOOLS / "test-data").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 3 << 20
