"""gLM folders: what is written comes back, what is wrong is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from glm_helpers import random_bases
from safetensors.torch import save

from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.glm import hub, modelfolder, models
from llmbin_core.glm.alphabet import reverse_complement
from llmbin_core.registry import GLM, find

SETTINGS = {
    "compact": {"hidden": 8, "dim": 4},
    "hyena": {"width": 8, "layers": 1, "inner": 8, "max_length": 512},
    "caduceus": {"width": 8, "layers": 1, "state": 2},
}


@pytest.fixture(params=models.ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = models.build(request.param, SETTINGS[request.param])
    modelfolder.save_model(model, tmp_path / "glm", name="mine", card="# card\n")
    return tmp_path / "glm"


def test_round_trip(folder: Path, tmp_path: Path) -> None:
    model, digest = modelfolder.load_model(folder)
    architecture, settings = models.describe(model)
    assert settings.items() >= SETTINGS[architecture].items()
    assert modelfolder.save_model(model, tmp_path / "again", name="mine", card="# card\n")
    for file in ("config.json", "model.safetensors", "README.md"):
        assert (folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    embedder = hub.load_embedder(folder)
    assert (embedder.name, embedder.digest) == ("mine", digest)


def test_half_precision_is_close(folder: Path, tmp_path: Path) -> None:
    model, _ = modelfolder.load_model(folder)
    modelfolder.save_model(model, tmp_path / "half", name="mine", card="", half=True)
    found, _ = modelfolder.load_model(tmp_path / "half")
    for mine, theirs in zip(found.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
        assert mine.dtype == theirs.dtype


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def put_weights(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    import hashlib

    blob = save(tensors)
    (folder / "model.safetensors").write_bytes(blob)
    rewrite(folder, sha256=hashlib.sha256(blob).hexdigest())


def test_wrong_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither a known name \(.*tnf, spectrum\) nor a folder"):
        hub.load_embedder("nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"has no config\.json"):
        hub.load_embedder(empty)
    (empty / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="is not a JSON object"):
        hub.load_embedder(empty)
    rewrite(folder, version=99)
    with pytest.raises(InputError, match="gLM format 99, this program reads up to 1"):
        hub.load_embedder(folder)
    rewrite(folder, version=1, architecture="other")
    with pytest.raises(InputError, match="gLM architecture 'other'"):
        hub.load_embedder(folder)


def test_wrong_weights(folder: Path) -> None:
    model, _ = modelfolder.load_model(folder)
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(InputError, match=r"sha256 is .* config\.json expects"):
        hub.load_embedder(folder)
    weights.unlink()
    with pytest.raises(InputError, match="no such file"):
        hub.load_embedder(folder)
    tensors = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
    name = next(k for k, v in tensors.items() if v.is_floating_point())
    put_weights(folder, {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(InputError, match=f"lacks the parameter '{name}'"):
        hub.load_embedder(folder)
    put_weights(folder, tensors | {"more": torch.zeros(1)})
    with pytest.raises(InputError, match="unknown parameter 'more'"):
        hub.load_embedder(folder)
    put_weights(folder, tensors | {name: torch.zeros(1, 2, 3)})
    with pytest.raises(InputError, match=r"has shape \[1, 2, 3\]"):
        hub.load_embedder(folder)
    put_weights(folder, tensors | {name: torch.full_like(tensors[name], torch.nan)})
    with pytest.raises(InputError, match="not finite"):
        hub.load_embedder(folder)
    (folder / "model.safetensors").write_bytes(b"nonsense")
    import hashlib

    rewrite(folder, sha256=hashlib.sha256(b"nonsense").hexdigest())
    with pytest.raises(InputError, match="not a safetensors file"):
        hub.load_embedder(folder)


def test_wrong_settings() -> None:
    with pytest.raises(InputError, match="unknown setting 'depth'; it has block, dim"):
        models.build("compact", {"depth": 3})
    with pytest.raises(InputError, match="block 50: must be a multiple of 3"):
        models.build("compact", {"block": 50})


def test_bundled_glm() -> None:
    path = find("compact", GLM)
    assert sum(p.stat().st_size for p in path.iterdir()) <= 16 << 20
    assert {p.name for p in path.iterdir()} >= {"README.md", "log.tsv", "log.svg"}
    embedder = hub.load_embedder("compact")
    sequences = [random_bases(2003, i, 0.3 + 0.1 * i) for i in range(3)]
    other = [reverse_complement(s) for s in sequences]

    def whole(codes: list[np.ndarray]) -> np.ndarray:
        return embedder.head(np.stack([s.sum(0) for s in embedder.block_sums(codes)]))

    np.testing.assert_allclose(whole(sequences), whole(other), rtol=1e-5, atol=1e-5)
    assert np.abs(whole(sequences)).max() < 1000


class Client:
    """Stands for huggingface_hub: knows one repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snapshot_download(self, name: str) -> str:
        if name != "me/glm":
            raise OSError("404")
        return str(self.folder)


def test_from_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "import_module", lambda name: Client(folder))
    assert hub.load_embedder("hf:me/glm").name == "mine"
    with pytest.raises(EnvironmentFault, match=r"hf:me/other: cannot be fetched \(404\)"):
        hub.load_embedder("hf:me/other")


def test_hub_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(hub, "import_module", absent)
    with pytest.raises(EnvironmentFault, match="needs the library huggingface_hub"):
        hub.load_embedder("hf:me/glm")
