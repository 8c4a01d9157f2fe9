"""Fetching from servers that cut, redirect, ignore ranges, err and lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from registry_server import Site, encoder_bytes, listing, row

from llmbin_core import registry
from llmbin_core.errors import EnvironmentFault, InputError, UsageError
from llmbin_core.registry import download


def offer(site: Site, content: bytes, **changes: object) -> None:
    site.files["/soil.safetensors"] = content
    site.files["/models.json"] = listing(row("soil", content, "soil.safetensors", **changes))


def get(site: Site, name: str = "soil", *, offline: bool = False) -> registry.Model:
    place = registry.read_registry(f"{site.address}/models.json")
    site.asked.clear()
    return registry.fetch(*registry.lookup(name, [place]), offline=offline)


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_what_is_served_is_installed(site: Site, weights: bytes, user_folder: Path) -> None:
    offer(site, weights)
    model = get(site)
    assert model.path == user_folder / "soil/soil/model.safetensors"
    assert model.path.read_bytes() == weights
    assert (model.kind, model.habitat, model.source) == (
        "encoder", "soil", f"{site.address}/soil.safetensors",
    )  # fmt: skip
    assert registry.find("soil", "encoder") == model.path
    assert registry.verify(model) == []
    got = {name for name in files_below(user_folder) if not name.endswith(".lock")}
    assert got == {"soil/record.json", "soil/soil/model.safetensors"}
    get(site)
    assert site.asked == []  # installed already


def test_a_cut_connection_goes_on_where_it_was(site: Site, weights: bytes) -> None:
    offer(site, weights)
    place = registry.read_registry(f"{site.address}/models.json")
    site.cut_after, site.asked = 70_000, []
    model = registry.fetch(*registry.lookup("soil", [place]))
    assert model.path.read_bytes() == weights
    begins = [span for _, span in site.asked]
    assert begins == [None, "bytes=70000-", "bytes=140000-"]


def test_a_later_command_goes_on(site: Site, weights: bytes, user_folder: Path) -> None:
    offer(site, weights)
    site.statuses["/soil.safetensors"] = [503] * download.ATTEMPTS
    with pytest.raises(EnvironmentFault, match=r"answers 503 .*, 4 times.*goes on where it"):
        get(site)
    (part,) = (user_folder / ".downloads").glob("*[!k]")
    part.write_bytes(weights[:1234])
    assert get(site).path.read_bytes() == weights
    assert site.asked == [("/soil.safetensors", "bytes=1234-")]


def test_servers_that_know_no_ranges(site: Site, weights: bytes, user_folder: Path) -> None:
    offer(site, weights)
    site.knows_ranges = False
    digest = row("soil", weights, None)["digest"]
    part = user_folder / ".downloads" / str(digest).removeprefix("sha256:")
    part.parent.mkdir(parents=True)
    part.write_bytes(weights[:1234])
    assert get(site).path.read_bytes() == weights
    assert site.asked == [("/soil.safetensors", "bytes=1234-")]


@pytest.mark.parametrize("left", [b"x" * 1234, b"x" * 400_000])
def test_foreign_bytes_of_an_earlier_download(
    site: Site, weights: bytes, user_folder: Path, left: bytes
) -> None:
    offer(site, weights)
    digest = row("soil", weights, None)["digest"]
    part = user_folder / ".downloads" / str(digest).removeprefix("sha256:")
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert get(site).path.read_bytes() == weights
    assert site.asked[-1] == ("/soil.safetensors", None)


def test_a_file_without_length(site: Site, weights: bytes) -> None:
    offer(site, weights)
    place = registry.read_registry(f"{site.address}/models.json")
    site.tells_length = False
    assert registry.fetch(*registry.lookup("soil", [place])).path.read_bytes() == weights


def test_passing_faults_pass(site: Site, weights: bytes) -> None:
    offer(site, weights)
    site.statuses["/soil.safetensors"] = [503, 429, 500]
    assert get(site).path.read_bytes() == weights
    assert len(site.asked) == 4


def test_wrong_bytes_are_not_installed(site: Site, weights: bytes, user_folder: Path) -> None:
    offer(site, weights)
    site.files["/soil.safetensors"] = weights[:-1] + bytes([weights[-1] ^ 1])
    with pytest.raises(InputError, match=r"sha256 is \w+, the registry says \w+; nothing was inst"):
        get(site)
    assert registry.installed_models() == {}
    assert {n.split(".")[-1] for n in files_below(user_folder)} <= {"lock"}


def test_a_file_of_another_length_is_not_read(site: Site, weights: bytes) -> None:
    offer(site, weights, size=len(weights) + 7)
    match = f"the file has {len(weights)} bytes, the registry says {len(weights) + 7}"
    with pytest.raises(EnvironmentFault, match=match):
        get(site)


def test_endless_answers_end(site: Site, weights: bytes) -> None:
    offer(site, weights)
    site.files["/soil.safetensors"] = weights + b"x" * 10_000_000
    site.tells_length = False
    assert get(site).path.read_bytes() == weights


def test_redirects(site: Site, serve: Callable[[], Site], weights: bytes) -> None:
    other = serve()
    offer(site, weights)
    other.files["/there"] = site.files.pop("/soil.safetensors")
    other.cut_after = 150_000
    site.redirects["/soil.safetensors"] = f"{other.address}/there"
    assert get(site).path.read_bytes() == weights
    assert other.asked == [("/there", None), ("/there", "bytes=150000-")]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[x"])
def test_redirects_out_of_the_web_are_refused(site: Site, weights: bytes, target: str) -> None:
    offer(site, weights)
    site.redirects["/soil.safetensors"] = target
    with pytest.raises(EnvironmentFault, match=r"(?i)redirect"):
        get(site)


def test_redirects_in_a_circle_end(site: Site, weights: bytes) -> None:
    offer(site, weights)
    site.redirects["/soil.safetensors"] = "/soil.safetensors"
    with pytest.raises(EnvironmentFault, match="302"):
        get(site)


def test_a_missing_file_is_said_at_once(site: Site, weights: bytes) -> None:
    offer(site, weights)
    del site.files["/soil.safetensors"]
    with pytest.raises(EnvironmentFault, match="the server answers 404 Not Found"):
        get(site)
    assert len(site.asked) == 1


def test_mirrors(
    site: Site, serve: Callable[[], Site], weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, own = serve(), serve()
    offer(site, weights, mirrors=[f"{second.address}/copy"])
    del site.files["/soil.safetensors"]
    second.files["/copy"] = weights
    own.files["/llmbin/soil.safetensors"] = weights[:-1] + bytes([weights[-1] ^ 1])
    monkeypatch.setenv("LLMBIN_MIRROR", f"{own.address}/llmbin/")
    model = get(site)
    assert model.source == f"{second.address}/copy"
    assert model.path.read_bytes() == weights
    assert [s.asked for s in (own, site, second)] == [
        [("/llmbin/soil.safetensors", None)], [("/soil.safetensors", None)], [("/copy", None)],
    ]  # fmt: skip
    monkeypatch.setenv("LLMBIN_MIRROR", "/srv/mirror")
    registry.installed_models()["soil"].folder.parent.joinpath("record.json").unlink()
    with pytest.raises(UsageError, match="LLMBIN_MIRROR=/srv/mirror: is not an http"):
        get(site)


def test_proxy(serve: Callable[[], Site], weights: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve()
    there = "http://models.invalid"  # a name that nothing but the proxy answers for
    proxy.files = {
        f"{there}/models.json": listing(row("soil", weights, f"{there}/soil.safetensors")),
        f"{there}/soil.safetensors": weights,
    }
    monkeypatch.setenv("http_proxy", proxy.address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    place = registry.read_registry(f"{there}/models.json")
    assert registry.fetch(*registry.lookup("soil", [place])).path.read_bytes() == weights
    monkeypatch.setenv("no_proxy", "models.invalid")
    with pytest.raises(EnvironmentFault, match=r"cannot be fetched.*proxy"):
        registry.read_registry(f"{there}/models.json")


def test_offline(site: Site, weights: bytes) -> None:
    offer(site, weights)
    match = rf"offline: soil was not fetched; get {site.address}/soil.safetensors \(sha256:\w+\)"
    with pytest.raises(EnvironmentFault, match=match):
        get(site, offline=True)
    assert site.asked == []
    get(site)
    assert get(site, offline=True).name == "soil"


def test_nobody_listens(weights: bytes, serve: Callable[[], Site]) -> None:
    with pytest.raises(EnvironmentFault, match="cannot be fetched"):
        registry.read_registry("http://127.0.0.1:1/models.json")
    with pytest.raises(EnvironmentFault, match="not an address"):
        registry.read_registry("http://127.0.0.1:port/models.json")


def test_a_cut_registry_is_asked_again(site: Site, weights: bytes) -> None:
    offer(site, weights)
    site.cut_after = 20
    with pytest.raises(EnvironmentFault, match="the connection was cut"):
        get(site)


def test_the_right_bytes_that_are_no_model(site: Site, user_folder: Path) -> None:
    offer(site, b"not a model, whatever the registry says")
    with pytest.raises(InputError, match=r"/soil\.safetensors: model\.safetensors: not a safetens"):
        get(site)
    assert registry.installed_models() == {}
    assert {n.split(".")[-1] for n in files_below(user_folder)} <= {"lock"}


def test_another_kind_than_promised(site: Site, weights: bytes) -> None:
    offer(site, weights, kind="glm")
    with pytest.raises(InputError, match="is of kind encoder, the registry says glm"):
        get(site)


def test_a_new_version_takes_the_place_of_the_old(site: Site, weights: bytes) -> None:
    offer(site, weights)
    get(site)
    newer = encoder_bytes(seed=1)
    offer(site, newer)
    assert get(site).path.read_bytes() == newer
    assert list(registry.installed_models()) == ["soil"]


@pytest.mark.parametrize("damage", ["cut", "more", "record"])
def test_a_damaged_model_is_fetched_again(site: Site, weights: bytes, damage: str) -> None:
    offer(site, weights)
    model = get(site)
    if damage == "cut":
        model.path.write_bytes(weights[:-1])
    elif damage == "more":
        (model.folder / "more").touch()
    else:
        (model.folder.parent / "record.json").write_text("{}")
    assert registry.verify(model) or damage == "record"
    again = get(site)
    assert [path for path, _ in site.asked] == ["/soil.safetensors"]
    assert registry.verify(again) == []
    assert again.path.read_bytes() == weights
