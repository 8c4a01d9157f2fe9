"""The data manager fits the tools, and its script writes the lines that Galaxy expects."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from conftest import GALAXY

from llmbin_core import __version__

MANAGER = GALAXY / "data_managers" / "data_manager_llmbin"
TOOLS = GALAXY / "tools" / "llmbin"
TABLES = {"llmbin_models": "value, name, kind, path", "llmbin_glms": "value, name, path"}


def test_tables_are_the_same_for_tools_and_data_manager() -> None:
    for name in ("tool_data_table_conf.xml.sample", "tool_data_table_conf.xml.test"):
        assert (MANAGER / name).read_bytes() == (TOOLS / name).read_bytes()
        tables = ElementTree.parse(TOOLS / name).findall("table")
        assert {one.get("name"): one.findtext("columns") for one in tables} == TABLES
    for table in TABLES:
        sample = f"{table}.loc.sample"
        assert (MANAGER / "tool-data" / sample).read_bytes() == (TOOLS / sample).read_bytes()
        lines = (TOOLS / sample).read_text(encoding="utf-8").splitlines()
        assert all(line.startswith("#") for line in lines)


def test_columns_of_the_data_manager_are_those_of_the_tables() -> None:
    tables = ElementTree.parse(MANAGER / "data_manager_conf.xml").findall(".//data_table")
    columns = {
        str(one.get("name")): ", ".join(str(c.get("name")) for c in one.findall("output/column"))
        for one in tables
    }
    assert columns == TABLES


def test_version() -> None:
    tool = ElementTree.parse(MANAGER / "data_manager" / "data_manager_llmbin.xml").getroot()
    tokens = {one.get("name"): one.text for one in tool.iterfind("macros/token")}
    assert tokens["@TOOL_VERSION@"] == __version__


def test_head_is_that_of_the_tools() -> None:
    tool = ElementTree.parse(MANAGER / "data_manager" / "data_manager_llmbin.xml").getroot()
    macros = ElementTree.parse(TOOLS / "macros.xml").getroot()
    for name in ("requirement", "container", "xref", "organization"):
        one, other = ([(e.text, e.attrib) for e in r.iter(name)] for r in (tool, macros))
        assert one == other, name


def test_lines_of_installed_models(tmp_path: Path) -> None:
    """What the executable lists becomes lines, each with the path of a folder that is there."""
    registry = MANAGER / "test-data" / "models.json"
    environment = {**os.environ, "LLMBIN_MODELS": str(tmp_path / "store")}
    names = ("test_encoder", "test_glm")
    tool = Path(sys.executable).with_name("llmbin-models")
    _call(environment, tool, "fetch", "--registry", registry, "--", *names)
    listed, out = tmp_path / "models.json", tmp_path / "tables.json"
    listed.write_text(_call(environment, tool, "list", "--json"), encoding="utf-8")
    _call(environment, sys.executable, MANAGER / "data_manager/table_rows.py", listed, out)

    tables = json.loads(out.read_text(encoding="utf-8"))["data_tables"]
    digests = {one["name"]: one["digest"] for one in json.loads(registry.read_text())["models"]}
    ((encoder,), (glm,)) = tables["llmbin_models"], tables["llmbin_glms"]
    for name, row, columns in (
        ("test_encoder", encoder, TABLES["llmbin_models"]),
        ("test_glm", glm, TABLES["llmbin_glms"]),
    ):
        assert set(row) == set(columns.split(", "))
        assert row["value"] == f"{name}_{digests[name].removeprefix('sha256:')[:12]}"
        assert (tmp_path / "store" / row["path"] / "model.safetensors").is_file()
        # One word, as it becomes the name of a folder.
        assert re.fullmatch(r"[\w.-]+", row["value"])


def _call(environment: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
