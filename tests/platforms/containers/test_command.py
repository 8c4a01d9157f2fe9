"""What `build.py` refuses, and what it asks of Docker; without an engine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import build
import docker
import images
import pytest
import sbom
from built import ROOT, SOURCE

TORCH = re.findall(
    r"^ARG TORCH_SPEC=torch==(\S+)$", (ROOT / "containers/Dockerfile").read_text("utf-8"), re.M
)[0]
WHEEL = f"torch-{TORCH}-cp311-cp311-manylinux_2_28_x86_64.whl"
OTHER = f"torch-{TORCH}-cp312-cp312-manylinux_2_28_x86_64.whl"


def _no_engine(*_: Any, **__: Any) -> None:
    raise AssertionError("the engine was asked before the options were looked at")


def _refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Exit status and message of a command that should end before it asks the engine."""
    monkeypatch.setattr(docker, "from_env", _no_engine)
    monkeypatch.setattr(sys, "argv", ["build.py", *arguments])
    try:
        status = build.main()
    except SystemExit as end:
        status = int(str(end.code))
    said = capsys.readouterr()
    assert not said.out
    return status, said.err


@pytest.mark.parametrize("option", ["--wheels", "--torch-sha256"])
def test_options_that_the_gpu_image_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    value = {"--wheels": ".", "--torch-sha256": 64 * "a"}[option]
    status, said = _refused(monkeypatch, capsys, "build", "--gpu", option, value)
    assert status == 2
    assert said.startswith(f"build.py: error: {option} has no effect with --gpu: every wheel")
    assert "requirements-gpu.txt" in said


def test_a_digest_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = _refused(monkeypatch, capsys, "build", "--torch-sha256", "sha256:ab")
    assert status == 2
    assert "'sha256:ab' is no SHA-256: 64 hexadecimal digits" in said


def test_a_folder_without_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        status, said = _refused(monkeypatch, capsys, "build", "--wheels", str(folder))
        assert (status, said) == (3, f"build.py: error: --wheels {folder}: no wheels there\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"<bom/>", "is no bill of materials: no JSON"),
        (b"\xff", "is no bill of materials: no JSON"),
        (b"[]", "is no bill of materials: no CycloneDX 1.6"),
        (b'{"bomFormat": "SPDX"}', "is no bill of materials: no CycloneDX 1.6"),
    ],
)
def test_a_bill_that_is_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    reason: str,
) -> None:
    bill = tmp_path / "bill.json"
    if content is not None:
        bill.write_bytes(content)
    status, said = _refused(monkeypatch, capsys, "sbom", "llmbin:x", "--check", str(bill))
    assert status == 3
    assert said == (
        f"build.py: error: {bill} {reason}; `build.py build` writes a bill beside each image\n"
    )


@pytest.mark.parametrize("version", ["", "0.0.0"], ids=["none", "another version"])
def test_no_llmbin_to_compare_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str,
) -> None:
    if version:
        tool = tmp_path / "llmbin"
        tool.write_text(f"#!/bin/sh\necho llmbin {version}\n", "utf-8")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    status, said = _refused(monkeypatch, capsys, "test", "llmbin:x")
    assert status == 4
    assert "is not of version" in said if version else "no llmbin on PATH" in said
    assert "README.md beside build.py says how to install it" in said


@pytest.mark.parametrize("missing", ["docker", "cyclonedx"])
def test_a_library_that_is_missing(tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text(
        f"raise ModuleNotFoundError('No module named {missing}', name='{missing}')\n", "utf-8"
    )
    done = subprocess.run(
        (sys.executable, str(ROOT / "containers" / "build.py"), "sbom", "llmbin:x"),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr == (
        f"build.py: error: the Python package of {missing} is not installed;"
        " at the top of the repository: pip install '.[containers]'\n"
    )


def _wheels(folder: Path, *names: str) -> list[str]:
    """Files in the place of wheels; their digests."""
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [hashlib.sha256(name.encode()).hexdigest() for name in names]


def _arguments(monkeypatch: pytest.MonkeyPatch, recipe: images.Recipe) -> dict[str, str]:
    """The arguments of the build that a recipe leads to."""
    called: list[str] = []

    def call(command: Sequence[str]) -> None:
        called.extend(command)

    monkeypatch.setattr(images, "_call", call)
    monkeypatch.setattr(images, "docker_command", lambda: "docker")
    monkeypatch.setattr(images, "wheels_image", lambda *_: SimpleNamespace(tags=["wheels:x"]))
    images.build(SimpleNamespace(images=SimpleNamespace(get=lambda _: None)), recipe)
    pairs = pairwise(called)
    return dict(value.split("=", 1) for option, value in pairs if option == "--build-arg")


def test_the_wheel_of_torch_that_is_seen_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, _ = _wheels(tmp_path, WHEEL, "torch-1.0+cpu-cp311-cp311-linux_x86_64.whl")
    found = _arguments(monkeypatch, images.Recipe(wheels=tmp_path))
    assert found["TORCH_SHA256"] == digest
    assert found["TORCH_INDEX_URL"] == ""


def test_torch_from_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _wheels(tmp_path, "numpy-2.0-cp311-cp311-linux_x86_64.whl")
    for recipe in (images.Recipe(), images.Recipe(wheels=tmp_path)):
        found = _arguments(monkeypatch, recipe)
        assert not {"TORCH_SHA256", "TORCH_INDEX_URL"} & set(found)
    found = _arguments(monkeypatch, images.Recipe(wheels=tmp_path, torch_sha256=64 * "a"))
    assert found["TORCH_SHA256"] == 64 * "a"


def test_which_wheel_of_torch(tmp_path: Path) -> None:
    one, other = _wheels(tmp_path, WHEEL, OTHER)
    assert images.torch_wheel(tmp_path, other) == other
    with pytest.raises(images.BuildError, match="several wheels of torch, say which by") as found:
        images.torch_wheel(tmp_path)
    assert all(
        f"{d}  {tmp_path / n}" in str(found.value) for d, n in ((one, WHEEL), (other, OTHER))
    )
    with pytest.raises(images.BuildError, match=f"no wheel of torch has the digest {64 * 'a'}"):
        images.torch_wheel(tmp_path, 64 * "a")


def test_the_address_of_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _arguments(monkeypatch, images.Recipe(source=SOURCE))["SOURCE"] == SOURCE
    assert _arguments(monkeypatch, images.Recipe(gpu=True, source=SOURCE))["SOURCE"] == SOURCE
    assert _arguments(monkeypatch, images.Recipe())["SOURCE"] == images.source()


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("llmbin:0.1", "llmbin", "0.1"),
        ("llmbin", "llmbin", ""),
        ("localhost:5000/llmbin:0.1", "localhost:5000/llmbin", "0.1"),
        ("localhost:5000/llmbin", "localhost:5000/llmbin", ""),
        ("host/group/llmbin@sha256:ab", "host/group/llmbin", "sha256:ab"),
        ("host:1/llmbin:0.1@sha256:ab", "host:1/llmbin", "0.1"),
    ],
)
def test_an_image_in_its_bill(
    monkeypatch: pytest.MonkeyPatch, image: str, name: str, tag: str
) -> None:
    inventory = {"python": [], "debian": [["procps", "1", "amd64"]]}
    monkeypatch.setattr(sbom, "inventory", lambda *_: inventory)
    found = SimpleNamespace(id=f"sha256:{32 * 'ab'}")
    client = SimpleNamespace(images=SimpleNamespace(get=lambda _: found))
    bill = json.loads(sbom.make(client, image, images.epoch()))
    component = bill["metadata"]["component"]
    assert (component["name"], component["version"]) == (name, tag)
