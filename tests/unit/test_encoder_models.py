"""Models of one and of several samples: what trains together, what a model may be used for."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_samples import sample
from safetensors.numpy import save_file

from llmbin_core import outputs, stages
from llmbin_core.contigs import ContigTable
from llmbin_core.encoder.features import FEATURES_VERSION, Embedder, Sample, load_samples
from llmbin_core.encoder.modelcard import check_fit, facts, read_card
from llmbin_core.encoder.modelfile import load_model, save_model
from llmbin_core.encoder.train import encode, make_plan, train_encoder
from llmbin_core.errors import InputError, UsageError
from llmbin_core.registry import ENCODER, bundled_models, find
from llmbin_core.stagefile import Provenance, read_stage, write_stage

CPU = torch.device("cpu")
SMALL = {"width": 32, "depth": 1, "latent": 16, "branch": 8}


def neighbours_of_the_same_genome(model: object, one: Sample) -> float:
    latent = encode(model, one, CPU)  # type: ignore[arg-type]
    similarity = latent @ latent.T
    np.fill_diagonal(similarity, -1)
    assert one.species is not None
    # Of the 10 nearest contigs.
    nearest = np.argsort(-similarity, axis=1)[:, :10]
    return float((one.species[nearest] == one.species[:, None]).mean())


def trained(samples: list[Sample], **options: object) -> object:
    plan = {**SMALL, "epochs": 12, "temperature": 0.2, "batch_size": 64, **options}
    shape, settings_ = make_plan(samples, plan)
    return train_encoder(samples, shape, settings_, CPU)[0]


def test_a_model_of_one_sample_serves_another_and_three_serve_it_better() -> None:
    samples = [sample(60, 12, seed=k, noise=1.0) for k in range(4)]
    bare = [replace(s, species=None) for s in samples]
    one = [neighbours_of_the_same_genome(trained([bare[k]]), samples[3]) for k in range(3)]
    three = neighbours_of_the_same_genome(trained(bare[:3]), samples[3])
    chance = np.mean(samples[3].species[:, None] == samples[3].species[None])
    assert min(one) > 2 * chance
    assert three > np.mean(one)


@pytest.mark.parametrize("objective", ["views", "pairs"])
def test_species_help_and_wrong_ones_do_little_harm(objective: str) -> None:
    truth = sample(300, 10, noise=1.3)
    assert truth.species is not None
    rng = np.random.default_rng(5)
    wrong = np.where(rng.random(300) < 0.2, rng.integers(0, 10, 300), truth.species)

    def quality(species: np.ndarray | None) -> float:
        model = trained([replace(truth, species=species)], objective=objective)
        return neighbours_of_the_same_genome(model, truth)

    alone = quality(None)
    assert quality(truth.species) >= alone
    assert quality(wrong) >= 0.95 * alone


def test_samples_of_different_features_do_not_train_together() -> None:
    one, two = sample(20, seed=1), sample(20, seed=2)
    without = replace(two, features={"composition": two.features["composition"]}, alignments=())
    with pytest.raises(InputError, match=r"different features .composition 20, coverage 2; comp"):
        make_plan([one, without], SMALL)
    glms = [replace(s, embedder=Embedder("g", d)) for s, d in ((one, "1"), (two, "2"))]
    with pytest.raises(InputError, match="come from different gLMs"):
        make_plan(glms, SMALL)
    several = [replace(s, alignments=a) for s, a in ((one, ("a", "b")), (two, ("a", "c")))]
    with pytest.raises(InputError, match=r"coverage over different alignments \(a, b; a, c\)"):
        make_plan(several, SMALL)


@pytest.mark.parametrize(("objective", "needed"), [("views", 2), ("pairs", 3)])
def test_too_few_views_are_refused(objective: str, needed: int) -> None:
    def with_views(n: int) -> Sample:
        one = sample(20)
        return replace(one, features={k: v[:, :n] for k, v in one.features.items()})

    match = rf"the features have {needed - 1} view.*make them with --views {needed} or more"
    with pytest.raises(InputError, match=match):
        make_plan([with_views(needed - 1)], {**SMALL, "objective": objective})
    trained([with_views(needed)], objective=objective, epochs=1)


def saved(path: Path, one: Sample, half: bool = False) -> Path:
    shape, options = make_plan([one], {**SMALL, "epochs": 1})
    encoder, curve = train_encoder([one], shape, options, CPU)
    save_model(path, encoder, [one], options, curve, half=half)
    return path


def test_the_card_says_what_a_model_is(tmp_path: Path) -> None:
    one = replace(sample(30), embedder=Embedder("compact", "sha256:1"))
    card = read_card(saved(tmp_path / "one", one))
    assert (card["kind"], card["depths"], card["alignments"]) == ("single-sample", 1, None)
    assert card["embedder"] == {"name": "compact", "digest": "sha256:1"}
    assert card["features_version"] == FEATURES_VERSION
    (trained_on,) = card["trained_on"]
    assert trained_on == {
        "name": "a", "contigs": 30, "bp": int(one.contigs.lengths.sum()),
        "digest": one.contigs.digest, "alignments": ["a"], "with_species": 30,
    }  # fmt: skip
    assert card["options"]["epochs"] == card["epochs_run"] == 1
    # Contigs of 1 to 30 kb: the temperature of a long N50, which no option gave.
    assert (card["temperature"], card["options"]["temperature"], card["half"]) == (
        0.07,
        None,
        False,
    )
    assert read_card(saved(tmp_path / "half", one, half=True))["half"]
    said = facts(card)
    assert said["trained on (contigs)"] == "a (30)"
    assert (said["temperature"], said["weights"]) == ("0.07", "32 bits")
    two = replace(one, alignments=("a", "b"))
    card = read_card(saved(tmp_path / "two", two))
    assert (card["kind"], card["alignments"]) == ("multi-sample", ["a", "b"])
    assert card["trained_on"][0]["name"] == "a, b"
    card = read_card(saved(tmp_path / "named", replace(two, name="S1")))
    assert card["trained_on"][0]["name"] == "S1"


def test_a_single_sample_model_serves_any_alignment_and_a_multi_sample_one_its_own(
    tmp_path: Path,
) -> None:
    one = replace(sample(30), embedder=Embedder("compact", "sha256:1"))
    path = saved(tmp_path / "one", one)
    card = read_card(path)
    check_fit(path, card, replace(one, alignments=("other",)))
    with pytest.raises(InputError, match=r"single-sample model, .* the features have 2 coverage"):
        check_fit(path, card, replace(one, alignments=("a", "b")))
    with pytest.raises(InputError, match="gLM compact, the features come from tnf; embed with"):
        check_fit(path, card, replace(one, embedder=Embedder("tnf", "sha256:2")))
    with pytest.raises(InputError, match="come from compact of other weights"):
        check_fit(path, card, replace(one, embedder=Embedder("compact", "sha256:2")))
    two = replace(one, alignments=("a", "b"))
    path = saved(tmp_path / "two", two)
    check_fit(path, read_card(path), two)
    with pytest.raises(InputError, match="model of the alignments a, b; the features have a, c"):
        check_fit(path, read_card(path), replace(two, alignments=("a", "c")))
    with pytest.raises(InputError, match=r"multi-sample model, trained with 2 .* have 1 coverage"):
        check_fit(path, read_card(path), one)


def test_a_model_of_other_features_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "m", sample(20))
    card = {**read_card(path), "features_version": 99}
    save_file({"w": np.zeros(1)}, path, metadata={"llmbin": json.dumps(card)})
    with pytest.raises(InputError, match=r"features of version 99, .* train the model again"):
        read_card(path)


def test_half_precision_halves_the_file_and_hardly_moves_latents(tmp_path: Path) -> None:
    one = sample(40)
    whole, half = saved(tmp_path / "whole", one), saved(tmp_path / "half", one, half=True)
    assert half.stat().st_size < 0.7 * whole.stat().st_size
    latents = [encode(load_model(p, CPU)[0], one, CPU) for p in (whole, half)]
    assert np.abs(latents[0] - latents[1]).max() < 0.01


def write_features(
    folder: Path, names: list[str], seed: int, alignments: tuple[str, ...] = ("a",)
) -> Path:
    rng = np.random.default_rng(seed)
    n = len(names)
    table = ContigTable(tuple(names), np.full(n, 5000))
    composition = rng.dirichlet(np.ones(136), (n, 6)).astype(np.float32)
    depth = rng.gamma(2, 10, (n, 6, len(alignments))).astype(np.float32)
    write_stage(folder / outputs.COMPOSITION, table, {"composition": composition},
                Provenance("composition", 0, 6))  # fmt: skip
    options = {"samples": list(alignments), "mapped_reads": dict.fromkeys(alignments)}
    write_stage(folder / outputs.COVERAGE, table, {"mean": depth, "variance": depth},
                Provenance("coverage", 0, 6, options))  # fmt: skip
    return folder


def test_a_folder_is_a_sample_whatever_its_contigs(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(20)]
    one = write_features(tmp_path / "one", names, 0, ("a",))
    two = write_features(tmp_path / "two", names, 0, ("b",))
    found = load_samples([two, one])
    assert [s.alignments for s in found] == [("a",), ("b",)]  # the order given plays no part
    with pytest.raises(InputError, match="same contigs with the same alignments"):
        load_samples([one, two, one])
    files = [f / n for f in (one, two) for n in (outputs.COMPOSITION, outputs.COVERAGE)]
    with pytest.raises(InputError, match="one folder for each"):
        load_samples(files)


def test_samples_of_a_joined_set_are_scaled_apart(tmp_path: Path) -> None:
    names = [f"S{1 + i % 2}:c{i}" for i in range(40)]
    folder = write_features(tmp_path / "all", names, 0)
    one, two = load_samples([folder], ":")
    assert (one.name, two.name, len(one.contigs)) == ("S1", "S2", 20)
    for part in (one, two):
        np.testing.assert_allclose(part.features["coverage"][:, 0].mean(axis=0), 0, atol=1e-4)
        assert part.rows is not None
        assert [names[row] for row in part.rows] == list(part.contigs.names)
    with pytest.raises(InputError, match="'c0' names no sample"):
        load_samples([write_features(tmp_path / "plain", ["c0", "c1"], 0)], ":")


def test_stages_train_and_encode_sample_by_sample(tmp_path: Path) -> None:
    names = [f"S{1 + i % 2}:c{i}" for i in range(40)]
    folder = write_features(tmp_path / "all", names, 0, ("a", "b"))
    small = {**SMALL, "epochs": 2}
    models, curve = tmp_path / "models", tmp_path / "curve"
    stages.train([folder], models, separator=":", per_sample=True, curve_out=curve,
                 checkpoint=tmp_path / "ck", **small)  # fmt: skip
    assert sorted(p.name for p in models.iterdir()) == ["S1.model.safetensors",
                                                        "S2.model.safetensors"]  # fmt: skip
    with curve.open() as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert [(r["sample"], r["epoch"]) for r in rows] == [
        ("S1", "1"), ("S1", "2"), ("S2", "1"), ("S2", "2"),
    ]  # fmt: skip
    stages.encode([folder], models, tmp_path / "latent", separator=":")
    whole = read_stage(tmp_path / "latent", "latent")
    assert list(whole.contigs.names) == names
    for part in load_samples([folder], ":"):
        encoder, _ = load_model(models / f"{part.name}.model.safetensors", CPU)
        np.testing.assert_array_equal(
            whole.tensors["latent"][part.rows], encode(encoder, part, CPU)
        )
    (models / "S2.model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model 'S2.model.safetensors' \(it has S1"):
        stages.encode([folder], models, tmp_path / "latent", separator=":")
    with pytest.raises(
        UsageError, match=r"models: is a folder .* for each sample; give --separator"
    ):
        stages.encode([folder], models, tmp_path / "latent")
    stages.train([folder], tmp_path / "shared", separator=":", **small)
    assert [t["contigs"] for t in read_card(tmp_path / "shared")["trained_on"]] == [20, 20]
    stages.encode([folder], tmp_path / "shared", tmp_path / "latent", separator=":")
    with pytest.raises(UsageError, match="--per-sample needs --separator"):
        stages.train([folder], models, per_sample=True, **small)


def test_one_sample_at_a_time_gives_the_models_and_latents_of_all(tmp_path: Path) -> None:
    names = [f"S{1 + i % 2}:c{i}" for i in range(40)]
    folder = write_features(tmp_path / "all", names, 0, ("a", "b"))
    small = {**SMALL, "epochs": 2}
    models, apart = tmp_path / "models", tmp_path / "apart"
    stages.train([folder], models, separator=":", per_sample=True, **small)
    parts = []
    for name in ("S2", "S1"):
        model = apart / f"{name}.{outputs.MODEL}"
        stages.train([folder], model, separator=":", sample=name, **small)
        assert model.read_bytes() == (models / model.name).read_bytes()
        parts.append(apart / f"{name}.latent")
        stages.encode([folder], model, parts[-1], separator=":", sample=name)
    assert {n.split(":")[0] for n in read_stage(parts[0]).contigs.names} == {"S2"}
    stages.encode([folder], models, tmp_path / "whole", separator=":")
    stages.merge_latents(parts, [folder], tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == (tmp_path / "whole").read_bytes()
    with pytest.raises(UsageError, match="--sample S1 needs --separator"):
        stages.encode([folder], models, tmp_path / "latent", sample="S1")
    with pytest.raises(UsageError, match="--sample S1 needs --separator"):
        stages.train([folder], models, sample="S1", **small)
    with pytest.raises(UsageError, match="exclude each other"):
        stages.train([folder], models, separator=":", sample="S1", per_sample=True, **small)


def test_training_goes_on_from_a_model(tmp_path: Path) -> None:
    one = write_features(tmp_path / "one", [f"c{i}" for i in range(30)], 0)
    two = write_features(tmp_path / "two", [f"d{i}" for i in range(30)], 1)
    first, second = tmp_path / "first", tmp_path / "second"
    stages.train([one], first, epochs=2, **SMALL)
    stages.train([two], second, init=first, epochs=1, learning_rate=1e-9, weight_decay=0.0)
    before, card = load_model(first, CPU)
    after, of_second = load_model(second, CPU)
    assert of_second["init"] == card["digest"]
    assert of_second["shape"] == card["shape"]  # though no size was given
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    with pytest.raises(UsageError, match="--width 48: the model of --init has 32"):
        stages.train([two], second, init=first, width=48)
    with pytest.raises(UsageError, match="--width 512: the model of --init has 32"):
        stages.train([two], second, init=first, width=512)  # the default, and yet another one
    with pytest.raises(UsageError, match="--latent-size 17: the model of --init has 16"):
        stages.train([two], second, init=first, latent=17)
    stages.train([two], second, init=first, width=32, epochs=1)
    several = write_features(tmp_path / "several", ["x", "y"], 1, ("a", "b"))
    with pytest.raises(InputError, match="single-sample model"):
        stages.train([several], second, init=first)


def test_a_training_on_one_contig_is_none_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = write_features(tmp_path / "one", ["S1:c"], 0)
    stages.train([one], tmp_path / "m", epochs=1, **SMALL)
    text = "m: there are no two contigs to tell apart; the model is written without training"
    assert text in caplog.text
    caplog.clear()
    names = ["S1:c", *(f"S2:c{i}" for i in range(9))]
    both = write_features(tmp_path / "both", names, 0)
    stages.train([both], tmp_path / "m", separator=":", epochs=1, **SMALL)
    assert "without training" not in caplog.text
    stages.train([both], tmp_path / "ms", separator=":", per_sample=True, epochs=1, **SMALL)
    told = [r.getMessage() for r in caplog.records if "without training" in r.getMessage()]
    assert [t.split(":")[0] for t in told] == ["S1.model.safetensors"]


def test_taxonomy_is_used_and_advised_against(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_features(tmp_path / "one", [f"c{i}" for i in range(30)], 0)
    table = tmp_path / "t.tsv"
    table.write_text("".join(f"c{i}\td__B;s__x {i % 3}\n" for i in range(10)))
    stages.train([folder], tmp_path / "m", taxonomy=table, epochs=1, **SMALL)
    assert read_card(tmp_path / "m")["trained_on"][0]["with_species"] == 10
    advice = [r for r in caplog.records if "not recommended" in r.getMessage()]
    assert len(advice) == 1
    assert "may be removed" in advice[0].getMessage()
    table.write_text("z\td__B;s__x y\n")
    with pytest.raises(InputError, match=r"species of none of the contigs; .* 'c0'"):
        stages.train([folder], tmp_path / "m", taxonomy=table, epochs=1, **SMALL)


def test_a_label_of_a_name_that_two_assemblies_have_is_refused(tmp_path: Path) -> None:
    names = [f"k141_{i}" for i in range(30)]
    one = write_features(tmp_path / "one", names, 0)
    two = write_features(tmp_path / "two", names[10:], 1)
    table = tmp_path / "t.tsv"
    table.write_text("k141_3\td__B;s__x y\nk141_12\td__B;s__x z\n")
    match = r"t\.tsv: names the contig 'k141_12', which two of the samples have; prepare"
    with pytest.raises(InputError, match=match):
        stages.train([one, two], tmp_path / "m", taxonomy=table, epochs=1, **SMALL)
    # Other alignments to the same assembly are the same contigs; a name of one sample is clear.
    same = write_features(tmp_path / "same", names, 0, ("b",))
    stages.train([one, same], tmp_path / "m", taxonomy=table, epochs=1, **SMALL)
    table.write_text("k141_3\td__B;s__x y\n")
    stages.train([one, two], tmp_path / "m", taxonomy=table, epochs=1, **SMALL)


def test_every_bundled_encoder_is_a_single_sample_model_with_a_card() -> None:
    encoders = [m for m in bundled_models().values() if m.kind == ENCODER]
    assert "global" in [m.name for m in encoders]
    for model in encoders:
        assert read_card(find(model.name, ENCODER))["kind"] == "single-sample"
        assert (model.folder / model.card).read_text().startswith("#")
