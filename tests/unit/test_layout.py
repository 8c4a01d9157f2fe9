"""The shape of the project: what imports what, sizes, names, one version, one list of commands."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest
from llmbin_tools.llmbin import COMMANDS

from llmbin_core import __version__, defaults, outputs

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).resolve().parents[2]
CORE, TOOLS = ROOT / "llmbin_core", ROOT / "tools"
FOLDERS = {"llmbin_core": CORE, "llmbin_tools": TOOLS}

MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60

# Modules and packages of one stage each: they know no other stage.
STAGES = {
    "composition", "coverage", "glm", "markers", "encoder", "clustering", "bins", "simulate",
    "evaluate", "report",
}  # fmt: skip
# Run by the developers to make the bundled profiles: a command, no part of the library.
DEVELOPER_COMMAND = "llmbin_core.markers.build"

# The files of a gLM folder are named as model hubs name them.
GLM_FOLDER = "llmbin_core.glm."


def _modules() -> dict[str, Path]:
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(p for p in parts if p != "__init__")])] = path
    return found


MODULES = _modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def _imports(name: str) -> Iterator[str]:
    """Modules of this project that a module imports, wherever in it."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [module for module in below if module in MODULES]
            yield from modules
            if len(modules) < len(below) and node.module not in FOLDERS:
                yield node.module


def _part(module: str) -> str:
    """The module or package directly below the top one."""
    return module.split(".")[1] if "." in module else ""


def test_imports_form_no_circle() -> None:
    files = {name: {i for i in _imports(name) if i != name} for name in MODULES}
    packages: dict[str, set[str]] = {}
    for name, imported in files.items():
        here = ".".join(name.split(".")[:2])
        packages.setdefault(here, set()).update(
            part for i in imported if (part := ".".join(i.split(".")[:2])) != here
        )
    for graph in (files, packages):
        try:
            list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            pytest.fail(f"circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith("llmbin_core")])
def test_the_core_knows_no_command_line(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import | ast.ImportFrom):
            text = ast.unparse(node)
            assert "llmbin_tools" not in text, f"{name}, line {node.lineno}: {text}"
        if name.startswith(DEVELOPER_COMMAND):
            continue
        if isinstance(node, ast.Import):
            assert not {"argparse", "click"} & {a.name for a in node.names}, name
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "sys.exit", "exit", "quit", "input"}, (
                f"{name}, line {node.lineno}: {called}; raise an error or log instead"
            )


def test_stages_do_not_import_one_another() -> None:
    for name in MODULES:
        if name.startswith("llmbin_core") and _part(name) in STAGES:
            others = {_part(i) for i in _imports(name)} & STAGES - {_part(name)}
            assert not others, f"{name} imports {', '.join(others)}"


def test_sizes() -> None:
    too_long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in MODULES.values()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    too_long.append(f"{name}.{node.name}: {lines} lines")
    assert not too_long, "; ".join(too_long)


def test_output_names_are_built_in_one_module() -> None:
    names = {v for k, v in vars(outputs).items() if k.isupper() and "." in v}
    for module, tree in TREES.items():
        if module == "llmbin_core.outputs" or module.startswith((DEVELOPER_COMMAND, GLM_FOLDER)):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                # Texts with blanks are help and messages.
                last = node.value.rsplit("/", 1)[-1]
                assert last not in names or " " in node.value, (
                    f"{module}, line {node.lineno}: '{node.value}'; take it from outputs"
                )


def test_training_defaults_are_those_of_the_library() -> None:
    train = pytest.importorskip("llmbin_core.encoder.train")
    network = pytest.importorskip("llmbin_core.encoder.network")
    options, shape = train.TrainingOptions(), network.NetworkShape({})
    for name, value in defaults.TRAINING.items():
        owner = options if hasattr(options, name) else shape
        assert getattr(owner, name) == value, name


def test_grids_and_choices_are_those_of_the_library() -> None:
    grid = pytest.importorskip("llmbin_core.clustering.grid")
    assert tuple(grid.GRIDS) == defaults.GRIDS
    assert defaults.GRID in defaults.GRIDS
    assert defaults.CHOOSE in defaults.CHOICES
    train = pytest.importorskip("llmbin_core.encoder.train")
    assert train.OBJECTIVES == defaults.OBJECTIVES


def _project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as handle:
        document: dict[str, object] = tomllib.load(handle)
    return document


def test_every_package_is_installed() -> None:
    packages = {
        ".".join([top, *path.parent.relative_to(folder).parts])
        for top, folder in FOLDERS.items()
        for path in folder.rglob("*.py")
    }
    listed = set(_project()["tool"]["setuptools"]["packages"])  # type: ignore[index]
    data = {name for name in listed if name.endswith(".data")}
    assert listed - data == packages


def test_one_version() -> None:
    assert metadata.version("llmbin") == __version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.M) == [__version__]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changes, re.M)
    assert (released or [__version__])[0] == __version__


def test_one_list_of_commands() -> None:
    modules = {p.stem for p in TOOLS.glob("*.py") if not p.name.startswith("_")} - {"llmbin"}
    assert modules == set(COMMANDS)
    scripts = {e.name for e in metadata.distribution("llmbin").entry_points}
    assert scripts == {"llmbin", *(f"llmbin-{name}" for name in COMMANDS if name != "run")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [s for s in sorted(scripts) if f"`{s}`" not in readme and s != "llmbin"] == []
