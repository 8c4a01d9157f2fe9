"""Every executable with input that is wrong in many ways: a message with its code, no defect."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from llmbin_tools.llmbin import main as llmbin

from llmbin_core import stages
from llmbin_core.markertable import write_markers

GOOD = ("a.fasta", "composition", "coverage", "model", "latent", "markers.tsv", "gold.tsv", "c2b")
# Options of each executable whose files are all in order; each file is replaced by bad ones.
LINES = {
    "prepare": "--contigs @a.fasta",
    "composition": "--contigs @a.fasta",
    "coverage": "--contigs @a.fasta --depth-table @depth.tsv",
    "embed": "--contigs @a.fasta --glm tnf",
    "train": "--features @composition --epochs 1 --width 8 --batch-size 8",
    "encode": "--features @composition @coverage --model @model",
    "cluster": "--latent @latent --markers @markers.tsv",
    "bin": "--partitions @latent --markers @markers.tsv --sets @gold.tsv --contigs @a.fasta",
    "evaluate": "--gold @gold.tsv --bins a=@c2b",
    "pretrain": "--genomes @genomes --catalog @gold.tsv --pack-only",
    "run": "--contigs @a.fasta --bam @coverage --model @model --glm none --dry-run",
    "simulate": "--genomes @genomes --profiles @gold.tsv",
    "markers": "--contigs @a.fasta --sets-out @sets --profiles @gold.tsv",
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small files that are in order."""
    folder = tmp_path_factory.mktemp("good")
    letters = random.Random(0)
    contigs = {f"c{i}": "".join(letters.choices("ACGT", k=1500)) for i in range(20)}
    fasta = folder / "a.fasta"
    fasta.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    rows = "".join(f"{name}\t1500\t5\t5\t1\n" for name in contigs)
    depth = folder / "depth.tsv"
    depth.write_text(f"contigName\tcontigLen\ttotalAvgDepth\ts.bam\ts.bam-var\n{rows}")
    (folder / "gold.tsv").write_text(
        "contig\tgenome\tlength\n" + "".join(f"{name}\tg\t1500\n" for name in contigs)
    )
    (folder / "c2b").write_text("contig\tbin\n" + "".join(f"{name}\tb\n" for name in contigs))
    (folder / "genomes").mkdir()
    (folder / "genomes/x.fa").write_text(f">x\n{contigs['c0']}\n")
    stages.composition(fasta, folder / "composition")
    stages.coverage(fasta, folder / "coverage", tables=[depth])
    both = [folder / "composition", folder / "coverage"]
    stages.train(both, folder / "model", epochs=1, width=8, batch_size=8, device="cpu")
    stages.encode(both, folder / "model", folder / "latent", device="cpu")
    write_markers(folder / "markers.tsv", [])
    return folder


@pytest.fixture
def bad(good: Path, tmp_path: Path) -> list[Path]:
    """Paths that are wrong in a way each."""
    folder = tmp_path / "bad"
    (folder / "folder").mkdir(parents=True)
    whole = gzip.compress((good / "a.fasta").read_bytes())
    contents = {
        "empty": b"",
        "cut.gz": whole[: len(whole) // 2],
        "garbage": random.Random(1).randbytes(5000),
        "nan.tsv": b"contig\tmarker\tscore\na\tb\tnan\n",
        "latin.tsv": b"contig\tgenome\tlength\nc\xe9\tg\t5\n",
        "latin.fa": b">c\xe9\xff\nACGT\n>c\xe9\xff\nACGT\n",
        "nul": b"a\0b\n\0",
        "object": b"{}",
        "list": b"[1, 2]",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "loop").symlink_to("loop")
    odd = ("missing", "folder", "loop", "empty/below", "n" * 300, "blank name")
    return [folder / name for name in (*contents, *odd)] + [good / name for name in GOOD]


def _code(command: str, words: list[str]) -> int:
    try:
        return llmbin([command, *words, "--threads", "1"])
    except SystemExit as end:
        return int(end.code or 0)


def _lines(command: str, good: Path, bad: list[Path]) -> Iterator[list[str]]:
    words = [word.replace("@", f"{good}/") for word in LINES[command].split()]
    for place, word in enumerate(LINES[command].split()):
        if "@" not in word or word == "@sets":
            continue
        for path in bad:
            if path.name == "a.fasta" and command == "markers":
                continue
            yield [*words[:place], word.split("@")[0] + str(path), *words[place + 1 :]]


@pytest.mark.parametrize("command", LINES)
def test_bad_files(
    command: str, good: Path, bad: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = 0
    for number, words in enumerate(_lines(command, good, bad)):
        code = _code(command, [*words, "--out", str(tmp_path / f"out{number}")])
        text = capsys.readouterr().err
        assert code in (0, 2, 3, 4), (words, text)
        assert "Traceback" not in text
        refused += code != 0
        # The other commands meet another fault first, or do not read the file.
        if command not in ("bin", "pretrain", "simulate", "markers") and "/missing" in str(words):
            assert code == 3, (words, text)
            assert "missing" in text, text
            assert "; " in text.rstrip().splitlines()[-1], text  # what is wrong; what to do
    assert refused > 8


@pytest.mark.parametrize("command", ["composition", "embed", "coverage", "cluster", "evaluate"])
def test_bad_places_for_output(
    command: str, good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    words = [word.replace("@", f"{good}/") for word in LINES[command].split()]
    for place in ("file/below", "folder", "n" * 300, "/proc/x"):
        assert _code(command, [*words, "--out", str(tmp_path / place)]) == 4, place
        assert f"{tmp_path / place}: cannot be written" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_file_is_not_replaced_by_a_folder(good: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    words = ["--genomes", str(good / "genomes"), "--pack-only"]
    assert _code("pretrain", [*words, "--out", str(tmp_path / "file")]) == 4
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_others_is_an_environment_fault(good: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    shutil.copy(good / "a.fasta", tmp_path)
    text = (
        "import os, sys\nfrom llmbin_tools.llmbin import main\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "words = ['composition', '--contigs', 'a.fasta', '--threads', '1', '--out']\n"
        # Once as oneself: the other user may not be able to read the modules.
        "assert main([*words, 'first']) == 0\nos.setuid(65534)\nsys.exit(main([*words, 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert "x: cannot be written (Permission denied); check free disk" in done.stderr


def test_names_that_are_not_utf_8(good: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9"
    shutil.copytree(good, os.fsdecode(odd))
    for command, words in (
        ("prepare", [b"--contigs", odd + b"/a.fasta", b"--out", odd + b"/out"]),
        ("composition", [b"--contigs", odd + b"/a.fasta", b"--out", odd + b"/x"]),
        ("evaluate", [b"--gold", odd + b"/gold.tsv", b"--bins", b"a=" + odd + b"/c2b", b"--out",
                      odd + b"/y"]),
    ):  # fmt: skip
        tool = [sys.executable, "-c", "import sys; from llmbin_tools.llmbin import main; "
                "sys.exit(main())", command]  # fmt: skip
        done = subprocess.run([*tool, *words, "--threads", "1"], capture_output=True)
        assert done.returncode == 0, done.stderr
        missing = [w.replace(b"caf\xe9", b"no\xe9") for w in words]
        done = subprocess.run([*tool, *missing, "--threads", "1"], capture_output=True)
        assert done.returncode == 3, done.stderr
        assert b"no such file" in done.stderr


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "", "x", "1e400", "99999999999999999999"])
@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("composition", "--views"), ("composition", "--seed"), ("train", "--epochs"),
        ("train", "--learning-rate"), ("train", "--weight-decay"), ("train", "--dropout"),
        ("simulate", "--depth-spread"), ("pretrain", "--learning-rate"), ("run", "--min-length"),
        ("run", "--min-identity"), ("bin", "--min-bin-size"), ("evaluate", "--min-contig"),
    ],
)  # fmt: skip
def test_bad_numbers(
    command: str, option: str, value: str, good: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if option == "--weight-decay" and value.isdigit():
        return  # large, but a number
    if value.isdigit() and option in ("--learning-rate", "--depth-spread"):
        return
    words = [word.replace("@", f"{good}/") for word in LINES[command].split()]
    assert _code(command, [*words, "--out", str(tmp_path / "out"), option, value]) == 2
    assert option in capsys.readouterr().err
