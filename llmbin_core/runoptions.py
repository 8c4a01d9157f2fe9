"""What a whole run is told, checked before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from llmbin_core import defaults
from llmbin_core.bysample import is_joined
from llmbin_core.errors import UsageError


@dataclass(frozen=True)
class RunOptions:
    """What a run is made of; validates itself.

    Attributes
    ----------
    contigs : tuple of Path
        One assembly, or one of each sample.
    out : Path
        Folder for everything.
    bams, depth_tables : tuple of Path
        Alignments, or tables of depths; one of the two.
    sample_names : tuple of str
        One per file, or none.
    assembly_names : tuple of str
        One per assembly, or none.
    separator : str
        Between sample and contig in the names of contigs.
    multi_sample : str
        ``yes``: the contigs of each sample are binned on their own; ``no``; ``auto``: with several
        assemblies, and with one in which every contig names its sample.
    circular, reference, profiles, marker_sets, taxonomy : Path, optional
        See the stages.
    model : str or Path, optional
        Name or file of a model; no encoder is trained then.
    init : str or Path, optional
        Name or file of a model that the training begins with.
    per_sample : bool
        In multi-sample binning, train a model for each sample.
    glm : str
        Name or folder of a gLM, or ``none``.
    min_length : int or "auto"
    min_mapq, min_identity, n_views, seed, reads, grid, min_sample_contigs, min_bin_size, choose,
    compress, prefix
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
    assembly_names: tuple[str, ...] = ()
    separator: str = defaults.SEPARATOR
    multi_sample: str = "auto"
    model: str | Path | None = None
    init: str | Path | None = None
    per_sample: bool = False
    taxonomy: Path | None = None
    glm: str = defaults.GLM
    min_length: int | Literal["auto"] = defaults.MIN_LENGTH
    min_mapq: int = defaults.MIN_MAPQ
    min_identity: float = defaults.MIN_IDENTITY
    n_views: int = defaults.N_VIEWS
    seed: int = defaults.RANDOM_SEED
    reads: str = defaults.READS
    grid: str = defaults.GRID
    min_sample_contigs: int = defaults.MIN_SAMPLE_CONTIGS
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
        if bool(self.bams) == bool(self.depth_tables):
            raise UsageError("a run needs either alignments or depth tables")
        if self.marker_sets is not None and self.profiles is None:
            raise UsageError("--marker-sets belongs to a profile file: give --profiles as well")
        if self.reads not in defaults.READ_KINDS:
            raise UsageError(f"reads '{self.reads}': use one of {', '.join(defaults.READ_KINDS)}")
        if self.circular is not None and len(self.contigs) > 1:
            raise UsageError(
                "--circular belongs to one assembly: prepare each of them on its own, and join them"
            )
        self._check_depths()
        self._check_samples()
        self._check_training()

    def _check_depths(self) -> None:
        if self.bams:
            return
        # `reads` is not among them: it adds density clustering, whatever the depths come from.
        of_alignments: dict[str, tuple[object, object]] = {
            "min-mapq": (self.min_mapq, defaults.MIN_MAPQ),
            "min-identity": (self.min_identity, defaults.MIN_IDENTITY),
            "reference": (self.reference, None),
        }
        for name, (given, default) in of_alignments.items():
            if given != default:
                raise UsageError(f"--{name} has no effect with --depth-table; leave it out")

    def _check_samples(self) -> None:
        if self.multi_sample not in defaults.MULTI_SAMPLE:
            raise UsageError(f"multi-sample '{self.multi_sample}': use auto, yes or no")
        if not self.separator:
            raise UsageError("--separator is empty; give a text that no sample name holds")
        if len(self.contigs) > 1 and self.multi_sample == "no":
            raise UsageError(
                f"{len(self.contigs)} assemblies are binned sample by sample: leave out "
                "--multi-sample no, or give one assembly"
            )
        if self.multi_sample == "no" and self.per_sample:
            raise UsageError("--model-per-sample has no effect with --multi-sample no")
        if self.split_by is not None and self.prefix != defaults.PREFIX:
            raise UsageError(
                f"--prefix {self.prefix} has no effect: bins are named after their samples; leave "
                "it out"
            )
        if self.assembly_names and len(self.assembly_names) != len(self.contigs):
            raise UsageError(
                f"{len(self.contigs)} assemblies but {len(self.assembly_names)} --assembly-names; "
                "give one name per assembly"
            )

    def _check_training(self) -> None:
        if self.model is not None:
            others = {"init": self.init, "taxonomy": self.taxonomy, "model-per-sample":
                      self.per_sample, **self.training}  # fmt: skip
            given = [name for name, value in others.items() if value or name in self.training]
            if given:
                raise UsageError(
                    f"--{given[0].replace('_', '-')} has no effect with --model, which leaves out "
                    "training; leave one of them out"
                )
        if self.model is None and self.n_views < 2:
            raise UsageError("training contrasts views of a contig: give at least 2 --views")

    @property
    def mode(self) -> str:
        """How samples and assemblies belong together; with one assembly ``auto`` is ``no``.

        A depth table holds one or several samples: its first line is read.
        """
        if self.split_by is not None:
            return "multi-sample"
        return "single-sample" if self._count_samples() == 1 else "co-assembly"

    def _count_samples(self) -> int:
        if self.bams:
            return len(self.bams)
        from llmbin_core.coverage.tables import samples_of_table

        return sum(len(samples_of_table(path)) for path in self.depth_tables)

    @property
    def split_by(self) -> str | None:
        """The separator where the contigs of each sample are binned on their own."""
        several = len(self.contigs) > 1 or self.multi_sample == "yes"
        return self.separator if several else None


def resolve_mode(options: RunOptions) -> RunOptions:
    """The options with ``multi_sample`` decided by the names of the contigs, where it is ``auto``.

    Raises
    ------
    InputError
        The assembly is missing or is not one.
    UsageError
        A model for each of several samples is wanted, and there are none; or names of bins are, and
        there are several.
    """
    if len(options.contigs) > 1 or options.multi_sample != "auto":
        return options
    joined = is_joined(options.contigs[0], options.separator)
    if options.per_sample and not joined:
        raise UsageError(
            "--model-per-sample has no effect: the contigs are not named after several samples"
        )
    return replace(options, multi_sample="yes" if joined else "no")
