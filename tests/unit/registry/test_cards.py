"""What registries and `llmbin-models show` tell of an encoder, by its card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from llmbin_tools.models import main
from registry_server import said

from llmbin_core import registry
from llmbin_core.encoder.features import Embedder
from llmbin_core.encoder.modelcard import read_card
from llmbin_core.glm.identity import identify
from llmbin_core.registry import entries, names


def test_registries_tell_what_an_encoder_needs(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundled = {e.name: e.needs for e in names.bundled_registry().models}
    card = read_card(registry.find("global", "encoder"))
    assert bundled["global"] == registry.Needs(card["kind"], *Embedder(**card["embedder"]))
    assert bundled["global"].glm_digest == identify("compact").digest  # type: ignore[union-attr]
    assert bundled["compact"] == registry.Needs()
    said(capsys, "install", str(registry.find("global", "encoder")), "--name", "mine")
    document = said(capsys, "export", "mine", "--out", str(tmp_path / "mine.tar.gz"))
    (listed,) = entries.parse(document.encode(), "m").models
    assert listed.needs == bundled["global"]
    # Registries of before, and encoders whose card does not say it.
    assert "needs" not in entries.document([replace(listed, needs=registry.Needs())])["models"][0]
    model = registry.install(encoder)
    assert model.needs == registry.Needs()
    model.path.write_bytes(b"")
    assert model.needs == registry.Needs()  # damaged: what verify tells stops no list
    (tmp_path / "m.json").write_text(document.replace('"mine"', '"other"'))
    rows = json.loads(said(capsys, "list", "--json", "--registry", str(tmp_path / "m.json")))
    samples = {r["name"]: (r["samples"], r["glm"]) for r in rows}
    there = ("single-sample", "compact")
    assert samples == {"global": there, "mine": there, "other": there, "soil": (None, None),
                       "compact": (None, None)}  # fmt: skip
    table = said(capsys, "list").splitlines()
    assert table[0].split()[:4] == ["NAME", "KIND", "SAMPLES", "GLM"]
    assert table[1].split()[:4] == ["global", "encoder", *there]


def test_show_prints_the_card_of_an_encoder(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = registry.find("global", "encoder")
    digest = identify("compact").digest  # type: ignore[union-attr]
    for name in ("global", str(path)):
        text = " ".join(said(capsys, "show", name).split())
        for words in ("samples: single-sample", "glm: compact", f"glm_digest: {digest}",
                      "network: width 512, depth 2", "S1 (4,865), S1 (5,250)", "epochs: 30",
                      "LLMBin: 0.1.0"):  # fmt: skip
            assert words in text, (name, words)
        shown = json.loads(said(capsys, "show", name, "--json"))
        assert shown["encoder"] == read_card(path)
    assert f"glm_digest: {digest}" in " ".join(said(capsys, "show", "compact").split())
    # An encoder of another version is shown as far as it is understood.
    registry.install(encoder)
    assert main(["show", "soil"]) == 0
    assert "not a model of this version" in capsys.readouterr().err
    assert "not a model of this version" in said(capsys, "show", str(encoder), code=3)
