"""The modules with samples that were assembled apart; rendered and run as in test_modules.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine import MULTI_SIZE, NO_FILE, SAMPLES, SMALL, Engine

from llmbin_core.stagefile import read_stage

# By ext.prefix, as conf/modules.config sets it: the set of contigs, or one sample of it.
SET = {"id": "apart", "multi": True, "samples": SAMPLES}


def _of(sample: str) -> dict[str, Any]:
    return {**SET, "sample": sample}


@pytest.fixture(scope="session")
def multi_features(engine: Engine, community: Path) -> dict[str, Path]:
    """What the features subworkflow gives for samples that were assembled apart; two shards."""
    data = community / "multi"
    assemblies = sorted(data.glob("assemblies/*"))
    prepare = engine.run("prepare", [[SET, assemblies, SAMPLES]])
    contigs = prepare.one("contigs")
    depths = [
        engine.run("coverage", [[SET, contigs, bam, bam.stem], NO_FILE]).one("coverage")
        for bam in sorted(data.glob("*.bam"))
    ]
    made = {
        "contigs": contigs,
        "table": prepare.one("table"),
        "coverage": engine.run("coverage", [[SET, [], depths, []], NO_FILE]).one("coverage"),
    }
    for stage, more in (("composition", []), ("embed", [NO_FILE]), ("markers", [[{}, [], []]])):
        shards = [engine.run(stage, [[SET, contigs, k, []], *more]) for k in ("1/2", "2/2")]
        output = {"embed": "embedding"}.get(stage, stage)
        merged = engine.run(stage, [[SET, [], "", [s.one(output) for s in shards]], *more])
        made[output] = merged.one(output)
        if stage == "markers":
            made["sets"] = shards[0].one("sets")
    return made


@pytest.fixture(scope="session", params=["shared", "each"])
def apart(
    engine: Engine, multi_features: dict[str, Path], request: pytest.FixtureRequest
) -> dict[str, Any]:
    """Tasks in the order of subworkflows/llmbin/bins for a multi-sample set; samples backwards."""
    f = multi_features
    features = [f["composition"], f["coverage"], f["embedding"]]
    split: dict[str, Any] = {"args": "--separator :"}
    done: dict[str, Any] = {}
    training = {"args": f"--separator : {SMALL}"}
    models: dict[str, Path] = {}
    if request.param == "shared":
        model = engine.run("train", [[SET, features, ""]], ext=training).one("model")
        models = dict.fromkeys(SAMPLES, model)
    else:
        for s in reversed(SAMPLES):
            ext = {**training, "prefix": s}
            models[s] = engine.run("train", [[_of(s), features, s]], ext=ext).one("model")
    latents = {
        s: engine.run("encode", [[_of(s), features, s, []], [{}, models[s]]],
                      ext={**split, "prefix": s}).one("latent")
        for s in reversed(SAMPLES)
    }  # fmt: skip
    joined = [[SET, f["composition"], "", [latents[s] for s in SAMPLES]], NO_FILE]
    done["latent"] = engine.run("encode", joined)
    latent = done["latent"].one("latent")
    parts, folders = {}, {}
    for s in reversed(SAMPLES):
        ext = {"prefix": s, "args": f"--min-bin-size {MULTI_SIZE}", "args2": ""}
        clustered = engine.run("cluster", [[_of(s), latent, f["markers"], s, []]], ext=ext)
        parts[s] = clustered.one("partitions")
        folders[s] = engine.run("bin", [[
            _of(s), parts[s], f["markers"], f["sets"], f["contigs"], f["coverage"], latent, s, [],
        ]], ext=ext).one("folder")  # fmt: skip
    done["cluster"] = engine.run("cluster", [[SET, latent, [], "", [parts[s] for s in SAMPLES]]])
    joined = [[SET, [], [], [], f["contigs"], [], [], "", [folders[s] for s in SAMPLES]]]
    done["bin"] = engine.run("bin", joined)
    done["report"] = engine.run("report", [[
        SET, done["bin"].one("table"), done["bin"].one("contig2bin"), f["table"], f["coverage"],
        latent, done["cluster"].one("partitions"), f["markers"], f["sets"], [],
    ]])  # fmt: skip
    expected = {"shared": "whole_multi", "each": "whole_each"}[request.param]
    done["expected"] = request.getfixturevalue(expected)
    return done


def test_samples_apart_give_the_bytes_of_a_run(apart: dict[str, Any]) -> None:
    made, whole = apart["bin"], apart["expected"]
    bins = {p.name: p.read_bytes() for p in made.files["bins"]}
    assert {name.split(".")[0] for name in bins} == set(SAMPLES)
    assert bins == {p.name: p.read_bytes() for p in (whole / "bins").iterdir()}
    for output, name in (("table", "bins.tsv"), ("contig2bin", "contig2bin.tsv"),
                         ("contig2bin_dastool", "contig2bin.dastool.tsv"),
                         ("outliers", "outliers.tsv"), ("samples", "samples.tsv"),
                         ("unbinned", "unbinned.fa.gz")):  # fmt: skip
        assert made.one(output).read_bytes() == (whole / name).read_bytes(), name
    for file, name, tensor in ((apart["latent"].one("latent"), "latent.safetensors", "latent"),
                               (apart["cluster"].one("partitions"), "partitions.safetensors",
                                "labels")):  # fmt: skip
        mine, theirs = read_stage(file), read_stage(whole / name)
        assert mine.contigs.digest == theirs.contigs.digest
        assert mine.tensors[tensor].tobytes() == theirs.tensors[tensor].tobytes()
    assert all(name in apart["report"].one("report").read_text("utf-8") for name in SAMPLES)


def test_run_gives_the_bytes_of_a_run_of_several_samples(
    engine: Engine, community: Path, whole_multi: Path
) -> None:
    data = community / "multi"
    assemblies, bams = sorted(data.glob("assemblies/*")), sorted(data.glob("*.bam"))
    options = f"--multi-sample yes --assembly-names {' '.join(SAMPLES)}"
    ext = {"args": f"{SMALL} {options} --min-bin-size {MULTI_SIZE}", "args2": ""}
    made = engine.run("run", [[SET, assemblies, bams, SAMPLES], NO_FILE], ext=ext)
    bins = {p.name: p.read_bytes() for p in made.files["bins"]}
    assert bins == {p.name: p.read_bytes() for p in (whole_multi / "bins").iterdir()}
    for output in ("samples", "outliers"):
        name = f"{output}.tsv"
        assert made.one(output).read_bytes() == (whole_multi / name).read_bytes(), name
    assert all(made.files[output] for output in ("curve", "report", "multiqc"))
