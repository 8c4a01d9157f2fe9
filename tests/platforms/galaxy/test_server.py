"""The tests of the wrappers, of the data manager and of the workflows, each kind in one server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from server import Server, commands, complaints

from llmbin_core import __version__


def tool_tests(files: list[Path]) -> int:
    """Number of tests that the files of tools hold."""
    return sum(len(ElementTree.parse(file).findall("tests/test")) for file in files)


def container(macros: Path) -> str:
    """Name of the image, with the tokens of the macros filled in."""
    tree = ElementTree.parse(macros)
    (name,) = (one.text or "" for one in tree.iterfind(".//container[@type='docker']"))
    for token in tree.iterfind("token"):
        name = name.replace(token.get("name", ""), token.text or "")
    return name


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder in which jobs find the executables."""
    commands(tmp_path)
    return tmp_path


def check(galaxy: Server, work: Path, expected: int, *arguments: str | Path) -> None:
    """Run tests; each of the expected number has to succeed."""
    results = galaxy.test(work, *arguments)
    failed = complaints(results)
    assert not failed, "\n\n".join(failed)
    assert len(results) == expected


def test_tools(galaxy: Server, files: Path, work: Path) -> None:
    tools = sorted((files / "tools" / "llmbin").glob("llmbin*.xml"))
    check(galaxy, work, tool_tests(tools), *tools)


def test_data_manager(galaxy: Server, files: Path, work: Path) -> None:
    tool = files / "data_managers/data_manager_llmbin/data_manager/data_manager_llmbin.xml"
    tables = tool.parents[1] / "tool_data_table_conf.xml.test"
    check(galaxy, work, tool_tests([tool]), "--tool_data_table", tables, tool)


def test_workflows(galaxy: Server, files: Path, work: Path) -> None:
    tools = files / "tools" / "llmbin"
    workflows = sorted((files / "workflows").glob("*.gxwf.yml"))
    cases = [
        len(re.findall(r"^- doc:", file.read_text(encoding="utf-8"), flags=re.MULTILINE))
        for file in (files / "workflows").glob("*-tests.yml")
    ]
    assert len(workflows) == len(cases) == 3
    check(
        galaxy, work, sum(cases), "--extra_tools", tools,
        "--tool_data_table", tools / "tool_data_table_conf.xml.test", *workflows,
    )  # fmt: skip


@pytest.fixture
def image(files: Path) -> Iterator[str]:
    """The image of this version, under the name that the wrappers ask for."""
    local = f"llmbin:{__version__}"
    if shutil.which("docker") is None:
        pytest.skip("the docker command is not installed")
    if _docker("version").returncode:
        pytest.skip("no Docker engine to talk to")
    if _docker("image", "inspect", local).returncode:
        pytest.skip(f"no image {local}; containers/build.py builds it")
    name = container(files / "tools" / "llmbin" / "macros.xml")
    there = _docker("image", "inspect", name).returncode == 0
    if not there:
        assert _docker("tag", local, name).returncode == 0
    yield name
    if not there:
        _docker("rmi", name)


def test_in_the_image(galaxy: Server, files: Path, tmp_path: Path, image: str) -> None:
    # Nothing of LLMBin is on the PATH of jobs: what runs is in the image.
    tool = files / "tools" / "llmbin" / "llmbin.xml"
    # Jobs have no environment that would name the engine.
    engine = os.environ.get("DOCKER_HOST")
    host = ("--docker_host", engine) if engine else ()
    check(galaxy, tmp_path, tool_tests([tool]), "--docker", *host, tool)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("docker", *arguments), capture_output=True, text=True, env=os.environ, check=False
    )
