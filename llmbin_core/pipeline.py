"""The whole run: which stages it has, and what each of them reads, writes and is told.

A script that calls `run` needs ``if __name__ == "__main__":`` around its work, because every stage
runs in a process that starts afresh.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmbin_core import defaults, outputs, registry, stages
from llmbin_core.errors import InputError, UsageError
from llmbin_core.runner import Paths, Runner, Stage, Step
from llmbin_core.runoptions import RunOptions, resolve_mode
from llmbin_core.runrecord import environment, json_value

log = logging.getLogger("llmbin")


def run(options: RunOptions, *, first: str | None = None, dry_run: bool = False) -> list[Step]:
    """Run all stages whose outputs do not hold any more, in the folder ``options.out``.

    Parameters
    ----------
    options : RunOptions
    first : str, optional
        Name of a stage that is run in any case, with all that use its results.
    dry_run : bool
        Only say what would be run.

    Returns
    -------
    list of Step

    Raises
    ------
    LlmbinError
        See the stages.
    """
    _check_model(options)
    options = resolve_mode(options)
    _check_samples(options)
    head = {"mode": options.mode, "options": json_value(asdict(options)), **environment()}
    runner = Runner(options.out, plan(options), head, first)
    count = len(options.bams or options.depth_tables)
    assemblies = len(options.contigs)
    log.info("%s binning (assemblies: %d, depth files: %d)", options.mode, assemblies, count)
    return runner.preview() if dry_run else runner.run()


def _check_model(options: RunOptions) -> None:
    """Refuse a model that the alignments or the gLM do not fit before any work is done."""
    option, model = ("model", options.model) if options.model else ("init", options.init)
    if model is None:
        return
    from llmbin_core.coverage import coverage_samples
    from llmbin_core.encoder.modelcard import check_alignments, check_glm, check_network, read_card
    from llmbin_core.glm.identity import identify

    path = _model(model)
    files = [path]
    if option == "model" and path.is_dir():
        files = sorted(path.glob(f"*.{outputs.MODEL}"))
        if not files:
            raise InputError(
                f"--model {path}: the folder holds no model; give a model file, or the folder that "
                "llmbin-train --per-sample wrote"
            )
    names = coverage_samples(options.bams, options.depth_tables, options.sample_names)
    glm = None if options.glm == defaults.NO_GLM else identify(options.glm)
    for file in files:
        try:
            card = read_card(file)
            check_alignments(file, card, names)
            check_glm(file, card, options.glm, glm)
            check_network(card, options.training)
        except InputError as error:
            raise InputError(f"--{option} {error}") from None


def _check_samples(options: RunOptions) -> None:
    """Refuse models of samples where the contigs are those of one."""
    if options.model is not None and options.split_by is None and _model(options.model).is_dir():
        raise UsageError(
            f"--model {options.model}: is a folder with a model for each sample, and the contigs "
            "are not binned by sample; give one model file, or --multi-sample yes with contigs "
            "that are named SAMPLE, --separator, CONTIG"
        )


def plan(options: RunOptions) -> list[Stage]:
    """The stages of a run in the order in which they run."""
    return [
        _prepare(options),
        *_features(options),
        _markers(options),
        *_encoding(options),
        _cluster(options),
        _bin(options),
        _report(options),
    ]


def _prepare(o: RunOptions) -> Stage:
    made = (o.out / outputs.CONTIGS_FASTA, o.out / outputs.CONTIGS_TABLE)
    return Stage(
        "prepare",
        stages.prepare,
        {"assemblies": o.contigs, **({"circular": o.circular} if o.circular else {})},
        {"out": o.out},
        made,
        {
            "min_length": o.min_length,
            "sample_names": o.assembly_names or None,
            "separator": o.separator,
            "joined": len(o.contigs) == 1 and o.split_by is not None,
        },
    )


def _features(o: RunOptions) -> list[Stage]:
    contigs = {"contigs": o.out / outputs.CONTIGS_FASTA}
    views: dict[str, Any] = {"n_views": o.n_views, "seed": o.seed}
    composition, coverage = o.out / outputs.COMPOSITION, o.out / outputs.COVERAGE
    files = o.bams or o.depth_tables
    if not o.sample_names:
        files = tuple(sorted(files, key=lambda p: p.name))
    depth_of: dict[str, Paths] = {"alignments" if o.bams else "tables": files}
    depth_options: dict[str, Any] = views | {"sample_names": o.sample_names or None}
    if o.bams:
        depth_options |= {"min_mapq": o.min_mapq, "min_identity": o.min_identity, "reads": o.reads}
        depth_of |= {"reference": o.reference} if o.reference else {}
    found = [
        Stage(
            "composition", stages.composition, contigs, {"out": composition}, (composition,), views
        ),
        Stage(
            "coverage",
            stages.coverage,
            {**contigs, **depth_of},
            {"out": coverage},
            (coverage,),
            depth_options,
            {"threads": o.threads},
        ),
    ]
    if o.glm != defaults.NO_GLM:
        found.append(_embed(o, contigs, views))
    return found


def _embed(o: RunOptions, contigs: Mapping[str, Paths], views: Mapping[str, Any]) -> Stage:
    made = o.out / outputs.EMBEDDING
    # A gLM folder, installed or the user's own, counts by its content, a bundled gLM by its name.
    by_name = o.glm in (*registry.bundled_models(), *defaults.BASELINES) or o.glm.startswith(
        defaults.HUB_PREFIX
    )
    folder = Path(o.glm) if by_name else registry.find(o.glm, registry.GLM)
    glm = {} if by_name else {"glm_folder": folder}
    return Stage(
        "embed",
        _embed_with,
        {**contigs, **glm},
        {"out": made},
        (made,),
        {**views, "glm": folder.name if glm else o.glm},
        {"device": o.device},
    )


def _embed_with(*, glm: str, glm_folder: Path | None = None, **others: Any) -> None:
    stages.embed(glm=str(glm_folder) if glm_folder else glm, **others)


def _markers(o: RunOptions) -> Stage:
    made = (o.out / outputs.MARKERS, o.out / outputs.MARKER_SETS)
    inputs: dict[str, Paths] = {"contigs": o.out / outputs.CONTIGS_FASTA}
    own = {"profiles": o.profiles, "marker_sets": o.marker_sets}
    inputs |= {name: path for name, path in own.items() if path is not None}
    targets = dict(zip(("out", "sets_out"), made, strict=True))
    return Stage("markers", stages.markers, inputs, targets, made, {}, {"threads": o.threads})


def _encoding(o: RunOptions) -> list[Stage]:
    names = [outputs.COMPOSITION, outputs.COVERAGE]
    names += [outputs.EMBEDDING] if o.glm != defaults.NO_GLM else []
    features = tuple(o.out / name for name in names)
    means = {"device": o.device, "threads": o.threads}
    trained = o.out / (outputs.MODELS_FOLDER if o.per_sample else outputs.MODEL)
    latent, split = o.out / outputs.LATENT, {"separator": o.split_by}
    curve = o.out / outputs.TRAINING_CURVE
    encode = Stage(
        "encode",
        stages.encode,
        {"features": features, "model": _model(o.model) if o.model else trained},
        {"out": latent},
        (latent,),
        split,
        means,
    )
    if o.model is not None:
        return [encode]
    inputs: dict[str, Paths] = {"features": features}
    inputs |= {"taxonomy": o.taxonomy} if o.taxonomy else {}
    inputs |= {"init": _model(o.init)} if o.init else {}
    # The network of a model that the training begins with is what it is.
    own = defaults.NETWORK if o.init else ()
    training = {k: v for k, v in defaults.TRAINING.items() if k not in own} | dict(o.training)
    train = Stage(
        "train",
        stages.train,
        inputs,
        {"out": trained, "curve_out": curve},
        (trained, curve),
        {**split, "per_sample": o.per_sample, "seed": o.seed, **training},
        {**means, "checkpoint": o.out / outputs.CHECKPOINT},
    )
    return [train, encode]


def _model(name: str | Path) -> Path:
    return registry.find(name, registry.ENCODER) if isinstance(name, str) else name


def _cluster(o: RunOptions) -> Stage:
    made = o.out / outputs.PARTITIONS
    inputs = {"latent": o.out / outputs.LATENT, "markers": o.out / outputs.MARKERS}
    if o.reads != defaults.READS:
        inputs |= {"coverage": o.out / outputs.COVERAGE}
    return Stage(
        "cluster",
        stages.cluster,
        inputs,
        {"out": made},
        (made,),
        {
            "grid": o.grid,
            "reads": o.reads,
            "seed": o.seed,
            "min_sample_contigs": o.min_sample_contigs,
            "min_bin_size": o.min_bin_size,
        },
        {"threads": o.threads},
    )


def _bin(o: RunOptions) -> Stage:
    ending = ".gz" if o.compress else ""
    names = (
        outputs.BINS_FOLDER,
        f"{outputs.UNBINNED}{ending}",
        outputs.CONTIG2BIN,
        outputs.CONTIG2BIN_DASTOOL,
        outputs.BINS_TABLE,
        outputs.OUTLIERS,
        *([outputs.SAMPLES_TABLE] if o.split_by is not None else []),
    )
    return Stage(
        "bin",
        stages.make_bins,
        {
            "partitions": o.out / outputs.PARTITIONS,
            "markers": o.out / outputs.MARKERS,
            "sets": o.out / outputs.MARKER_SETS,
            "contigs": o.out / outputs.CONTIGS_FASTA,
            "coverage": o.out / outputs.COVERAGE,
            "latent": o.out / outputs.LATENT,
        },
        {"out": o.out},
        tuple(o.out / name for name in names),
        {
            "min_bin_size": o.min_bin_size,
            "choose": o.choose,
            "compress": o.compress,
            "prefix": o.prefix,
        },
    )


def _report(o: RunOptions) -> Stage:
    inputs: dict[str, Paths] = {
        "bins": o.out / outputs.BINS_TABLE,
        "contig2bin": o.out / outputs.CONTIG2BIN,
        "contigs_table": o.out / outputs.CONTIGS_TABLE,
        "coverage": o.out / outputs.COVERAGE,
        "latent": o.out / outputs.LATENT,
        "partitions": o.out / outputs.PARTITIONS,
        "markers": o.out / outputs.MARKERS,
        "sets": o.out / outputs.MARKER_SETS,
        "bin_files": o.out / outputs.BINS_FOLDER,
    }
    if o.model is None:
        inputs["curve"] = o.out / outputs.TRAINING_CURVE
    made = (
        outputs.REPORT,
        outputs.MULTIQC_STATISTICS,
        outputs.MULTIQC_CLASSES,
        outputs.MULTIQC_QUALITY,
    )
    return Stage(
        "report",
        stages.report,
        inputs,
        {"out": o.out},
        tuple(o.out / name for name in made),
        {"min_bin_size": o.min_bin_size},
        # Time and memory are told as they are, but never a reason to write the report again.
        {"record": o.out / outputs.RUN_RECORD},
    )
