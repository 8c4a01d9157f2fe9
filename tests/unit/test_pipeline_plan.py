"""The stages of a run: which there are and what each of them is given."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import Any

import pytest

from llmbin_core import defaults, outputs
from llmbin_core.errors import UsageError
from llmbin_core.pipeline import plan
from llmbin_core.runoptions import RunOptions, resolve_mode

OUT = Path("out")
TABLE: dict[str, Any] = {"bams": (), "depth_tables": (Path("d.tsv"),)}


def options(**changes: Any) -> RunOptions:
    given: dict[str, Any] = {"contigs": (Path("a.fa"),), "out": OUT, "bams": (Path("s.bam"),)}
    return RunOptions(**{**given, **changes})


VARIANTS = {
    "plain": options(),
    "glm": options(glm="tnf"),
    "model": options(model=Path("m")),
    "several": options(contigs=(Path("a"), Path("b")), assembly_names=("x", "y"), separator="|"),
    "joined": options(multi_sample="yes", per_sample=True, init=Path("i"), taxonomy=Path("t")),
    "tables": options(**TABLE, reads="long"),
    "all": options(reference=Path("r"), profiles=Path("p"), marker_sets=Path("s"), compress=True,
                   sample_names=("x",), training={"epochs": 2}),
    "long": options(reads="long", circular=Path("c")),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_stage_can_be_called_as_planned(variant: str) -> None:
    """Arguments fit the signature, and function and arguments reach another process."""
    for stage in plan(VARIANTS[variant]):
        arguments = {**stage.inputs, **stage.targets, **stage.options, **stage.means}
        inspect.signature(stage.function).bind(**arguments)
        assert pickle.loads(pickle.dumps(stage)) == stage
        assert all(path.parent == OUT for path in stage.produces)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_input_is_the_users_or_made_by_an_earlier_stage(variant: str) -> None:
    made: set[Path] = set()
    for stage in plan(VARIANTS[variant]):
        for path in (p for paths in stage.files.values() for p in paths):
            assert path in made or path.parent != OUT, f"{stage.name} reads {path}"
        assert not made & set(stage.produces)
        made |= set(stage.produces)


def names(o: RunOptions) -> list[str]:
    return [stage.name for stage in plan(o)]


def test_optional_stages() -> None:
    assert names(options(glm=defaults.NO_GLM)) == [
        "prepare", "composition", "coverage", "markers", "train", "encode", "cluster", "bin",
        "report",
    ]  # fmt: skip
    assert "embed" in names(options(glm="tnf"))
    assert "train" not in names(options(model=Path("m")))


def test_a_glm_folder_counts_by_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "my_glm"
    folder.mkdir()
    by_name, by_folder = (
        next(s for s in plan(options(glm=g)) if s.name == "embed") for g in ("tnf", str(folder))
    )
    assert by_name.options["glm"] == "tnf"
    assert (by_folder.options["glm"], by_folder.inputs["glm_folder"]) == ("my_glm", folder)


def test_order_of_alignments_does_not_matter_without_names() -> None:
    a, b = Path("x/a.bam"), Path("b.bam")
    one, other = (plan(options(bams=bams)) for bams in ((a, b), (b, a)))
    assert one == other
    named = [plan(options(bams=bams, sample_names=("u", "v"))) for bams in ((a, b), (b, a))]
    assert named[0] != named[1]


def test_training_options_are_all_recorded() -> None:
    train = next(s for s in plan(options(training={"epochs": 3}, seed=4)) if s.name == "train")
    assert dict(train.options) == {
        **defaults.TRAINING, "epochs": 3, "seed": 4, "separator": None, "per_sample": False,
    }  # fmt: skip
    assert train.means["checkpoint"] == OUT / outputs.CHECKPOINT


def test_compressed_bins_change_the_name_of_the_unbinned() -> None:
    assert OUT / f"{outputs.UNBINNED}.gz" in plan(options(compress=True))[-2].produces


def test_the_kind_of_reads_reaches_the_stages_that_need_it() -> None:
    told = {s.name for s in plan(options(reads="hybrid")) if s.options.get("reads") == "hybrid"}
    assert told == {"coverage", "cluster"}
    inputs = {
        kind: next(s for s in plan(options(reads=kind)) if s.name == "cluster").inputs
        for kind in ("short", "long")
    }
    assert inputs["long"].keys() - inputs["short"].keys() == {"coverage"}


def test_mode() -> None:
    assert options().mode == "single-sample"
    assert options(bams=(Path("a"), Path("b"))).mode == "co-assembly"
    assert options(multi_sample="yes").mode == "multi-sample"
    assert options(contigs=(Path("a"), Path("b"))).mode == "multi-sample"


def test_a_depth_table_of_several_samples_is_no_single_sample(tmp_path: Path) -> None:
    one, two = tmp_path / "one.tsv", tmp_path / "two.tsv"
    one.write_text("a\t1\n")
    two.write_text("Contig\ts Mean\tt Mean\na\t1\t2\n")
    modes = {
        files: options(bams=(), depth_tables=files).mode for files in ((one,), (two,), (one, one))
    }
    assert modes == {
        (one,): "single-sample", (two,): "co-assembly", (one, one): "co-assembly",
    }  # fmt: skip


def test_the_least_size_of_a_bin_reaches_all_that_ask_for_it() -> None:
    told = {s.name for s in plan(options(min_bin_size=7)) if s.options.get("min_bin_size") == 7}
    assert told == {"cluster", "bin", "report"}


def test_multi_sample_stages_split_by_the_separator_and_write_a_table_of_samples() -> None:
    for variant, separator in (("several", "|"), ("joined", ":"), ("plain", None)):
        by_name = {stage.name: stage for stage in plan(VARIANTS[variant])}
        assert by_name["train"].options["separator"] == separator
        assert by_name["encode"].options["separator"] == separator
        assert (OUT / outputs.SAMPLES_TABLE in by_name["bin"].produces) == bool(separator)
    prepare = {v: plan(VARIANTS[v])[0].options for v in ("several", "joined")}
    assert (prepare["several"]["sample_names"], prepare["several"]["joined"]) == (("x", "y"), False)
    assert prepare["joined"]["joined"]


def test_a_model_per_sample_is_a_folder_that_encode_reads() -> None:
    by_name = {stage.name: stage for stage in plan(VARIANTS["joined"])}
    assert by_name["train"].targets["out"] == OUT / outputs.MODELS_FOLDER
    assert by_name["encode"].inputs["model"] == OUT / outputs.MODELS_FOLDER


FASTA = "".join(f">S{i % 2}:c{i}\nACGT\n" for i in range(2 * defaults.MIN_SAMPLE_CONTIGS))


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (FASTA, "multi-sample"),
        (FASTA + ">plain\nACGT\n", "single-sample"),
        (FASTA.replace("S1:", "S0:"), "single-sample"),  # one sample only
        (FASTA.split(">S1:c3", 1)[0], "single-sample"),  # hardly a contig per sample
        (FASTA.replace(":", "|"), "single-sample"),
    ],
)
def test_mode_by_the_names_of_the_contigs(
    text: str, mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="llmbin")
    path = tmp_path / "a.fa"
    path.write_text(text)
    assert resolve_mode(options(contigs=(path,))).mode == mode
    assert ("every contig names one of 2 samples (S0, S1)" in caplog.text) == (
        mode == "multi-sample"
    )
    assert resolve_mode(options(contigs=(path,), multi_sample="no")).mode == "single-sample"
    assert resolve_mode(options(contigs=(path,), multi_sample="yes")).mode == "multi-sample"
    if mode == "multi-sample":
        with pytest.raises(UsageError, match="--prefix x has no effect: bins are named after"):
            resolve_mode(options(contigs=(path,), prefix="x"))
    if mode != "multi-sample":
        with pytest.raises(UsageError, match="--model-per-sample has no effect"):
            resolve_mode(options(contigs=(path,), per_sample=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contigs": ()}, "needs an assembly"),
        ({"contigs": (Path("a"), Path("b")), "multi_sample": "no"}, "2 assemblies are binned"),
        ({"contigs": (Path("a"), Path("b")), "assembly_names": ("x",)}, "2 assemblies but 1"),
        ({"multi_sample": "no", "per_sample": True}, "--model-per-sample has no effect"),
        ({"separator": ""}, "--separator is empty"),
        ({"model": "m", "init": "n"}, "--init has no effect with --model"),
        ({"model": "m", "taxonomy": Path("t")}, "--taxonomy has no effect with --model"),
        ({"model": "m", "training": {"batch_size": 9}}, "--batch-size has no effect with --model"),
        ({"contigs": (Path("a"), Path("b")), "prefix": "x"}, "--prefix x has no effect: bins are"),
        ({"multi_sample": "yes", "prefix": "x"}, "--prefix x has no effect: bins are named after"),
        ({**TABLE, "min_mapq": 1}, "--min-mapq has no effect with --depth-table; leave it out"),
        ({**TABLE, "min_identity": 0.9}, "--min-identity has no effect with --depth-table"),
        ({**TABLE, "reference": Path("r")}, "--reference has no effect with --depth-table"),
        ({"bams": ()}, "either alignments or depth tables"),
        ({"depth_tables": (Path("t"),)}, "either alignments or depth tables"),
    ],
)
def test_options_check_themselves(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options(**changes)
