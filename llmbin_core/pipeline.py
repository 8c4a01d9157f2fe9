"""The whole run: which stages it has, and what each of them reads, writes and is told.

A script that calls `run` needs ``if __name__ == "__main__":`` around its work, because every stage
runs in a process that starts afresh.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmbin_core import defaults, outputs, stages
from llmbin_core.errors import UsageError
from llmbin_core.runner import Paths, Runner, Stage, Step
from llmbin_core.runrecord import environment, json_value

log = logging.getLogger("llmbin")


@dataclass(frozen=True)
class RunOptions:
    """What a run is made of; validates itself.

    Attributes
    ----------
    contigs : tuple of Path
        One assembly.
    out : Path
        Folder for everything.
    bams, depth_tables : tuple of Path
        Alignments, or tables of depths; one of the two.
    sample_names : tuple of str
        One per file, or none.
    circular, reference, profiles, marker_sets, model : Path, optional
        See the stages; with a model no encoder is trained.
    glm : str
        Name or folder of a gLM, or ``none``.
    min_length : int or "auto"
    min_mapq, min_identity, n_views, seed, reads, grid, min_bin_size, choose, compress, prefix
        See the stages.
    training : mapping
        Options of training and network that differ from the defaults.
    device, threads
        Where to compute; no result depends on them beyond rounding.
    """

    contigs: tuple[Path, ...]
    out: Path
    bams: tuple[Path, ...] = ()
    depth_tables: tuple[Path, ...] = ()
    sample_names: tuple[str, ...] = ()
    circular: Path | None = None
    reference: Path | None = None
    profiles: Path | None = None
    marker_sets: Path | None = None
    model: Path | None = None
    glm: str = defaults.GLM
    min_length: int | Literal["auto"] = defaults.MIN_LENGTH
    min_mapq: int = defaults.MIN_MAPQ
    min_identity: float = defaults.MIN_IDENTITY
    n_views: int = defaults.N_VIEWS
    seed: int = defaults.RANDOM_SEED
    reads: str = defaults.READS
    grid: str = defaults.GRID
    min_bin_size: int = defaults.MIN_BIN_SIZE
    choose: str = defaults.CHOOSE
    compress: bool = False
    prefix: str = defaults.PREFIX
    training: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.contigs:
            raise UsageError("a run needs an assembly")
        if len(self.contigs) > 1:
            raise UsageError(
                f"{len(self.contigs)} assemblies: multi-sample binning, which bins the contigs of "
                "each sample apart, is not part of this version; give one assembly with the "
                "alignments of all samples to it, or run each sample on its own"
            )
        if bool(self.bams) == bool(self.depth_tables):
            raise UsageError("a run needs either alignments or depth tables")
        if self.marker_sets is not None and self.profiles is None:
            raise UsageError("--marker-sets belongs to a profile file: give --profiles as well")
        if self.model is not None and self.training:
            raise UsageError(
                f"--{next(iter(self.training)).replace('_', '-')} has no effect with --model, "
                "which leaves out training; leave one of them out"
            )
        if self.model is None and self.n_views < 2:
            raise UsageError("training contrasts views of a contig: give at least 2 --views")

    @property
    def mode(self) -> str:
        """How samples and assemblies belong together."""
        return "single-sample" if len(self.bams or self.depth_tables) == 1 else "co-assembly"


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
    head = {"mode": options.mode, "options": json_value(asdict(options)), **environment()}
    runner = Runner(options.out, plan(options), head, first)
    if dry_run:
        return runner.preview()
    count = len(options.bams or options.depth_tables)
    log.info("%s binning (assemblies: 1, depth files: %d)", options.mode, count)
    return runner.run()


def read_bins(folder: Path) -> list[dict[str, str]]:
    """The rows of the table of bins of a finished run: column -> text."""
    with (folder / outputs.BINS_TABLE).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def plan(options: RunOptions) -> list[Stage]:
    """The stages of a run in the order in which they run."""
    return [
        _prepare(options),
        *_features(options),
        _markers(options),
        *_encoding(options),
        _cluster(options),
        _bin(options),
    ]


def _prepare(o: RunOptions) -> Stage:
    made = (o.out / outputs.CONTIGS_FASTA, o.out / outputs.CONTIGS_TABLE)
    return Stage(
        "prepare",
        stages.prepare,
        {"assemblies": o.contigs, **({"circular": o.circular} if o.circular else {})},
        {"out": o.out},
        made,
        {"min_length": o.min_length},
    )


def _features(o: RunOptions) -> list[Stage]:
    contigs = {"contigs": o.out / outputs.CONTIGS_FASTA}
    views: dict[str, Any] = {"n_views": o.n_views, "seed": o.seed, "reads": o.reads}
    composition, coverage = o.out / outputs.COMPOSITION, o.out / outputs.COVERAGE
    files = o.bams or o.depth_tables
    if not o.sample_names:
        files = tuple(sorted(files, key=lambda p: p.name))
    depth_of: dict[str, Paths] = {"alignments" if o.bams else "tables": files}
    depth_options: dict[str, Any] = views | {"sample_names": o.sample_names or None}
    if o.bams:
        depth_options |= {"min_mapq": o.min_mapq, "min_identity": o.min_identity}
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
    folder = Path(o.glm)
    # A gLM folder counts by its content, a bundled gLM by its name.
    glm = {"glm_folder": folder} if folder.is_dir() else {}
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
    trained, latent = o.out / outputs.MODEL, o.out / outputs.LATENT
    curve = o.out / outputs.TRAINING_CURVE
    encode = Stage(
        "encode",
        stages.encode,
        {"features": features, "model": o.model or trained},
        {"out": latent},
        (latent,),
        {},
        means,
    )
    if o.model is not None:
        return [encode]
    train = Stage(
        "train",
        stages.train,
        {"features": features},
        {"out": trained, "curve_out": curve},
        (trained, curve),
        {"seed": o.seed, **defaults.TRAINING, **o.training},
        {**means, "checkpoint": o.out / outputs.CHECKPOINT},
    )
    return [train, encode]


def _cluster(o: RunOptions) -> Stage:
    made = o.out / outputs.PARTITIONS
    inputs = {"latent": o.out / outputs.LATENT, "markers": o.out / outputs.MARKERS}
    # Depths count beside the latent where contigs are long enough to have certain ones.
    inputs |= {} if o.reads == defaults.READS else {"coverage": o.out / outputs.COVERAGE}
    return Stage(
        "cluster",
        stages.cluster,
        inputs,
        {"out": made},
        (made,),
        {"grid": o.grid, "reads": o.reads, "seed": o.seed},
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
    )
    return Stage(
        "bin",
        stages.make_bins,
        {
            "partitions": o.out / outputs.PARTITIONS,
            "markers": o.out / outputs.MARKERS,
            "sets": o.out / outputs.MARKER_SETS,
            "contigs": o.out / outputs.CONTIGS_FASTA,
            "table": o.out / outputs.CONTIGS_TABLE,
            "coverage": o.out / outputs.COVERAGE,
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
