"""Writes the test data of the tools: ``make_test_data.py galaxy/tools/llmbin/test-data``.

Synthetic communities and what the executables make of them; nothing comes from a real genome. The
files of the data tables (``model.safetensors``, ``glm/``, ``*.loc``) are not made here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pysam

from llmbin_core.markers.profiles import DATA, HMM_FILE
from llmbin_core.registry.archives import pack

SMALL = ("--epochs", "3", "--width", "32", "--depth", "1", "--branch", "16", "--latent-size", "16")
VIEWS = ("--views", "3")
PROFILES = ("rpmC", "rpmI", "infA", "rpmB")


def call(*command: str | Path) -> None:
    """Run an executable; its messages are shown."""
    subprocess.run([*map(str, command), "--threads", "1"], check=True)


def strip_bam(source: Path, target: Path) -> None:
    """The same alignments without bases and qualities, which depths do not need."""
    with (
        pysam.AlignmentFile(str(source)) as reads,
        pysam.AlignmentFile(str(target), "wb", header=reads.header) as out,
    ):
        for read in reads:
            read.query_sequence = None
            read.query_name = "r"
            read.set_tags([("NM", read.get_tag("NM"))])
            out.write(read)


def write_cram(source: Path, fasta: Path, target: Path) -> None:
    """As CRAM, without qualities."""
    with (
        pysam.AlignmentFile(str(source)) as reads,
        pysam.AlignmentFile(
            str(target), "wc", header=reads.header, reference_filename=str(fasta)
        ) as out,
    ):
        for read in reads:
            bases = read.query_sequence
            read.query_qualities = None
            read.query_sequence = bases
            out.write(read)


def write_depth_table(bams: list[Path], target: Path) -> None:
    """Depths as the columns of jgi_summarize_bam_contig_depths give them."""
    columns = []
    for bam in bams:
        with pysam.AlignmentFile(str(bam)) as reads:
            names, lengths = reads.references, reads.lengths
            bases = dict.fromkeys(names, 0)
            for read in reads:
                bases[read.reference_name] += read.reference_length or 0
            columns.append([bases[n] / x for n, x in zip(names, lengths, strict=True)])
    head = ["contigName", "contigLen", "totalAvgDepth"]
    lines = ["\t".join(head + [c for b in bams for c in (b.name, f"{b.name}-var")])]
    for row, (name, length) in enumerate(zip(names, lengths, strict=True)):
        depths = [column[row] for column in columns]
        cells = [f"{depth:.4g}" for d in depths for depth in (d, d)]
        lines.append("\t".join([name, str(length), f"{sum(depths):.4g}", *cells]))
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_profiles(target: Path) -> None:
    """Some of the bundled profiles as a user's own."""
    import gzip

    records = gzip.decompress((DATA / HMM_FILE).read_bytes()).decode().split("//\n")
    chosen = [r for r in records if any(f"\nNAME  {name}\n" in r for name in PROFILES)]
    assert len(chosen) == len(PROFILES)
    target.write_text("".join(f"{record}//\n" for record in chosen), encoding="utf-8")


def write_species(gold: Path, target: Path) -> None:
    """The genomes of the gold standard as lineages."""
    lines = gold.read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    text = "".join(f"{contig}\td__Bacteria;g__G;s__G {genome}\n" for contig, genome, *_ in rows)
    target.write_text(text, encoding="utf-8")


def write_record(source: Path, target: Path) -> None:
    """The record of a run, with names of files in place of their paths, on no certain machine."""
    record = json.loads(source.read_text(encoding="utf-8"))
    options = record["options"]
    for name in ("contigs", "bams"):
        options[name] = [Path(file).name for file in options[name]]
    options |= {"out": "run", "glm": "glm"}
    record["platform"] = {"system": "Linux", "release": "6.1", "machine": "x86_64", "cpus": 1}
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def make_coassembly(work: Path, out: Path) -> None:
    """Contigs, alignments and the files of every stage."""
    made = work / "coassembly"
    call("llmbin-simulate", "--n-genomes", "3", "--genome-size", "0.1", "0.12", "--samples", "2",
         "--presence", "1", "--depth", "5", "--seed", "1", "--out", made)  # fmt: skip
    fasta = out / "contigs.fasta.gz"
    shutil.copyfile(made / "contigs.fasta.gz", fasta)
    shutil.copyfile(made / "gold.tsv", out / "gold.tsv")
    plain = work / "contigs.fasta"
    with plain.open("wb") as handle:
        subprocess.run(["gzip", "-dc", str(fasta)], stdout=handle, check=True)
    for name in ("S1", "S2"):
        strip_bam(made / f"{name}.bam", out / f"{name}.bam")
    write_cram(made / "S2.bam", plain, out / "S2.cram")
    shutil.copyfile(plain, out / "contigs.fasta")
    write_depth_table([out / "S1.bam", out / "S2.bam"], out / "depths.tsv")
    run = work / "run"
    call("llmbin", "run", "--contigs", fasta, "--bam", out / "S1.bam", out / "S2.bam", "--glm",
         out / "glm", "--min-bin-size", "20000", "--out", run, *VIEWS, *SMALL)  # fmt: skip
    for name in ("composition", "coverage", "embedding", "latent", "partitions"):
        shutil.copyfile(run / f"{name}.safetensors", out / f"{name}.safetensors")
    for name in ("contigs.tsv", "markers.tsv", "marker_sets.json", "bins.tsv", "contig2bin.tsv",
                 "training.tsv"):  # fmt: skip
        shutil.copyfile(run / name, out / name)
    shutil.copyfile(run / "model.safetensors", out / "encoder.safetensors")
    write_record(run / "run.json", out / "run.json")
    write_species(out / "gold.tsv", out / "species.tsv")
    call("llmbin-embed", "--contigs", fasta, "--glm", "compact", *VIEWS,
         "--out", out / "embedding_compact.safetensors")  # fmt: skip
    for name in ("S1", "S2"):
        call("llmbin-coverage", "--contigs", fasta, "--bam", out / f"{name}.bam", *VIEWS,
             "--out", out / f"coverage_{name}.safetensors")  # fmt: skip
    table = work / "table"
    call("llmbin", "run", "--contigs", fasta, "--depth-table", out / "depths.tsv", "--glm", "none",
         "--min-bin-size", "20000", "--out", table, *VIEWS, *SMALL)  # fmt: skip
    shutil.copyfile(table / "model.safetensors", out / "encoder_table.safetensors")


def make_multisample(work: Path, out: Path) -> None:
    """Assemblies of two samples, reads of each mapped to both."""
    made = work / "multi"
    call("llmbin-simulate", "--n-genomes", "2", "--genome-size", "0.1", "0.11", "--samples", "2",
         "--presence", "1", "--depth", "5", "--mode", "multi", "--seed", "3", "--out",
         made)  # fmt: skip
    assemblies = sorted((made / "assemblies").iterdir())
    for name, assembly in zip(("S1", "S2"), assemblies, strict=True):
        shutil.copyfile(assembly, out / f"{name}.fasta.gz")
        strip_bam(made / f"{name}.bam", out / f"multi_{name}.bam")
    joined = work / "joined"
    call("llmbin-prepare", "--contigs", *(out / f"{n}.fasta.gz" for n in ("S1", "S2")),
         "--sample-names", "S1", "S2", "--out", joined)  # fmt: skip
    shutil.copyfile(joined / "contigs.fasta.gz", out / "multi.fasta.gz")
    contigs = out / "multi.fasta.gz"
    call("llmbin-composition", "--contigs", contigs, *VIEWS, "--out",
         out / "multi_composition.safetensors")  # fmt: skip
    call("llmbin-coverage", "--contigs", contigs, "--bam",
         *(out / f"multi_{n}.bam" for n in ("S1", "S2")), "--sample-names", "S1", "S2", *VIEWS,
         "--out", out / "multi_coverage.safetensors")  # fmt: skip
    features = [out / f"multi_{name}.safetensors" for name in ("composition", "coverage")]
    models = work / "models"
    call("llmbin-train", "--features", *features, "--separator", ":", "--per-sample", *SMALL,
         "--out", models)  # fmt: skip
    for name in ("S1", "S2"):
        shutil.copyfile(
            models / f"{name}.model.safetensors", out / f"multi_encoder_{name}.safetensors"
        )
    latent, markers = out / "multi_latent.safetensors", out / "multi_markers.tsv"
    call("llmbin-encode", "--features", *features, "--separator", ":", "--model", models,
         "--out", latent)  # fmt: skip
    call("llmbin-markers", "--contigs", contigs, "--out", markers, "--sets-out", work / "sets.json")
    call("llmbin-cluster", "--latent", latent, "--markers", markers,
         "--out", out / "multi_partitions.safetensors")  # fmt: skip


def main(out: Path) -> None:
    """Write everything."""
    (out / "protein.fasta").write_text(">one\n" + "MKLVEERGQSTWFYHPLKE" * 80 + "\n")
    (out / "circular.txt").write_text("contig_3\n")
    sets = "[" + ", ".join(f"set(['{name}'])" for name in PROFILES) + "]"
    (out / "profiles.ms").write_text(
        f"# [Lineage Marker File]\nall\t1\t1\tk__Bacteria\t9\t{sets}\n"
    )
    write_profiles(out / "profiles.hmm")
    files = {f"glm/{p.name}": p for p in sorted((out / "glm").iterdir())}
    pack(files, out / "glm.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        make_coassembly(Path(folder), out)
        make_multisample(Path(folder), out)
    pack({"encoder/model.safetensors": out / "encoder.safetensors"}, out / "encoder.tar.gz")
    for path in out.glob("*.fai"):
        path.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
