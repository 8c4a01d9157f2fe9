#!/usr/bin/env python3
"""Add LLMBin as a binner to a checkout of nf-core/mag.

Every text goes to a place that a short line of the pipeline marks. When a place is missing nothing
is changed; what is there already stays; `--remove` takes out exactly what was put in.

Exit codes: 0 done, 1 with `--check`: not (wholly) added, 2 wrong usage, 3 a place is missing.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "modules" / "llmbin" / "run"
TARGET = Path("modules", "local", "llmbin", "run")
MODULE_FILES = ("main.nf", "meta.yml", "environment.yml", "environment.gpu.yml")
HOME = "https://pypi.org/project/llmbin"


class Misfit(Exception):
    """The checkout is not as the inserter needs it; holds one line per problem."""


@dataclass(frozen=True)
class Edit:
    """A text, and the place it goes to.

    Attributes
    ----------
    file : str
        Path in the checkout.
    anchor : str
        Regular expression that matches once, or `first` of several.
    text : str
        Goes in behind the match, or before it.
    before, first : bool
    """

    file: str
    anchor: str
    text: str
    before: bool = False
    first: bool = False


_INCLUDE = "include { LLMBIN_RUN } from '../../../modules/local/llmbin/run/main'\n"

_BLOCK = """\
    // LLMBin
    if (!params.skip_llmbin) {
        ch_llmbin_input = ch_assemblies.map { meta, assembly, bams, _bais ->
            def meta_new = meta + [binner: 'LLMBin']
            [meta_new, assembly, bams, []]
        }
        // A name of a model that comes with LLMBin goes to its options (conf/modules.config).
        def llmbin_model = params.llmbin_model && params.llmbin_model.endsWith('.safetensors')
            ? file(params.llmbin_model, checkIfExists: true)
            : []

        LLMBIN_RUN(ch_llmbin_input, [[id: 'model'], llmbin_model])

        ch_bins_for_seqkit = ch_bins_for_seqkit.mix(LLMBIN_RUN.out.bins)
        ch_input_splitfasta = ch_input_splitfasta.mix(LLMBIN_RUN.out.unbinned)
    }

"""

_PARAMS = """\
    skip_llmbin                          = true
    llmbin_model                         = null
    llmbin_args                          = ''
"""

_SCHEMA = """\
                "skip_llmbin": {
                    "type": "boolean",
                    "default": true,
                    "description": "Skip LLMBin Binning"
                },
                "llmbin_model": {
                    "type": "string",
                    "description": "Encoder that LLMBin uses instead of training one.",
                    "help_text": "Path of an output of llmbin-train (`*.safetensors`), or the name of an encoder that comes with LLMBin."
                },
                "llmbin_args": {
                    "type": "string",
                    "default": "",
                    "description": "Further options of `llmbin run`."
                },
"""  # noqa: E501

_MODULES_CONFIG = """\
    withName: LLMBIN_RUN {
        tag        = { "${meta.assembler}-${meta.id}" }
        publishDir = [
            [
                path: { "${params.outdir}/GenomeBinning/LLMBin/bins" },
                mode: params.publish_dir_mode,
                pattern: '*/bins/*.fa.gz',
                saveAs: { filename -> filename.tokenize('/').last() },
            ],
            [
                path: { "${params.outdir}/GenomeBinning/LLMBin/stats" },
                mode: params.publish_dir_mode,
                pattern: '*.{tsv,json,html}',
            ],
        ]
        ext.prefix = { "${meta.assembler}-LLMBin-${meta.id}" }
        ext.args   = {
            [
                "--min-length ${params.min_contig_size}",
                params.llmbin_model && !params.llmbin_model.endsWith('.safetensors') ? "--model ${params.llmbin_model}" : '',
                params.llmbin_args,
            ].join(' ').trim()
        }
    }

"""  # noqa: E501

# CPUs stay the same at every attempt, as the last digits of results depend on them.
_BASE_CONFIG = """\
    withName: LLMBIN_RUN {
        cpus   = 8
        memory = { 8.GB * (2 ** (task.attempt - 1)) }
        time   = { 12.h * task.attempt }
    }

"""

_GUIDANCE = (
    "| LLMBIN_RUN                           | 8   | 8.GB   | 12.h | Named customisation   |\n"
)

_REFERENCES = """\
        if (!params.skip_llmbin) {
            references << "<li>The LLMBin developers. LLMBin: recover genomes from metagenomes with a genomic language model and contrastive learning. HOME</li>"
        }
""".replace("HOME", HOME)  # noqa: E501

_CITATION = f"""\
- [LLMBin]({HOME})

  > The LLMBin developers. LLMBin: recover genomes from metagenomes with a genomic language model and contrastive learning.

"""  # noqa: E501

_OUTPUT = f"""\
### LLMBin

[LLMBin]({HOME}) trains a contrastive encoder on coverage, composition and the embedding by a genomic language model, and chooses bins by single-copy marker genes. It runs when `--skip_llmbin false` is given.

<details markdown="1">
<summary>Output files</summary>

- `GenomeBinning/LLMBin/`
  - `bins/[assembler]-LLMBin-[sample/group].*.fa.gz`: Bins, the best one first.
  - `stats/[assembler]-LLMBin-[sample/group].bins.tsv`: Size, quality and depths of every bin.
  - `stats/[assembler]-LLMBin-[sample/group].contig2bin.tsv`: Bin of every contig.
  - `stats/[assembler]-LLMBin-[sample/group].run.json`: Versions, options, digests, time and memory.
  - `unbinned/[assembler]-LLMBin-[sample/group].*.fa.gz`: Long contigs in no bin.
  - `unbinned/discarded/*`: The other contigs in no bin.

</details>

"""  # noqa: E501

_UTILS = "subworkflows/local/utils_nfcore_mag_pipeline/main.nf"
_BINNING = "subworkflows/local/binning/main.nf"

EDITS = (
    Edit(_BINNING, r"^include \{ SEMIBIN_SINGLEEASYBIN .*\n", _INCLUDE),
    Edit(_BINNING, r"^    // SemiBin2\n", _BLOCK, before=True),
    Edit("nextflow.config", r"^    skip_semibin +=.*\n", _PARAMS, before=True),
    Edit("nextflow_schema.json", r'^                "skip_semibin": \{\n', _SCHEMA, before=True),
    Edit("conf/modules.config", r"^    withName: SEMIBIN_SINGLEEASYBIN \{\n", _MODULES_CONFIG,
         before=True),
    Edit("conf/base.config", r"^    withName: MAG_DEPTHS \{\n", _BASE_CONFIG, before=True),
    Edit("docs/usage/resource_guidance.md", r"^\| PYPOLCA_RUN .*\n", _GUIDANCE),
    Edit(_UTILS, r"params\.skip_semibin(?=\]\.count\(false\))", ", params.skip_llmbin"),
    Edit(_UTILS, r"^        !params\.skip_semibin \? .*\n",
         '        !params.skip_llmbin ? "LLMBin (The LLMBin developers)" : "",\n'),
    Edit(_UTILS, r"^        if \(!params\.skip_semibin\) \{\n", _REFERENCES, before=True),
    Edit("README.md", r"\[CONCOCT\]\([^)]*\), (?=\[COMEBin\])", f"[LLMBin]({HOME}), "),
    Edit("CITATIONS.md", r"^- \[MetaBinner\]\(.*\n", _CITATION, before=True),
    Edit("docs/output.md", r"^### SemiBin2\n", _OUTPUT, before=True),
    Edit("CHANGELOG.md", r"^### `Added`\n\n", f"- Add [LLMBin]({HOME}) as a binner "
         "(`--skip_llmbin false`, `--llmbin_model`, `--llmbin_args`)\n", first=True),
)  # fmt: skip


def state(checkout: Path) -> tuple[dict[str, str], list[Edit], list[Edit]]:
    """Texts of the files, edits that are there, and edits that are not."""
    texts: dict[str, str] = {}
    missing = sorted({e.file for e in EDITS if not (checkout / e.file).is_file()})
    if missing:
        raise Misfit("\n".join(f"{name}: no such file" for name in missing))
    for edit in EDITS:
        if edit.file not in texts:
            texts[edit.file] = (checkout / edit.file).read_text(encoding="utf-8")
    there = [edit for edit in EDITS if edit.text in texts[edit.file]]
    return texts, there, [edit for edit in EDITS if edit not in there]


def insert(texts: dict[str, str], edits: Sequence[Edit]) -> dict[str, str]:
    """The texts with the edits made.

    Raises
    ------
    Misfit
        Places that are missing, or that are found more than once; all of them are named.
    """
    made, problems = dict(texts), []
    for edit in edits:
        places = list(re.finditer(edit.anchor, texts[edit.file], re.M))
        if not places or (len(places) > 1 and not edit.first):
            found = f"{len(places)} places" if places else "no place"
            problems.append(f"{edit.file}: {found} that match /{edit.anchor.strip()}/")
            continue
        place = re.search(edit.anchor, made[edit.file], re.M)
        assert place is not None, "edits leave the places of others as they are"
        at = place.start() if edit.before else place.end()
        made[edit.file] = made[edit.file][:at] + edit.text + made[edit.file][at:]
    if problems:
        raise Misfit("\n".join(problems))
    return made


def same_module(checkout: Path) -> bool:
    """Whether the module is in the checkout as it is here."""
    pairs = ((MODULE / name, checkout / TARGET / name) for name in MODULE_FILES)
    return all(new.is_file() and filecmp.cmp(old, new, shallow=False) for old, new in pairs)


def write(checkout: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Replace the files that differ, each as a whole; returns their names."""
    changed = [name for name in before if before[name] != after[name]]
    for name in changed:
        path = checkout / name
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(after[name])
        shutil.copymode(path, temporary)
        os.replace(temporary, path)
    return changed


def add(checkout: Path) -> list[str]:
    """Insert what is missing; returns what was done, a line for each change."""
    texts, _, absent = state(checkout)
    after = insert(texts, absent)
    done = []
    if not same_module(checkout):
        (checkout / TARGET).mkdir(parents=True, exist_ok=True)
        for name in MODULE_FILES:
            shutil.copyfile(MODULE / name, checkout / TARGET / name)
            done.append(f"{TARGET / name}: written")
    write(checkout, texts, after)
    return done + [f"{edit.file}: {_first_line(edit)}" for edit in absent]


def remove(checkout: Path) -> list[str]:
    """Take out what was inserted; returns what was done."""
    texts, there, _ = state(checkout)
    after = dict(texts)
    for edit in there:
        after[edit.file] = after[edit.file].replace(edit.text, "", 1)
    write(checkout, texts, after)
    done = [f"{edit.file}: {_first_line(edit)}" for edit in there]
    for name in MODULE_FILES:
        if (checkout / TARGET / name).exists():
            (checkout / TARGET / name).unlink()
            done.append(f"{TARGET / name}: removed")
    for folder in (TARGET, TARGET.parent):
        if (checkout / folder).is_dir() and not any((checkout / folder).iterdir()):
            (checkout / folder).rmdir()
    return done


def check(checkout: Path) -> list[str]:
    """What is not there as it should be; a line for each."""
    _, _, absent = state(checkout)
    lines = [f"{edit.file}: {_first_line(edit)}" for edit in absent]
    return lines if same_module(checkout) else [*lines, f"{TARGET}: another module, or none"]


def _first_line(edit: Edit) -> str:
    return edit.text.strip().splitlines()[0].strip(", ")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(description="Add LLMBin to a checkout of nf-core/mag.")
    parser.add_argument("checkout", type=Path, metavar="CHECKOUT_OF_MAG")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only say what is missing")
    what.add_argument("--remove", action="store_true", help="take out what was added")
    args = parser.parse_args(argv)
    if not args.checkout.is_dir():
        parser.error(f"{args.checkout} is no folder")
    try:
        if args.check:
            missing = check(args.checkout)
            print("\n".join(f"missing  {line}" for line in missing) or "LLMBin is added")
            return 1 if missing else 0
        lines = remove(args.checkout) if args.remove else add(args.checkout)
    except Misfit as problem:
        print(f"{problem}\nnothing was changed: this is no checkout of nf-core/mag, or one that "
              "this inserter does not know", file=sys.stderr)  # fmt: skip
        return 3
    sign = "-" if args.remove else "+"
    print("\n".join(f"{sign} {line}" for line in lines) or "nothing to do")
    return 0


if __name__ == "__main__":
    sys.exit(main())
