"""llmbin-pretrain: train a genomic language model on a folder of genomes."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbin_tools._common import (
    Cli,
    above_zero,
    fraction,
    log,
    make_parser,
    natural,
    number,
    positive,
    run_tool,
)

if TYPE_CHECKING:
    import torch

    from llmbin_core.glm.corpus import Corpus
    from llmbin_core.glm.pretrain import PretrainOptions


def _settings(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object such as '{\"hidden\": 512}'")
    return value


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "pretrain",
        "Train a genomic language model (gLM) on genomes: folders of FASTA files, one each,\n"
        "or a corpus packed from them. A run that was stopped goes on where it was when the same\n"
        "command is given again. Several GPUs:\n"
        "torchrun --nproc-per-node N -m llmbin_tools.pretrain ...",
        "llmbin-pretrain --genomes genomes --catalog catalog.tsv --split-column split --out my_glm",
        seed=True,
        device=True,
    )
    _add_main(cli)
    _add_training(cli)
    _add_batches(cli)
    return cli.parser


def _add_main(cli: Cli) -> None:
    add = cli.main.add_argument
    add("--genomes", type=Path, required=True, nargs="+", metavar="DIR",
        help="folders of FASTA files (plain or compressed), or one packed corpus")  # fmt: skip
    add("--out", type=Path, required=True, metavar="DIR", help="gLM folder to write")
    add("--work", type=Path, default=None, metavar="DIR",
        help="folder of packed corpus, checkpoint and log (without: OUT.training)")  # fmt: skip
    add("--catalog", type=Path, default=None, metavar="TSV",
        help="column id (file name without ending) and others: phylum, genus and species balance "
        "the sampling")  # fmt: skip
    add("--split-column", default=None, metavar="NAME",
        help="catalog column that says train or valid; other values are left out")  # fmt: skip
    add("--preset", default="compact", metavar="NAME",
        help="architecture and size: compact, hyenadna-tiny-1k, hyenadna-small-32k, gtdb-hyenadna, "
        "caduceus-ps-4, caduceus-ps-8, caduceus-ps-16 or gtdb-caduceus")  # fmt: skip
    add("--settings", type=_settings, default={}, metavar="JSON",
        help="settings of the architecture that differ from the preset")  # fmt: skip
    add("--objective", choices=("contrastive", "next", "masked"), default="contrastive",
        help="contrastive: fragments of a genome are alike; next: the next base; masked: bases "
        "that are hidden")  # fmt: skip
    add("--start", type=Path, default=None, metavar="DIR",
        help="gLM folder to go on from, for a second objective")  # fmt: skip
    add("--name", default=None, help="name of the gLM (without: that of the folder)")
    add("--pack-only", action="store_true", help="pack the genomes into OUT, train nothing")


def _add_training(cli: Cli) -> None:
    add = cli.advanced.add_argument
    add("--steps", type=positive, default=2000, metavar="N", help="updates of the weights")
    add("--warmup", type=natural, default=50, metavar="N", help="steps of rising learning rate")
    add(
        "--learning-rate",
        type=above_zero,
        default=5e-4,
        metavar="X",
        help="of AdamW, at its highest",
    )
    add("--weight-decay", type=number, default=0.01, metavar="X", help="of AdamW")
    add("--accumulate", type=positive, default=1, metavar="N", help="batches per step")
    add("--save-every", type=positive, default=200, metavar="N", help="steps between checkpoints")
    add(
        "--validate-every",
        type=positive,
        default=200,
        metavar="N",
        help="steps between validations",
    )
    add("--precision", choices=("auto", "bf16", "fp32"), default="auto",
        help="of the computation; auto: bf16 where the device is built for it")  # fmt: skip
    add("--half", action="store_true", help="write the weights in 16 bits")


def _add_batches(cli: Cli) -> None:
    add = cli.advanced.add_argument
    add("--genomes-per-batch", dest="n_genomes", type=positive, default=192, metavar="N",
        help="contrastive")  # fmt: skip
    add("--views", type=positive, default=4, metavar="N", help="contrastive: fragments per genome")
    add("--min-length", type=positive, default=1000, metavar="BP", help="contrastive: fragments")
    add("--max-length", type=positive, default=32000, metavar="BP", help="contrastive: fragments")
    add("--error-rate", type=fraction, default=0.003, metavar="X",
        help="contrastive: mean substitution rate of a fragment")  # fmt: skip
    add("--temperature", type=above_zero, default=0.05, metavar="X", help="contrastive")
    add("--window", type=positive, default=1024, metavar="BP", help="next, masked")
    add("--windows", type=positive, default=32, metavar="N", help="next, masked: windows per batch")
    add("--mask-share", type=fraction, default=0.15, metavar="X", help="masked")
    add("--balance", type=fraction, default=0.5, metavar="X",
        help="0: genomes equally likely; 1: phyla, genera and species are")  # fmt: skip


def _options(args: argparse.Namespace) -> PretrainOptions:
    from llmbin_core.glm.pretrain import PretrainOptions

    values = {f.name: getattr(args, f.name) for f in fields(PretrainOptions) if f.name != "genomes"}
    return PretrainOptions(genomes=args.n_genomes, **values)


def _body(args: argparse.Namespace, argv: Sequence[str] | None) -> None:
    from llmbin_core.device import choose_device, use_threads
    from llmbin_core.glm import processes

    use_threads(args.threads)
    if args.pack_only:
        _corpus(args, args.out)
        return
    device = processes.own_device(choose_device(args.device))
    with processes.joined(device):
        _train(args, device, argv)


def _train(args: argparse.Namespace, device: torch.device, argv: Sequence[str] | None) -> None:
    from llmbin_core.glm import card, modelfolder, models, processes
    from llmbin_core.glm.pretrain import pretrain

    options = _options(args)
    architecture, settings = models.preset(args.preset)
    settings |= args.settings
    work = args.work or args.out.with_name(args.out.name + ".training")
    if processes.rank() == 0:
        _corpus(args, work / "corpus")
    processes.wait_for_all()
    corpus = _corpus(args, work / "corpus")
    splits = _splits(args, corpus)
    model = pretrain(architecture, settings, corpus, splits, options, work, device, args.start)
    if processes.rank() != 0:
        return
    architecture, settings = models.describe(model)
    size = sum(p.numel() for p in model.parameters())
    name = args.name or args.out.name
    figures = card.last_figures(work / "log.tsv")
    text = card.model_card(
        name, (architecture, settings, size), corpus, splits, options, _command(argv), figures
    )
    modelfolder.save_model(model, args.out, name=name, card=text, half=args.half)
    for file in ("log.tsv", "log.svg"):
        shutil.copyfile(work / file, args.out / file)
    log.info("wrote %s (%d parameters)", args.out, size)


def _corpus(args: argparse.Namespace, packed: Path) -> Corpus:
    from llmbin_core.glm import corpus

    if len(args.genomes) == 1 and (args.genomes[0] / "corpus.json").is_file():
        return corpus.Corpus(args.genomes[0])
    if not (packed / "corpus.json").is_file():
        catalog = corpus.read_catalog(args.catalog) if args.catalog else None
        files = [f for folder in args.genomes for f in corpus.fasta_files(folder)]
        log.info("packing %d genomes into %s", len(files), packed)
        corpus.pack(files, packed, catalog)
    return corpus.Corpus(packed)


def _splits(args: argparse.Namespace, corpus: Corpus) -> tuple[list[int], list[int]]:
    from llmbin_core.glm.sampling import held_out

    if args.split_column is None:
        return list(range(len(corpus))), []
    train = held_out(corpus, args.split_column, "train")
    valid = [i for i, g in enumerate(corpus.genomes) if g.labels.get(args.split_column) == "valid"]
    return train, valid


def _command(argv: Sequence[str] | None) -> str:
    import sys

    return shlex.join(["llmbin-pretrain", *(sys.argv[1:] if argv is None else argv)])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), lambda args: _body(args, argv), argv)


if __name__ == "__main__":
    raise SystemExit(main())
