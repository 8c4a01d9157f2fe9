"""The image: what it is, what is in it, and that everything in it works as platforms run it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import build
import docker
import images
import layers
import pytest
import sbom
import smoke
from built import ROOT, Built

LARGEST = 1.2e9


def test_size(client: docker.DockerClient, image: Built) -> None:
    size = client.images.get(image.tag).attrs["Size"]
    print(f"{size / 1e6:.0f} MB")
    assert size <= LARGEST


def test_settings(client: docker.DockerClient, image: Built) -> None:
    settings = client.images.get(image.tag).attrs["Config"]
    assert settings["User"] == "1000:1000"
    # Whatever is given to `docker run` is run as it is.
    assert not settings["Entrypoint"]
    assert settings["Cmd"] == ["llmbin"]
    labels = {k.rpartition(".")[2]: v for k, v in settings["Labels"].items()}
    assert labels["version"] == metadata.version("llmbin")
    assert labels["licenses"] == metadata.metadata("llmbin")["License-Expression"]
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", labels["revision"])
    assert labels["source"] == image.recipe.source


def test_executables_are_those_of_the_package(client: docker.DockerClient, image: Built) -> None:
    here = {e.name for e in metadata.distribution("llmbin").entry_points}
    assert set(smoke.executables(client, image.tag)) == here


@pytest.mark.parametrize("way", smoke.WAYS, ids=lambda way: way.name)
def test_every_executable(
    client: docker.DockerClient, image: Built, way: smoke.Way, tmp_path: Path
) -> None:
    version = metadata.version("llmbin")
    smoke.check_executables(client, image.tag, way, version, tmp_path)


def test_a_failure_in_the_image_is_seen(
    client: docker.DockerClient, image: Built, tmp_path: Path
) -> None:
    with pytest.raises(smoke.SmokeError, match="exit status 3"):
        smoke.run(client, image.tag, smoke.WAYS[0], "llmbin-prepare --contigs no --out o", tmp_path)
    with pytest.raises(smoke.SmokeError, match="Read-only file system"):
        smoke.run(client, image.tag, smoke.WAYS[0], "touch /usr/x", tmp_path)
    with pytest.raises(smoke.SmokeError, match=r"llmbin \d"):
        smoke.check_executables(client, image.tag, smoke.WAYS[0], "works", tmp_path)


def test_the_same_bins_as_on_the_host(
    client: docker.DockerClient, image: Built, demo: Path, tmp_path: Path
) -> None:
    """Stage by stage; `llmbin run` is in the test of the command and in that of Apptainer."""
    _, way, script = build.runs_of_demo(["community/S1.bam", "community/S2.bam"])[0]
    shutil.copytree(demo / "community", tmp_path / "community")
    smoke.run(client, image.tag, way, script, tmp_path)
    assert smoke.check_same_bins(demo / "out", tmp_path / "out") >= 2


def test_other_bins_are_seen(image: Built, demo: Path, tmp_path: Path) -> None:
    shutil.copytree(demo / "out", tmp_path / "out")
    fasta = min((tmp_path / "out" / "bins").iterdir())
    fasta.write_bytes(fasta.read_bytes()[:-2] + b"\n")
    with pytest.raises(smoke.SmokeError, match=f"different content: {fasta.name}"):
        smoke.check_same_bins(demo / "out", tmp_path / "out")


def test_no_layer_knows_where_it_was_built(
    client: docker.DockerClient, image: Built, tmp_path: Path
) -> None:
    saved = tmp_path / "image.tar"
    with saved.open("wb") as handle:
        for part in client.images.get(image.tag).save():
            handle.write(part)
    found = layers.scan(saved, _texts_of_this_machine() | {image.canary.encode()})
    assert not found, "\n".join(map(str, found))


def _texts_of_this_machine() -> set[bytes]:
    """Folders, indexes and proxies of the build; what is the same everywhere proves nothing."""
    texts = {str(ROOT), str(Path.cwd())}
    texts |= {v for k, v in os.environ.items() if re.fullmatch(r"(https?|all)_proxy", k, re.I)}
    listed = subprocess.run(
        ("python3", "-m", "pip", "config", "list"), capture_output=True, text=True, check=True
    ).stdout
    texts |= set(re.findall(r"(?:https?://|file://|/)[^\s'\"\\]+", listed))
    texts -= {"/etc/ssl/certs/ca-certificates.crt"}
    return {t.encode() for t in texts if len(t) > 8 and urlsplit(t).hostname != "pypi.org"}


def test_the_bill_of_materials(client: docker.DockerClient, image: Built, tmp_path: Path) -> None:
    """Against dpkg and the lock file, which know nothing of it."""
    bill = tmp_path / "bill.json"
    bill.write_text(sbom.make(client, image.tag, images.epoch()), encoding="utf-8")
    assert sbom.differences(client, image.tag, bill) == []
    content = json.loads(bill.read_text(encoding="utf-8"))
    parts = {c["purl"].partition("?")[0]: c for c in content["components"]}

    listed: bytes = client.containers.run(
        image.tag, ["sh", "-c", "grep -c '^Status: install ok installed' /var/lib/dpkg/status"],
        remove=True,
    )  # fmt: skip
    assert sum(p.startswith("pkg:deb/") for p in parts) == int(listed)
    assert any(p.startswith("pkg:deb/debian/procps@") for p in parts)

    lock = (ROOT / "containers" / "requirements-cpu.txt").read_text(encoding="utf-8")
    for block in re.split(r"\n(?=[a-z])", lock)[1:]:
        name, version = re.findall(r"^([a-z0-9.-]+)==(\S+)", block)[0]
        (digest,) = parts[f"pkg:pypi/{name}@{version}"]["hashes"]
        assert f"sha256:{digest['content']}" in block, name
    (torch,) = (c for p, c in parts.items() if p.startswith("pkg:pypi/torch@"))
    (digest,) = torch["hashes"]
    wheels = image.recipe.wheels.glob("torch-*.whl") if image.recipe.wheels else ()
    known = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    assert digest["content"] in known if known else len(digest["content"]) == 64

    content["components"] = [c for c in content["components"] if c["name"] != "torch"]
    bill.write_text(json.dumps(content), encoding="utf-8")
    (missing,) = sbom.differences(client, image.tag, bill)
    assert missing.startswith("not in the bill: pkg:pypi/torch@")


def test_the_command(image: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It builds, here from the cache, writes the bill, and takes no other for it."""

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["build.py", *arguments])
        return build.main()

    base, source = str(image.recipe.python_image), str(image.recipe.source)
    options = ["--python-image", base, "--source", source, "--out", str(tmp_path)]
    assert call("build", *options) == 0
    (bill,) = tmp_path.iterdir()
    assert bill.name == f"{image.tag.replace(':', '-')}.cdx.json"
    assert call("sbom", image.tag, "--check", str(bill)) == 0
    bill.write_text(bill.read_text("utf-8").replace("pypi/numpy@", "pypi/other@"), "utf-8")
    assert call("sbom", image.tag, "--check", str(bill)) == 1
    assert call("sbom", "llmbin:none") == 3


@pytest.mark.long
def test_the_command_that_tests(
    image: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["build.py", "test", image.tag])
    assert build.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:-2] == [f"every executable, as {way.name}: works" for way in smoke.WAYS]
    for line, start in zip(said[-2:], ("stage by stage, as nf", "whole run, as Ga"), strict=True):
        assert re.match(rf"{start}.*: the same [2-9] bins as here$", line)


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_hadolint(name: str) -> None:
    command = shutil.which("hadolint")
    if command is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run(
        (command, str(ROOT / "containers" / name)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
