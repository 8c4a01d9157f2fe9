"""llmbin: the umbrella over all executables."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from llmbin_core import __version__

COMMANDS = {
    "run": "all stages, from contigs and alignments to bins, in one folder; can be resumed",
    "prepare": "check assemblies and write the contigs that are binned",
    "composition": "4-mer spectra of the contigs and their views",
    "coverage": "depth of the contigs and their views in every sample",
    "embed": "embedding of the contigs by a genomic language model (gLM)",
    "markers": "single-copy marker genes on the contigs",
    "train": "train a binning encoder on the features of one or several samples",
    "encode": "latents of the contigs of one sample",
    "cluster": "candidate partitions of the contigs",
    "bin": "choose bins among the candidates and write them",
    "report": "a page that shows the bins, and files for MultiQC",
    "pretrain": "train a gLM on genomes",
    "simulate": "a synthetic community: contigs, alignments and their gold standard",
    "evaluate": "compare bins with a gold standard",
    "models": "prebuilt encoders and gLMs: list, fetch, verify, install, export",
}


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        (
            f"llmbin {__version__}: recover genomes from metagenomes",
            "",
            "usage: llmbin COMMAND [options]     (llmbin COMMAND --help: the options)",
            "",
            *lines,
            "",
            "llmbin completion bash|zsh|fish prints a completion script for the shell:",
            "  source <(llmbin completion bash)",
        )
    )


def _completion(arguments: Sequence[str]) -> int:
    from llmbin_tools._completion import SHELLS, script

    if arguments in (["-h"], ["--help"]):
        print(f"usage: llmbin completion {'|'.join(SHELLS)}\n\nexample:\n"
              "  source <(llmbin completion bash)")  # fmt: skip
        return 0
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        print(f"llmbin completion: error: give one of {', '.join(SHELLS)}", file=sys.stderr)
        return 2
    print(script(arguments[0], COMMANDS), end="")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    command = arguments[0]
    if command in ("-V", "--version"):
        print(f"llmbin {__version__}")
        return 0
    if command == "completion":
        return _completion(arguments[1:])
    if command not in COMMANDS:
        near = difflib.get_close_matches(command, [*COMMANDS, "completion"], n=1, cutoff=0.5)
        advice = f"did you mean '{near[0]}'?" if near else "llmbin alone lists the commands"
        print(f"llmbin: error: no command '{command}'; {advice}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"llmbin_tools.{command}")
    code: int = module.main(arguments[1:])
    return code
