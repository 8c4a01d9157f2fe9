"""Installed models, registries as documents, names that resolve, and llmbin-models over them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from llmbin_tools.models import main
from registry_server import Site, encoder_bytes, listing, row, said

from llmbin_core import pipeline, registry
from llmbin_core.errors import EnvironmentFault, InputError, UsageError
from llmbin_core.registry import entries, names
from llmbin_core.runoptions import RunOptions

CORE = Path(registry.__file__).parents[1]


def test_the_bundled_registry_is_true() -> None:
    listed = {e.name: e for e in names.bundled_registry().models}
    there = {p.parent.name: p for p in CORE.glob("*/data/*/model.safetensors")}
    assert set(listed) == set(there), "bundled.json does not list what is bundled"
    for name, path in there.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert listed[name].digest == f"sha256:{digest}", name
        assert listed[name].size == path.stat().st_size, name
        assert listed[name].kind == path.parents[2].name, name
        assert (path.parent / listed[name].card).is_file(), name
        assert listed[name].url is None
    for model in registry.bundled_models().values():
        assert registry.verify(model) == []


def test_bundled_before_installed_before_path(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    glm = registry.find("compact", "glm")
    assert glm == CORE / "glm/data/compact"
    (tmp_path / "compact").mkdir()
    assert registry.find("compact", "glm") == glm
    assert registry.find("./compact", "glm") == Path("compact")
    (tmp_path / "soil").write_bytes(encoder.read_bytes())
    assert registry.find("soil", "encoder") == Path("soil")
    model = registry.install(encoder)
    assert registry.find("soil", "encoder") == model.path
    assert registry.find("./soil", "encoder") == Path("soil")


def test_unknown_names_are_told_what_there_is(encoder: Path) -> None:
    registry.install(encoder)
    match = (
        r"model 'sol': neither a known name \(soil, global\) nor a file; 'llmbin models list' "
        r"shows what registries have, 'llmbin models fetch sol' installs it"
    )
    with pytest.raises(InputError, match=match):
        registry.find("sol", "encoder")
    match = r"gLM 'a/b': neither a known name \(compact, tnf, spectrum\) nor a folder.*fetch NAME'"
    with pytest.raises(InputError, match=match):
        registry.find("a/b", "glm")
    with pytest.raises(InputError, match="'compact': is of kind glm, not encoder"):
        registry.find("compact", "encoder")


def test_the_folder_of_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: Path
) -> None:
    monkeypatch.delenv("LLMBIN_MODELS")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert registry.user_folder() == tmp_path / "home/.local/share/llmbin/models"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert registry.user_folder() == tmp_path / "data/llmbin/models"
    assert registry.installed_models() == {}
    assert not (tmp_path / "data").exists()
    registry.install(encoder)
    assert {p.name for p in tmp_path.iterdir()} == {"data", "soil.safetensors"}


def test_export_install_round_trip(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    argv = ("install", str(encoder), "--habitat", "peat bog", "--licence", "CC0-1.0", "--quiet")
    assert said(capsys, *argv) == ""
    archive = tmp_path / "out" / "soil.tar.gz"
    document = said(capsys, "export", "soil", "--out", str(archive))
    (tmp_path / "out/models.json").write_text(document)
    monkeypatch.setenv("LLMBIN_MODELS", str(tmp_path / "elsewhere"))
    assert said(capsys, "install", str(archive)) == ""
    model = registry.installed_models()["soil"]
    assert (model.habitat, model.licence) == ("peat bog", "CC0-1.0")
    assert model.path.read_bytes() == encoder.read_bytes()
    assert list(model.files) == ["model.safetensors"]
    # The document is a registry that works where it lies.
    monkeypatch.setenv("LLMBIN_MODELS", str(tmp_path / "third"))
    said(capsys, "fetch", "soil", "--registry", str(tmp_path / "out/models.json"), "--offline")
    assert registry.installed_models()["soil"].habitat == "peat bog"
    archive.write_bytes(archive.read_bytes()[:-1] + b"?")
    monkeypatch.setenv("LLMBIN_MODELS", str(tmp_path / "fourth"))
    error = said(capsys, "fetch", "soil", "--registry", str(tmp_path / "out/models.json"), code=3)
    assert "the registry says" in error


def test_a_bundled_glm_can_be_exported_and_installed_under_another_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "compact.tar.gz"
    said(capsys, "export", "compact", "--out", str(archive))
    said(capsys, "install", str(archive), "--name", "mine", "--quiet")
    path = registry.find("mine", "glm")
    assert path.name == "mine"
    bundled = registry.find("compact", "glm")
    for file in bundled.iterdir():
        assert (path / file.name).read_bytes() == file.read_bytes()
    from llmbin_core.glm.hub import load_embedder

    assert load_embedder("mine").digest == load_embedder("compact").digest
    assert said(capsys, "path", "mine") == f"{path}\n"


def test_a_run_takes_installed_models_by_name(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = registry.install(encoder)
    glm = registry.install(registry.find("compact", "glm"), "mine")
    paths = {"contigs": (Path("c.fa"),), "out": tmp_path / "out", "bams": (Path("a.bam"),)}
    stages = {s.name: s for s in pipeline.plan(RunOptions(**paths, model="soil",
                                                                   glm="mine"))}  # fmt: skip
    assert stages["encode"].inputs["model"] == model.path
    assert stages["embed"].inputs["glm_folder"] == glm.path
    assert "train" not in stages
    with pytest.raises(InputError, match="model 'sand': neither a known name"):
        pipeline.plan(RunOptions(**paths, model="sand"))


def test_list_show_verify_path(
    site: Site, encoder: Path, weights: bytes, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LLMBIN_REGISTRIES", f"{site.address}/models.json")
    site.files["/models.json"] = listing(row("gut", weights, "g"), row("soil", b"other", "s"))
    said(capsys, "install", str(encoder))
    table = said(capsys, "list")
    assert site.asked == []  # not asked for
    assert [line.split()[0] for line in table.splitlines()] == ["NAME", "global", "soil", "compact"]
    given = ("--registry", f"{site.address}/models.json")
    rows = {r["name"]: r for r in json.loads(said(capsys, "list", "--json", *given))}
    status = {name: r["status"] for name, r in rows.items()}
    assert status == {
        "compact": "bundled",
        "global": "bundled",
        "soil": "installed",
        "gut": "available",
    }
    assert rows["gut"]["size"] == len(weights)
    shown = json.loads(said(capsys, "show", "compact", "--json"))
    assert shown["card_text"].startswith("# gLM compact")
    assert "habitat:  soil" in said(capsys, "show", "gut", *given)
    assert "'sand': not among compact, global, soil" in said(capsys, "show", "sand", code=3)
    assert json.loads(said(capsys, "verify", "--json")) == {"compact": [], "global": [], "soil": []}
    path = Path(said(capsys, "path", "soil").strip())
    assert path.read_bytes() == weights
    assert Path(said(capsys, "path").strip()) == registry.user_folder()
    path.write_bytes(weights + b"x")
    (path.parent / "more").touch()
    assert main(["verify", "soil"]) == 3
    out, err = capsys.readouterr()
    assert "model.safetensors has sha256" in out
    assert "more does not belong to it" in out
    assert "are not those that were installed; install or fetch" in err
    assert "install the model again" in said(capsys, "export", "soil", "--out", "x.tar.gz", code=3)


def test_fetch_by_command(
    site: Site, weights: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no registry: give --registry" in said(capsys, "fetch", "soil", code=2)
    site.files["/models.json"] = listing(row("soil", weights, "soil.safetensors"))
    site.files["/soil.safetensors"] = weights
    monkeypatch.setenv("LLMBIN_REGISTRIES", f"{site.address}/models.json")
    monkeypatch.setenv("LLMBIN_OFFLINE", "1")
    error = said(capsys, "fetch", "soil", code=4)
    assert f"offline: the registry {site.address}/models.json was not read" in error
    assert site.asked == []
    monkeypatch.delenv("LLMBIN_OFFLINE")
    assert "model 'sol': not in the registries" in said(capsys, "fetch", "sol", code=3)
    said(capsys, "fetch", "soil")
    assert Path(said(capsys, "path", "soil").strip()).read_bytes() == weights
    site.files["/models.json"] = listing(row("soil", b"newer", "soil.safetensors"))
    given = ("--registry", f"{site.address}/models.json")
    table = json.loads(said(capsys, "list", "--json", *given))
    assert {r["name"]: r["status"] for r in table}["soil"] == "outdated"


def test_two_registries_that_disagree(
    site: Site, tmp_path: Path, weights: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    site.files["/models.json"] = listing(row("soil", weights, "s"))
    other = tmp_path / "models.json"
    other.write_bytes(listing(row("soil", b"other", "s")))
    both = ("--registry", f"{site.address}/models.json", str(other))
    error = said(capsys, "fetch", "soil", *both, code=3)
    assert "have different models of this name; choose one with --registry" in error


def test_a_remote_registry_names_no_local_files(site: Site, tmp_path: Path, weights: bytes) -> None:
    file = tmp_path / "here"
    file.write_bytes(weights)
    site.files["/models.json"] = listing(
        row("x", weights, str(file)), row("y", weights, f"file://{file}")
    )
    place = registry.read_registry(f"{site.address}/models.json")
    with pytest.raises(EnvironmentFault, match="404"):
        registry.fetch(*registry.lookup("x", [place]))
    with pytest.raises(InputError, match="only http and https are read"):
        registry.fetch(*registry.lookup("y", [place]))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("http://[x", "error: http://[x: is not an address (Invalid IPv6 URL); check it"),
        ("ftp://x.example/m.json", "error: ftp://x.example/m.json: only http and https are read"),
        ("file:///m.json", "only http and https are read; give such an address, or the path"),
        ("./http:/m.json", "no such file"),
    ],
)
def test_places_that_are_none(
    place: str, message: str, capsys: pytest.CaptureFixture[str], weights: bytes, tmp_path: Path
) -> None:
    assert message in said(capsys, "list", "--registry", place, code=3)
    path = tmp_path / "models.json"
    path.write_bytes(listing(row("soil", weights, place)))
    error = said(capsys, "fetch", "soil", "--registry", str(path), code=3)
    assert message.removeprefix("error: ") in error
    assert str(path.parent) in error


GOOD = row("a", b"x", "https://x.example/a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff", "no JSON"),
        (b"[]", "lacks \"format\""),
        (b'{"format": "llmbin-registry", "version": 2, "models": []}', "version 2, this program"),
        (b'{"format": "llmbin-registry", "version": 1}', '"models" is not a list'),
        (listing(GOOD, GOOD), "lists 'a' twice"),
        (listing(GOOD | {"name": "../a"}), "the name may hold letters"),
        (listing(GOOD | {"kind": "other"}), "kind 'other' is none of encoder, glm"),
        (listing(GOOD | {"digest": "sha256:12"}), "64 hexadecimal digits"),
        (listing(GOOD | {"size": 0}), "not a number of bytes above 0"),
        (listing(GOOD | {"size": True}), "not a number of bytes"),
        (listing(GOOD | {"url": 3}), "the url is neither"),
        (listing(GOOD | {"mirrors": "x"}), "not a list of addresses"),
        (listing(GOOD | {"licence": ""}), "'licence' is missing"),
        (listing(GOOD | {"habitat": "a\x1b[2J"}), "'habitat' is missing or not a line of text"),
        (listing(GOOD | {"needs": []}), "\"needs\" is not a JSON object"),
        (listing(GOOD | {"needs": {"glm": 3}}), "\"needs\": the field 'glm' is missing or not"),
        (listing({k: v for k, v in GOOD.items() if k != "card"}), r"1 \('a'\): the field 'card"),
    ],
)  # fmt: skip
def test_registries_that_are_none(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message) as error:
        registry.read_registry(str(path))
    assert str(error.value).startswith(str(path))
    with pytest.raises(InputError, match="no such file"):
        registry.read_registry(str(tmp_path / "none.json"))


def test_a_registry_comes_back() -> None:
    text = json.dumps(registry.document(names.bundled_registry().models)).encode()
    assert entries.parse(text, "bundled") == names.bundled_registry()


@pytest.mark.parametrize("content", [b"", b"short", b"\x08" + bytes(7) + b"{}      xx"])
def test_files_that_are_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path}: model.safetensors: not a safetensors file"):
        registry.install(path)
    assert registry.installed_models() == {}


def test_folders_that_are_no_model(tmp_path: Path, encoder: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match="not a model: neither a gLM folder"):
        registry.install(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        registry.install(folder)
    (folder / "config.json").write_text(json.dumps({"format": "llmbin-glm", "sha256": "0"}))
    (folder / "model.safetensors").write_bytes(encoder.read_bytes())
    with pytest.raises(InputError, match=r"not the weights that config\.json names"):
        registry.install(folder)
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="link: is a link or special file"):
        registry.install(folder)
    with pytest.raises(InputError, match="no such file"):
        registry.install(tmp_path / "none")


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "a b", "x" * 65, "tnf", "none"])
def test_names_that_no_model_can_have(encoder: Path, name: str) -> None:
    with pytest.raises(UsageError):
        registry.install(encoder, name)


def test_a_record_that_cannot_be_understood_stops_nothing_else(
    encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, other = registry.install(encoder), registry.install(encoder, "peat")
    record = model.folder.parent / "record.json"
    record.write_text("{}")
    match = r"record\.json: cannot be understood; install the model"
    with pytest.raises(InputError, match=match):
        registry.find("soil", "encoder")
    assert registry.find("peat", "encoder") == other.path
    assert registry.find("compact", "glm").is_dir()
    with pytest.raises(InputError, match="'compact': is of kind glm"):
        registry.find("compact", "encoder")
    assert list(registry.installed_models()) == ["peat"]
    assert main(["list", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [r["name"] for r in json.loads(out)] == ["global", "peat", "compact"]
    assert "cannot be understood" in err
    assert "cannot be understood" in said(capsys, "show", "soil", code=3)
    assert "cannot be understood" in said(capsys, "path", "soil", code=3)
    assert main(["verify", "--json"]) == 3  # what is broken counts, though list leaves it out
    out, err = capsys.readouterr()
    assert "cannot be understood" in json.loads(out)["soil"][0]
    assert (
        "soil: the files are not those that were installed; install or fetch again what is in"
        in err
    )
    assert registry.verify(registry.install(encoder)) == []  # the remedy


def test_a_killed_installation_leaves_the_old_model(
    encoder: Path, user_folder: Path, tmp_path: Path
) -> None:
    registry.install(encoder)
    newer = tmp_path / "newer.safetensors"
    newer.write_bytes(encoder_bytes(seed=1))
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom llmbin_core.registry import store\n"
        "store._digests = lambda folder: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"store.install(Path({str(newer)!r}), 'soil')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ)
    assert done.returncode == -9
    assert len([p for p in user_folder.iterdir() if p.is_dir()]) == 2  # the model and leftovers
    (model,) = registry.installed_models().values()
    assert model.path.read_bytes() == encoder.read_bytes()
    assert registry.install(newer, "soil").path.read_bytes() == newer.read_bytes()
    assert [p.name for p in user_folder.iterdir() if p.is_dir()] == ["soil"]
