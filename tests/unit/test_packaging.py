"""What images and packages are made from says the same as the package itself."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "containers"
LOCKS = {"cpu": CONTAINERS / "requirements-cpu.txt", "gpu": CONTAINERS / "requirements-gpu.txt"}
# The environment of the images.
MARKERS = {"python_version": "3.11", "sys_platform": "linux", "extra": ""}


def _load(path: Path) -> ModuleType:
    spec = util.spec_from_file_location(f"containers_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _requirements() -> list[Requirement]:
    project = _load(CONTAINERS / "conda" / "recipe.py").tomllib.loads(
        (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]
    return [Requirement(text) for text in project["dependencies"]]


def _locked(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Name -> version and digests."""
    found: dict[str, tuple[str, list[str]]] = {}
    for block in re.split(r"\n(?=[a-z])", path.read_text(encoding="utf-8")):
        if head := re.match(r"([a-z0-9.-]+)==(\S+)", block):
            digests = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block)
            found[canonicalize_name(head[1])] = (head[2], digests)
    return found


@pytest.mark.parametrize("kind", LOCKS)
def test_a_lock_file_satisfies_the_package(kind: str) -> None:
    locked = _locked(LOCKS[kind])
    assert all(digests for _, digests in locked.values())
    for needed in _requirements():
        name = canonicalize_name(needed.name)
        if (kind, name) == ("cpu", "torch") or (
            needed.marker and not needed.marker.evaluate(MARKERS)
        ):
            continue
        assert name in locked, f"{needed} is not locked; run `make lock`"
        assert needed.specifier.contains(locked[name][0]), f"{needed}, locked: {locked[name][0]}"


def test_one_version_of_torch() -> None:
    pinned = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    image = re.findall(
        r"^ARG TORCH_SPEC=torch==(\S+)\+cpu$", (CONTAINERS / "Dockerfile").read_text("utf-8"), re.M
    )
    assert image == pinned == [_locked(LOCKS["gpu"])["torch"][0]]
    assert "torch" not in _locked(LOCKS["cpu"])


def test_both_images_run_alike() -> None:
    """From the last stage on, the Dockerfiles differ by the settings of NVIDIA's runtime only."""
    ends = [
        (CONTAINERS / name).read_text("utf-8").rpartition("\nFROM ")[2]
        for name in ("Dockerfile", "Dockerfile.gpu")
    ]
    nvidia = re.compile(r" \\\n    NVIDIA_[^\n]+")
    assert nvidia.search(ends[1])
    assert nvidia.sub("", ends[1]) == ends[0]


def test_apptainer_has_an_app_for_every_executable() -> None:
    text = (CONTAINERS / "llmbin.def").read_text("utf-8")
    apps = re.findall(r'^%apprun (\S+)\n    exec llmbin-(\S+) "\$@"$', text, re.M)
    assert all(app == tool for app, tool in apps)
    scripts = {e.name for e in metadata.distribution("llmbin").entry_points}
    assert sorted(f"llmbin-{app}" for app, _ in apps) == sorted(scripts - {"llmbin"})


def _section(name: str) -> str:
    """A section of the definition, as Apptainer gives it to the shell."""
    text = (CONTAINERS / "llmbin.def").read_text("utf-8")
    (found,) = re.findall(rf"^%{name}\n(.*?)(?=^%)", text, re.M | re.S)
    return str(found)


@pytest.mark.parametrize(
    ("broken", "status"),
    [("", 0), ("llmbin", 1), ("llmbin-bin", 1), ("llmbin-train", 1), ("python", 1)],
)
def test_the_test_in_the_definition_fails_with_any_tool(
    tmp_path: Path, broken: str, status: int
) -> None:
    for name in ("llmbin", "llmbin-bin", "llmbin-train", "python"):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\necho {name} \"$@\"\n! test {name} = '{broken}'\n", "utf-8")
        tool.chmod(0o755)
    script = _section("test").replace("/opt/venv/bin", str(tmp_path))
    done = subprocess.run(("sh", "-c", script), capture_output=True, text=True, check=False)
    assert done.returncode == status
    if not broken:
        *versions, imports = done.stdout.splitlines()
        assert versions == [f"{n} --version" for n in ("llmbin", "llmbin-bin", "llmbin-train")]
        assert re.match(r"python -c import .*\btorch\b", imports)


def test_the_test_in_the_definition_fails_without_tools(tmp_path: Path) -> None:
    script = _section("test").replace("/opt/venv/bin", str(tmp_path))
    assert subprocess.run(("sh", "-c", script), capture_output=True, check=False).returncode == 1


def test_apptainer_takes_no_modules_of_the_host() -> None:
    host = {"PYTHONPATH": "/host", "PYTHONHOME": "/host", "PYTHONNOUSERSITE": ""}
    script = _section("environment") + "env"
    done = subprocess.run(
        ("sh", "-euc", script),
        env={**os.environ, **host},
        capture_output=True,
        text=True,
        check=True,
    )
    settings = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    # Not unset: Apptainer would restore them.
    assert (settings["PYTHONPATH"], settings["PYTHONHOME"]) == ("", "")
    assert settings["PYTHONNOUSERSITE"] == "1"


def test_the_recipe_is_up_to_date() -> None:
    recipe = _load(CONTAINERS / "conda" / "recipe.py")
    written = (CONTAINERS / "conda" / "meta.yaml").read_text(encoding="utf-8")
    assert written == recipe.current(), "run `make recipe`"


def _recipe() -> dict[str, Any]:
    """The recipe as conda-build reads it: Jinja first, then YAML."""
    text = (CONTAINERS / "conda" / "meta.yaml").read_text(encoding="utf-8")
    names = {
        "PYTHON": "python",
        # In the words of rattler-build.
        "pin_subpackage": lambda name, max_pin: (
            f'${{{{ pin_subpackage("{name}", upper_bound="{max_pin}") }}}}'
        ),
    }
    document: dict[str, Any] = yaml.safe_load(
        jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(names)
    )
    return document


def test_the_recipe_asks_for_what_the_package_asks_for() -> None:
    """Names as on conda-forge and bioconda; found by hand, not by the script that writes them."""
    other = {"torch": "pytorch", "igraph": "python-igraph"}
    run = dict((*line.split(), "")[:2] for line in _recipe()["requirements"]["run"])
    usearch = Requirement(f"x{run['usearch']}").specifier
    # The library, not the program of bioconda that has the same name.
    assert "2.26.6" in usearch
    assert not list(usearch.filter(["5.2.32", "9.2.64", "11.0.667", "12.0"]))
    for needed in _requirements():
        name = other.get(needed.name.lower(), needed.name.lower())
        assert name in run, f"{needed} is not in the recipe; run `make recipe`"
        bounds = Requirement(f"x{run[name]}").specifier
        assert bounds == needed.specifier & SpecifierSet("<5" if name == "usearch" else "")
    assert len(run) == len(_requirements()) + 1  # python
    assert not {"igraph", "torch"} & set(run), "other programs, or none, have these names"


def test_the_recipe_tests_every_executable() -> None:
    recipe = _recipe()
    scripts = {e.name: e.value for e in metadata.distribution("llmbin").entry_points}
    assert recipe["build"]["noarch"] == "python"
    assert recipe["build"]["entry_points"] == [f"{n} = {scripts[n]}" for n in _in_order(recipe)]
    assert recipe["test"]["commands"] == [f"{name} --help" for name in _in_order(recipe)]
    assert set(_in_order(recipe)) == set(scripts)


def _for_rattler_build(recipe: dict[str, Any]) -> dict[str, Any]:
    """The same recipe in the newer format, the only one that rattler-build reads."""
    build, about = dict(recipe["build"]), dict(recipe["about"])
    # Left out of the newer format.
    del about["license_family"]
    about["homepage"] = about.pop("home")
    exports = build.pop("run_exports")
    build["python"] = {"entry_points": build.pop("entry_points")}
    return {
        "package": {name: str(value) for name, value in recipe["package"].items()},
        "source": recipe["source"],
        "build": build,
        "requirements": {**recipe["requirements"], "run_exports": exports},
        "tests": [
            {"python": {"imports": recipe["test"]["imports"]}},
            {"script": recipe["test"]["commands"]},
        ],
        "about": about,
    }


def test_rattler_build_understands_the_recipe() -> None:
    rattler_build = pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    read = rattler_build.Stage0Recipe.from_dict
    recipe = _for_rattler_build(_recipe())
    (rendered,) = read(recipe).render()
    found = rendered.recipe.to_dict()
    assert found["build"]["noarch"] == "python"
    assert found["requirements"]["run"] == recipe["requirements"]["run"]
    assert found["build"]["python"]["entry_points"] == recipe["build"]["python"]["entry_points"]
    for section, name, wrong in [
        ("requirements", "run", ["numpy >=>1"]),
        ("about", "license", "a licence"),
        ("build", "no_arch", "python"),
    ]:
        with pytest.raises(rattler_build.RecipeParseError):
            read({**recipe, section: {**recipe[section], name: wrong}})


def _in_order(recipe: dict[str, Any]) -> list[str]:
    return [line.split(" = ")[0] for line in recipe["build"]["entry_points"]]


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("backports.zstd>=1.0; python_version < '3.14'", "backports.zstd >=1.0"),
        ("torch>=2.3,<3", "pytorch >=2.3,<3"),
        ("tqdm", "tqdm"),
        ("usearch>=2.16", "usearch >=2.16,<5"),
    ],
)
def test_requirements_as_conda_writes_them(line: str, written: str) -> None:
    assert _load(CONTAINERS / "conda" / "recipe.py").requirement(line) == written


# What is scanned: an image as `docker save` writes it.


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _image(path: Path, layer: dict[str, bytes], settings: bytes = b"{}") -> Path:
    manifest = [{"Config": "config.json", "Layers": ["empty/layer.tar", "one/layer.tar"]}]
    path.write_bytes(
        _tar({
            "manifest.json": json.dumps(manifest).encode(),
            "config.json": settings,
            "empty/layer.tar": _tar({}),
            "one/layer.tar": _tar(layer),
        })
    )  # fmt: skip
    return path


# Put together here, so that no scanner takes this file for a leak.
KEY = b"-----BEGIN " + b"PRIVATE KEY-----\n" + 5 * (64 * b"A" + b"\n")


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("etc/pip.conf", b"", "a file of this name"),
        ("root/.netrc", b"", "a file of this name"),
        ("opt/x.dist-info/direct_url.json", b"{}", "a file of this name"),
        ("run/secrets/pip", b"", "a file in this folder"),
        ("etc/other.cfg", b"[global]\nindex-url = http://somewhere/\n", "setting of an index"),
        ("opt/key", KEY, "private key"),
        ("opt/log", b"https://me:" + b"my-password@host.example.org/", "address with password"),
        ("opt/deep/file.bin", b"\0\0\0canary-1234", "'canary-1234'"),
        ("opt/canary-1234/file", b"", "'canary-1234' in its name"),
    ],
)  # fmt: skip
def test_a_leak_in_a_layer_is_found(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    layers = _load(CONTAINERS / "layers.py")
    found = layers.scan(
        _image(tmp_path / "x.tar", {"etc/hosts": b"", name: content}), [b"canary-1234"]
    )
    assert [(f.path, f.what, f.layer) for f in found] == [(name, what, "one/layer.tar")]


def test_a_leak_in_the_history_is_found(tmp_path: Path) -> None:
    layers = _load(CONTAINERS / "layers.py")
    history = json.dumps({"history": [{"created_by": "RUN |1 TOKEN=canary-1234 pip"}]}).encode()
    (found,) = layers.scan(_image(tmp_path / "x.tar", {}, history), [b"canary-1234"])
    assert (found.path, found.what) == ("configuration", "'canary-1234'")


def test_an_ordinary_image_has_no_leak(tmp_path: Path) -> None:
    layers = _load(CONTAINERS / "layers.py")
    files = {
        "etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        "opt/venv/lib/pip/docs.py": b"index-url = https://example.org\n",
        "opt/venv/lib/url.py": b"'http://user:password@host.example.org'",
    }
    assert layers.scan(_image(tmp_path / "x.tar", files), [b"canary-1234"]) == []
