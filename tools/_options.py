"""Families of options that several executables offer, each defined once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmbin_tools._common import Cli, above_zero, fraction, natural, number, positive, share

from llmbin_core import defaults
from llmbin_core.errors import UsageError

_TRAINING = defaults.TRAINING


def add_out(cli: Cli, help: str = "file to write", metavar: str = "FILE") -> None:
    """``--out``."""
    cli.main.add_argument("--out", type=Path, required=True, metavar=metavar, help=help)


def add_contigs(cli: Cli, *, required: bool = True) -> None:
    """``--contigs`` of the stages that read one prepared assembly."""
    cli.main.add_argument(
        "--contigs",
        type=Path,
        required=required,
        default=None,
        metavar="FASTA",
        help="contigs that llmbin-prepare wrote",
    )


def add_views(cli: Cli) -> None:
    """``--views``."""
    cli.advanced.add_argument(
        "--views",
        type=positive,
        default=defaults.N_VIEWS,
        metavar="N",
        help="the whole contig and N - 1 random fragments; the same in every stage",
    )


def add_reads(cli: Cli, more: str = "") -> None:
    """``--reads``, with more to say of it."""
    cli.main.add_argument(
        "--reads",
        choices=defaults.READ_KINDS,
        default=defaults.READS,
        help="what was assembled and mapped; long (HiFi, ONT) and hybrid (long and short ones): "
        f"split reads are counted once, and density clustering adds candidates{more}",
    )


def add_circular(cli: Cli) -> None:
    """``--circular``."""
    cli.main.add_argument(
        "--circular",
        type=Path,
        default=None,
        metavar="FILE",
        help="circular contigs: Flye's assembly_info.txt, or one name per line (beside those that "
        "the FASTA headers of other assemblers tell)",
    )


def add_shards(cli: Cli) -> None:
    """``--contigs``, or ``--merge``; and ``--shard``."""
    add_contigs(cli, required=False)
    cli.main.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        default=None,
        metavar="FILE",
        help="instead of --contigs: outputs of all shards, to be joined",
    )
    cli.advanced.add_argument(
        "--shard",
        type=share,
        default=None,
        metavar="K/N",
        help="only part K of N of the contigs, for N machines; join the parts with --merge",
    )


def check_source(args: argparse.Namespace, others: dict[str, Any]) -> None:
    """Refuse neither or both of --contigs and --merge, and options that --merge does not use.

    Parameters
    ----------
    args : argparse.Namespace
    others : dict
        Option that has no effect with --merge -> its default.
    """
    if (args.contigs is None) == (args.merge is None):
        raise UsageError("give either --contigs or --merge")
    if args.merge is None:
        return
    for option, default in {**others, "shard": None}.items():
        if getattr(args, option) != default:
            name = option.replace("_", "-")
            raise UsageError(f"--{name} has no effect with --merge; leave it out")


class _StoreGiven(argparse.Action):
    """Store the value, and in `given` that it was given: equal to the default it is meant too."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = {*namespace.given, self.dest}


def add_training(cli: Cli) -> None:
    """How an encoder is trained, and its size."""
    cli.parser.set_defaults(given=set())
    add = cli.advanced.add_argument
    add("--init", default=None, metavar="NAME",
        help="begin with this model, by name or file, instead of a new one")  # fmt: skip
    add("--taxonomy", type=Path, default=None, metavar="TSV",
        help="species of contigs, for semi-supervised training (not recommended): table of mmseqs "
        "taxonomy, CAT, Kraken 2 or lineages as of GTDB")  # fmt: skip
    add("--objective", choices=defaults.OBJECTIVES, default=_TRAINING["objective"],
        help="views: contrast views of contigs; pairs: halves of a contig must link, random pairs "
        "of contigs cannot")  # fmt: skip
    add("--epochs", type=positive, default=_TRAINING["epochs"], metavar="N",
        help="times that all contigs are seen")  # fmt: skip
    add("--batch-size", type=positive, default=_TRAINING["batch_size"], metavar="N",
        help="contigs per batch")  # fmt: skip
    add("--learning-rate", type=above_zero, default=_TRAINING["learning_rate"], metavar="X",
        help="of AdamW, at its highest")  # fmt: skip
    add("--weight-decay", type=number, default=_TRAINING["weight_decay"], metavar="X",
        help="of AdamW")  # fmt: skip
    add("--temperature", type=above_zero, default=None, metavar="X",
        help="of the contrastive loss (without: by the N50 of the contigs)")  # fmt: skip
    add("--views-per-step", type=positive, default=_TRAINING["views_per_step"], metavar="N",
        help="views of a contig in a batch")  # fmt: skip
    add("--coverage-weight", type=number, default=_TRAINING["coverage_weight"], metavar="X",
        help="weight of a contrastive loss on the coverage alone, beside the joint "
        "one")  # fmt: skip
    add("--embedding-weight", type=number, default=_TRAINING["embedding_weight"], metavar="X",
        help="the same for the embedding")  # fmt: skip
    _add_network(cli)


def _add_network(cli: Cli) -> None:
    def add(option: str, kind: Callable[[str], float], **about: Any) -> None:
        cli.advanced.add_argument(option, type=kind, action=_StoreGiven, **about)

    add("--width", positive, default=_TRAINING["width"], metavar="N",
        help="units of a hidden layer")  # fmt: skip
    add("--depth", positive, default=_TRAINING["depth"], metavar="N", help="hidden layers")
    add("--branch", positive, default=_TRAINING["branch"], metavar="N",
        help="size of what coverage and embedding become before they are joined")  # fmt: skip
    add("--latent-size", positive, default=_TRAINING["latent"], metavar="N", dest="latent",
        help="size of the latent")  # fmt: skip
    add("--dropout", fraction, default=_TRAINING["dropout"], metavar="SHARE",
        help="of hidden units, left out at random while training (0..1)")  # fmt: skip


def training_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_training` by the names that the library gives them.

    With ``--init`` those of the network only where they were given: the model has its own.
    """
    own = set(defaults.NETWORK) - args.given if args.init is not None else set()
    return {name: getattr(args, name) for name in _TRAINING if name not in own}


def add_profiles(cli: Cli) -> None:
    """A user's own markers."""
    cli.advanced.add_argument(
        "--profiles",
        type=Path,
        default=None,
        metavar="HMM",
        help="profiles of single-copy genes (without: the bundled ones)",
    )
    cli.advanced.add_argument(
        "--marker-sets",
        type=Path,
        default=None,
        metavar="FILE",
        help="marker sets that belong to --profiles (without: each profile is a set)",
    )


def add_depth_filters(cli: Cli) -> None:
    """Which alignments count."""
    add = cli.advanced.add_argument
    add("--reference", type=Path, default=None, metavar="FASTA",
        help="what CRAM files were written against; needed for --min-identity")  # fmt: skip
    add("--min-mapq", type=natural, default=defaults.MIN_MAPQ, metavar="N",
        help="leave out alignments of lower mapping quality")  # fmt: skip
    add("--min-identity", type=fraction, default=defaults.MIN_IDENTITY, metavar="SHARE",
        help="leave out alignments with a lower share of matching columns (0..1, by the NM "
        "tag)")  # fmt: skip


def add_min_sample_contigs(cli: Cli) -> None:
    """``--min-sample-contigs``."""
    cli.advanced.add_argument(
        "--min-sample-contigs",
        type=natural,
        default=defaults.MIN_SAMPLE_CONTIGS,
        metavar="N",
        help="multi-sample binning: leave out samples with fewer contigs",
    )


def add_split(cli: Cli) -> None:
    """``--separator`` of the stages that it makes tell samples apart."""
    cli.advanced.add_argument(
        "--separator",
        default=None,
        metavar="TEXT",
        help="multi-sample binning: contigs are named SAMPLE, this text, CONTIG, and each sample "
        "is on its own from here (llmbin-prepare writes ':'; without: one sample)",
    )


def add_sample(cli: Cli, verb: str) -> None:
    """``--sample`` of the stages that can work sample by sample."""
    cli.main.add_argument(
        "--sample",
        default=None,
        metavar="NAME",
        help=f"multi-sample binning: {verb} this sample alone (without: all of them)",
    )


def add_join(cli: Cli, others: str, metavar: str = "FILE") -> None:
    """``--merge`` of the stages that can work sample by sample."""
    cli.main.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        default=None,
        metavar=metavar,
        help=f"instead of {others}: outputs of --sample for all samples, to be joined",
    )


def check_join(args: argparse.Namespace, needed: Sequence[str], others: dict[str, Any]) -> None:
    """Refuse missing options, or, with --merge, those that it does not use.

    Parameters
    ----------
    args : argparse.Namespace
    needed : sequence of str
        Options that are needed without --merge.
    others : dict
        Other option that has no effect with --merge -> its default.
    """
    if args.merge is None:
        missing = [name for name in needed if getattr(args, name) is None]
        if missing:
            shown = ", ".join(f"--{name}" for name in missing)
            raise UsageError(f"the following arguments are required: {shown} (or --merge)")
        return
    for option, default in {**dict.fromkeys(needed), "sample": None, **others}.items():
        if getattr(args, option) != default:
            name = option.replace("_", "-")
            raise UsageError(f"--{name} has no effect with --merge; leave it out")


def add_grid(cli: Cli) -> None:
    """``--grid``."""
    cli.advanced.add_argument(
        "--grid",
        choices=defaults.GRIDS,
        default=defaults.GRID,
        help="settings of the candidate partitions: a coarse grid, refined around its best ones; "
        "full: the 120 published ones",
    )


def add_min_bin_size(cli: Cli, help: str) -> None:
    """``--min-bin-size``."""
    cli.main.add_argument(
        "--min-bin-size", type=natural, default=defaults.MIN_BIN_SIZE, metavar="BP", help=help
    )


def add_bin_options(cli: Cli) -> None:
    """How bins are chosen and written."""
    add_min_bin_size(cli, "smaller bins are not written")
    add = cli.advanced.add_argument
    add("--choose", choices=defaults.CHOICES, default=defaults.CHOOSE,
        help="bins: bin by bin over all partitions; partition: the best partition as a "
        "whole")  # fmt: skip
    add("--gzip", action="store_true", help="compress the bins")
    add("--prefix", type=_prefix, default=defaults.PREFIX, metavar="TEXT",
        help="bins are named TEXT.001 ... (multi-sample binning: SAMPLE.001 ...)")  # fmt: skip


def _prefix(text: str) -> str:
    if not text or not all(c.isalnum() or c in "._-" for c in text) or text[0] in ".-":
        raise argparse.ArgumentTypeError(
            f"'{text}' cannot begin file names: use letters, digits, '_', '.' and '-'"
        )
    return text
