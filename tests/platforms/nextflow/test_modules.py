"""Every module, rendered by Groovy and run by bash with the installed executables; no Nextflow."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from engine import MODULES, NEXTFLOW, NO_FILE, PREFIX, SMALL, Done, Engine, Refused
from llmbin_tools.llmbin import COMMANDS

from llmbin_core import __version__, defaults

STAGES = sorted(p.name for p in MODULES.iterdir())
GPU = {"embed", "train", "encode", "run"}
# What nf-core/mag makes of the names of bins.
MAG_BIN = re.compile(rf"{PREFIX}\.[_A-Za-z0-9]+\.fa\.gz")
META = {"id": "s1"}


def test_a_module_for_every_stage_and_the_run() -> None:
    others = {"pretrain", "simulate", "evaluate", "models"}
    # Without llmbin-report the module is there already, as the pipeline needs it to be stubbed.
    assert set(STAGES) - {"report"} == set(COMMANDS) - others - {"report"}


def test_versions_are_those_of_the_package() -> None:
    for stage in STAGES:
        text = (MODULES / stage / "main.nf").read_text(encoding="utf-8")
        assert set(re.findall(r"llmbin:([\d.]+)--", text)) == {__version__}, stage
        for file in MODULES.joinpath(stage).glob("environment*.yml"):
            packages = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
            assert f"bioconda::llmbin={__version__}" in packages, file
    manifest = (NEXTFLOW / "nextflow.config").read_text(encoding="utf-8")
    assert re.findall(r"version +=  ?'([^']+)'", manifest) == [__version__]


@pytest.fixture(scope="session")
def scattered(engine: Engine, community: Path) -> dict[str, Done]:
    """All stages apart, as the subworkflow runs them: two shards, one task per BAM file."""
    done: dict[str, Done] = {}
    names: dict[str, Any] = {"prefix": PREFIX}
    done["prepare"] = engine.run("prepare", [[META, community / "contigs.fasta.gz", []]], ext=names)
    contigs = done["prepare"].one("contigs")
    depths = [
        engine.run("coverage", [[META, contigs, bam, bam.stem], NO_FILE]).one("coverage")
        for bam in sorted(community.glob("*.bam"), reverse=True)
    ]
    done["coverage"] = engine.run("coverage", [[META, [], depths, []], NO_FILE], ext=names)
    for stage, more in (("composition", []), ("embed", [NO_FILE]), ("markers", [[{}, [], []]])):
        shards = [
            engine.run(stage, [[META, contigs, shard, []], *more]) for shard in ("2/2", "1/2")
        ]
        output = {"embed": "embedding"}.get(stage, stage)
        # Run in any order, merged in that of the contigs.
        parts = [shard.one(output) for shard in reversed(shards)]
        done[stage] = engine.run(stage, [[META, [], "", parts], *more], ext=names)
        if stage == "markers":
            done["sets"] = shards[0]
    features = [
        done["composition"].one("composition"),
        done["coverage"].one("coverage"),
        done["embed"].one("embedding"),
    ]
    ext = {"prefix": PREFIX, "args": SMALL}
    done["train"] = engine.run("train", [[META, features, ""]], ext=ext)
    model = [{"id": "model"}, done["train"].one("model")]
    done["encode"] = engine.run("encode", [[META, features, "", []], model], ext=names)
    markers = done["markers"].one("markers")
    latent = done["encode"].one("latent")
    done["cluster"] = engine.run("cluster", [[META, latent, markers, "", []]], ext=names)
    done["bin"] = engine.run("bin", [[
        META, done["cluster"].one("partitions"), markers, done["sets"].one("sets"), contigs,
        done["coverage"].one("coverage"), latent, "", [],
    ]], ext=names)  # fmt: skip
    return done


def test_stages_apart_give_the_bytes_of_a_run(scattered: dict[str, Done], whole: Path) -> None:
    made = scattered["bin"]
    bins = {p.name: p.read_bytes() for p in made.files["bins"]}
    assert bins, "the comparison is about nothing without bins"
    assert bins == {p.name: p.read_bytes() for p in (whole / "bins").iterdir()}
    for output, name in (("table", "bins.tsv"), ("contig2bin", "contig2bin.tsv"),
                         ("contig2bin_dastool", "contig2bin.dastool.tsv"),
                         ("outliers", "outliers.tsv"), ("unbinned", "unbinned.fa.gz")):  # fmt: skip
        assert made.one(output).read_bytes() == (whole / name).read_bytes(), name
    assert scattered["markers"].one("markers").read_bytes() == (whole / "markers.tsv").read_bytes()


def test_run_gives_the_bytes_of_a_run(engine: Engine, community: Path, whole: Path) -> None:
    ext = {"prefix": PREFIX, "args": SMALL}
    bams = sorted(community.glob("*.bam"), reverse=True)
    made = engine.run("run", [[META, community / "contigs.fasta.gz", bams, []], NO_FILE], ext=ext)
    bins = {p.name: p.read_bytes() for p in made.files["bins"]}
    assert bins == {p.name: p.read_bytes() for p in (whole / "bins").iterdir()}
    assert all(MAG_BIN.fullmatch(name) for name in bins)
    assert made.one("unbinned").name == f"{PREFIX}.unbinned.fa.gz"
    assert made.one("unbinned").read_bytes() == (whole / "unbinned.fa.gz").read_bytes()
    assert json.loads(made.one("record").read_text())["mode"] == "co-assembly"
    assert made.versions == {"versions_llmbin": __version__}


def test_merges_and_their_sources_exclude_each_other(engine: Engine) -> None:
    file, none = {"path": "x"}, {"path": "parts/1/a"}
    wrong = {
        "encode": [[META, file, "", none], [{}, file]],
        "cluster": [[META, file, file, "", none]],
        "bin": [[META, file, file, file, file, [], [], "", none]],
    }
    for stage, inputs in wrong.items():
        for block in ("script", "stub"):
            with pytest.raises(Refused, match=f"LLMBIN_{stage.upper()}: give either"):
                engine.render(stage, inputs, block)


def test_versions_come_from_every_task(scattered: dict[str, Done]) -> None:
    assert {v for done in scattered.values() for v in done.versions.values()} == {__version__}
    assert all(list(done.versions) == ["versions_llmbin"] for done in scattered.values())


def test_no_bins_are_no_failure(engine: Engine, community: Path) -> None:
    ext = {"prefix": PREFIX, "args": f"{SMALL} --min-bin-size 9000000"}
    bams = sorted(community.glob("*.bam"))
    made = engine.run("run", [[META, community / "contigs.fasta.gz", bams, []], NO_FILE], ext=ext)
    assert made.files["bins"] == []
    assert made.one("contig2bin").read_text() == "contig\tbin\n"


def test_the_report(engine: Engine, scattered: dict[str, Done]) -> None:
    if shutil.which("llmbin-report") is None:
        pytest.skip("llmbin-report is not installed")
    done = scattered
    made = engine.run("report", [[
        META, done["bin"].one("table"), done["bin"].one("contig2bin"),
        done["prepare"].one("table"), done["coverage"].one("coverage"),
        done["encode"].one("latent"), done["cluster"].one("partitions"),
        done["markers"].one("markers"), done["sets"].one("sets"), done["train"].one("curve"),
    ]], ext={"prefix": PREFIX})  # fmt: skip
    assert PREFIX in made.one("report").read_text(encoding="utf-8")
    assert all(p.name.startswith(f"{PREFIX}.llmbin_") for p in made.files["multiqc"])


def _stub_inputs(stage: str, folder: Path) -> list[list[Any]]:
    """Files with fitting names and no content."""

    def file(name: str) -> Path:
        (folder / name).touch()
        return folder / name

    fasta, bam, stage_file = file("c.fasta.gz"), file("a.bam"), file("x.safetensors")
    tsv, sets = file("m.tsv"), file("sets.json")
    return {
        "prepare": [[META, fasta, []]],
        "composition": [[META, fasta, "1/2", []]],
        "coverage": [[META, fasta, bam, []], NO_FILE],
        "embed": [[META, fasta, "", []], NO_FILE],
        "markers": [[META, fasta, "", []], [{}, [], []]],
        "train": [[META, [stage_file, stage_file], ""]],
        "encode": [[META, stage_file, "", []], NO_FILE],
        "cluster": [[META, stage_file, tsv, "", []]],
        "bin": [[META, stage_file, tsv, sets, fasta, [], [], "", []]],
        "report": [[META, tsv, *[[]] * 8]],
        "run": [[META, fasta, [bam], ["s"]], NO_FILE],
    }[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_stubs(engine: Engine, stage: str, tmp_path: Path) -> None:
    inputs = _stub_inputs(stage, tmp_path)
    made = engine.run(stage, inputs, "stub", {"prefix": PREFIX})
    # Every output has a file, also the optional ones.
    assert made.files
    for output, files in made.files.items():
        assert files, output
        for path in files:
            assert PREFIX in path.name
            if path.suffix == ".gz":
                gzip.decompress(path.read_bytes())
    # The same names as the script: both blocks set the prefix.
    script = engine.render(stage, _as_staged(inputs), "script", {"prefix": PREFIX})
    stub = engine.render(stage, _as_staged(inputs), "stub", {"prefix": PREFIX})
    assert script["outputs"] == stub["outputs"]


def _as_staged(inputs: list[list[Any]]) -> list[list[Any]]:
    def name(value: Any) -> Any:
        if isinstance(value, Path):
            return {"path": value.name}
        return [name(v) for v in value] if isinstance(value, list) else value

    return [[name(value) for value in values] for values in inputs]


@pytest.mark.parametrize("stage", STAGES)
def test_args_prefix_and_threads_reach_the_command(
    engine: Engine, stage: str, tmp_path: Path
) -> None:
    inputs = _as_staged(_stub_inputs(stage, tmp_path))
    made = engine.render(stage, inputs, "script", {"args": "--seed 42"}, cpus=7)
    command = "llmbin run" if stage == "run" else f"llmbin-{stage}"
    words = made["script"].replace("\\\n", " ").split()
    assert " ".join(words).startswith(command + " --")
    assert "--seed 42" in " ".join(words)
    assert "--threads 7" in " ".join(words)
    # Every option is one that the executable has.
    if shutil.which(f"llmbin-{stage}") or stage == "run":
        shown = subprocess.run([*command.split(), "--help"], capture_output=True, text=True).stdout
        options = {w for w in words if w.startswith("--") and w != "--seed"}
        assert {o for o in options if not re.search(rf"{o}\b", shown)} == set()


@pytest.mark.parametrize("stage", ["bin", "run"])
def test_bins_of_several_samples_have_no_prefix(engine: Engine, stage: str, tmp_path: Path) -> None:
    inputs = _as_staged(_stub_inputs(stage, tmp_path))
    assert "--prefix x" in engine.render(stage, inputs, ext={"prefix": "x"})["script"]
    assert (
        "--prefix" not in engine.render(stage, inputs, ext={"prefix": "x", "args2": ""})["script"]
    )


@pytest.mark.parametrize("block", ["script", "stub"])
@pytest.mark.parametrize("stage", ["composition", "embed", "markers"])
def test_shards_and_parts_exclude_each_other(engine: Engine, stage: str, block: str) -> None:
    fasta, part = {"path": "c.fa.gz"}, {"path": "parts/1/a"}
    more = {"embed": [NO_FILE], "markers": [[{}, [], []]]}.get(stage, [])
    for inputs in ([META, fasta, "", part], [META, [], "", []], [META, [], "1/2", part]):
        with pytest.raises(Refused, match=f"LLMBIN_{stage.upper()}"):
            engine.render(stage, [inputs, *more], block)


@pytest.mark.parametrize("block", ["script", "stub"])
def test_wrong_numbers_of_names_are_refused(engine: Engine, block: str) -> None:
    with pytest.raises(Refused, match="one name per assembly"):
        engine.render("prepare", [[META, {"path": "a.fa"}, ["a", "b"]]], block)
    inputs = [[META, {"path": "a.fa"}, {"path": "a.bam"}, ["a", "b"]], NO_FILE]
    with pytest.raises(Refused, match="one name per alignment"):
        engine.render("run", inputs, block)
    with pytest.raises(Refused, match="need contigs"):
        engine.render("coverage", [[META, [], {"path": "a.bam"}, []], NO_FILE], block)


@pytest.mark.parametrize("stage", STAGES)
def test_directives(engine: Engine, stage: str, tmp_path: Path) -> None:
    inputs = _as_staged(_stub_inputs(stage, tmp_path))
    docker = engine.render(stage, inputs)["directives"]
    assert docker["container"] == [f"biocontainers/llmbin:{__version__}--pyhdfd78af_0"]
    for name in ("singularity", "apptainer"):
        (image,) = engine.render(stage, inputs, container_engine=name)["directives"]["container"]
        assert image.startswith("https://")
    with_docker = {"singularity_pull_docker_container": True}
    pulled = engine.render(stage, inputs, ext=with_docker, container_engine="singularity")
    assert pulled["directives"]["container"] == docker["container"]
    assert set(docker) == {"tag", "label", "conda", "container"}
    assert ("process_gpu" in docker["label"]) == (stage in GPU)


@pytest.mark.parametrize("stage", sorted(GPU))
def test_the_device_follows_the_accelerator(engine: Engine, stage: str, tmp_path: Path) -> None:
    inputs = _as_staged(_stub_inputs(stage, tmp_path))
    cpu, gpu = engine.render(stage, inputs), engine.render(stage, inputs, accelerator=1)
    assert "--device cpu" in cpu["script"]
    assert "--device cuda" in gpu["script"]
    assert cpu["directives"]["conda"][0].endswith("environment.yml")
    assert gpu["directives"]["conda"][0].endswith("environment.gpu.yml")


def test_merges_get_no_options_of_what_they_merge() -> None:
    """Nextflow applies `withName` of a process to its aliases, then that of the alias."""
    text = (NEXTFLOW / "conf" / "modules.config").read_text(encoding="utf-8")
    assert re.search(r"withName: '\.\*_MERGE' \{\s+ext\.args = ''\s+\}", text)
    aliases = [
        alias
        for file in NEXTFLOW.glob("subworkflows/**/main.nf")
        for alias in re.findall(r"include \{ \w+ as (\w+)", file.read_text(encoding="utf-8"))
    ]
    assert aliases
    assert all(alias.endswith("_MERGE") for alias in aliases)


def test_defaults_that_configuration_repeats() -> None:
    """The pipeline says the defaults of the package again, for its schema."""
    schema = json.loads((NEXTFLOW / "nextflow_schema.json").read_text(encoding="utf-8"))
    shown = {
        name: entry.get("default")
        for group in schema["$defs"].values()
        for name, entry in group["properties"].items()
    }
    assert shown["seed"] == defaults.RANDOM_SEED
    assert shown["min_length"] == str(defaults.MIN_LENGTH)
    assert shown["min_bin_size"] == defaults.MIN_BIN_SIZE
