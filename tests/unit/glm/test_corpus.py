"""The packed corpus and what is drawn from it."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from glm_helpers import LETTERS, fasta, random_bases

from llmbin_core.errors import InputError
from llmbin_core.glm import corpus as module
from llmbin_core.glm.corpus import Corpus, fasta_files, genome_name, pack, read_catalog
from llmbin_core.glm.sampling import Sampler, held_out


def test_bases_come_back_and_unknown_runs_are_left_out(tmp_path: Path) -> None:
    first, second = random_bases(1003, 1), random_bases(800, 2)
    second[:5] = 4
    second[300:350] = 4
    second[600] = 4
    path = fasta(tmp_path / "a.fna", {"one": first, "two": second})
    pack([path], tmp_path / "packed")
    found = Corpus(tmp_path / "packed")
    assert [int(n) for n in found.runs[:, 1]] == [1003, 295, 250]
    np.testing.assert_array_equal(found.read(0, 0, 1003), first)
    np.testing.assert_array_equal(found.read(1, 0, 295), second[5:300])
    np.testing.assert_array_equal(found.read(2, 3, 100), second[353:453])
    assert found.genomes[0].bases == 1003 + 295 + 250
    # 4 bases per byte, every run on a byte of its own.
    assert (tmp_path / "packed" / "bases.2bit").stat().st_size == 251 + 74 + 63


@pytest.mark.parametrize("at_once", [1, 100, 1 << 20])
def test_reading_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(module, "_LETTERS_AT_ONCE", at_once)
    codes = random_bases(2000, 3)
    codes[[400, 401, 900]] = 4
    text = f">x y\r\n{LETTERS[codes].tobytes().decode().lower()}\r\n>empty\n"
    (tmp_path / "a.fa.gz").write_bytes(gzip.compress(text.encode()))
    pack(fasta_files(tmp_path), tmp_path / "packed")
    found = Corpus(tmp_path / "packed")
    assert [int(n) for n in found.runs[:, 1]] == [400, 498, 1099]
    np.testing.assert_array_equal(found.read(1, 0, 498), codes[402:900])


def test_every_fragment_is_somewhere_in_its_genome(corpus: Corpus) -> None:
    rng = np.random.default_rng(0)
    text = [
        LETTERS[corpus.read(r, 0, int(corpus.runs[r, 1]))].tobytes()
        for r in range(len(corpus.runs))
    ]
    seen = Counter()
    for _ in range(300):
        piece = LETTERS[corpus.fragment(2, 1000, rng)].tobytes()
        runs = range(corpus.genomes[2].first_run, corpus.genomes[2].first_run + 2)
        (run,) = [r for r in runs if piece in text[r]]
        seen[run - runs[0]] += 1
    # 8001 and 2001 starts in the two sequences.
    assert seen[0] / 300 == pytest.approx(0.8, abs=0.08)
    assert len(corpus.fragment(2, 20000, rng)) == 9000


def test_reading_beyond_a_run_is_an_error(corpus: Corpus) -> None:
    with pytest.raises(IndexError):
        corpus.read(0, 8990, 11)


@pytest.mark.parametrize("name", ["a.fna", "a.fa.gz", "a.FASTA", "a.fas.zst"])
def test_genome_names(name: str) -> None:
    assert genome_name(Path(name)) == "a"


def test_bad_input(tmp_path: Path, corpus: Corpus) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no FASTA file"):
        fasta_files(empty)
    with pytest.raises(InputError, match=r"corpus\.json: no such file"):
        Corpus(empty)
    (empty / "a.fna").write_text("ACGT\n")
    with pytest.raises(InputError, match="does not begin with '>'"):
        pack(fasta_files(empty), tmp_path / "p")
    (empty / "a.fna").write_text(">a\nACGT\n")
    with pytest.raises(InputError, match="no run of at least 200 known bases"):
        pack(fasta_files(empty), tmp_path / "p")
    assert not (tmp_path / "p").exists()
    (empty / "a.fa").write_text(">a\nACGT\n")
    with pytest.raises(InputError, match="two genome files have the name 'a'"):
        pack(fasta_files(empty), tmp_path / "p")
    with pytest.raises(InputError, match="the catalog has no genome with the id 'a'"):
        pack([empty / "a.fna"], tmp_path / "p", {"b": {}})
    with (corpus.path / "bases.2bit").open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(InputError, match="cut short"):
        Corpus(corpus.path)
    (corpus.path / "corpus.json").write_text('{"format": "other"}')
    with pytest.raises(InputError, match="not a packed corpus"):
        Corpus(corpus.path)


def test_bad_catalogs(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("name\tgenus\n")
    with pytest.raises(InputError, match="column 'id'"):
        read_catalog(path)
    path.write_text("id\tgenus\na\tx\na\ty\n")
    with pytest.raises(InputError, match="'a' is listed twice"):
        read_catalog(path)


def test_sampling_is_a_function_of_seed_step_and_rank(corpus: Corpus) -> None:
    train = held_out(corpus, "split", "train")
    one, two = Sampler(corpus, train, 7), Sampler(corpus, train, 7)
    lengths = (500, 2000)
    a, b = one.views(5, 3, 2, lengths, 0.01), two.views(5, 3, 2, lengths, 0.01)
    other = one.views(6, 3, 2, lengths, 0.01)
    ranked = Sampler(corpus, train, 7, rank=1).views(5, 3, 2, lengths, 0.01)
    assert all(np.array_equal(x, y) for x, y in zip(a.sequences, b.sequences, strict=True))
    for different in (other, ranked):
        assert not np.array_equal(a.sequences[0], different.sequences[0])
    assert len(a.sequences) == 6
    assert sorted(Counter(a.labels.tolist()).values()) == [2, 2, 2]
    assert all(500 <= len(s) <= 2000 for s in a.sequences)


def test_only_the_chosen_genomes_are_drawn(corpus: Corpus) -> None:
    sampler = Sampler(corpus, held_out(corpus, "split", "valid"), 0)
    labels = set(sampler.views(0, 10, 1, (500, 600), 0.0).labels.tolist())
    # Species S0..S5 sort to numbers 0..5.
    assert labels == {4, 5}
    with pytest.raises(InputError, match="no genome has 'nowhere' in catalog column 'split'"):
        held_out(corpus, "split", "nowhere")


def test_balance_shares_out_by_taxon(tmp_path: Path) -> None:
    rows = [
        ("a", "P", "G", "S1"),
        ("b", "P", "G", "S2"),
        ("c", "P", "H", "S3"),
        ("d", "Q", "I", "S4"),
    ]
    folder = tmp_path / "g"
    folder.mkdir()
    for i, row in enumerate(rows):
        fasta(folder / f"{row[0]}.fna", {row[0]: random_bases(600, i)})
    lines = ["id\tphylum\tgenus\tspecies", *("\t".join(r) for r in rows)]
    (tmp_path / "c.tsv").write_text("\n".join(lines) + "\n")
    pack(fasta_files(folder), tmp_path / "p", read_catalog(tmp_path / "c.tsv"))
    sampler = Sampler(Corpus(tmp_path / "p"), range(4), 0, balance=1.0)
    np.testing.assert_allclose(sampler.weights, [1 / 8, 1 / 8, 1 / 4, 1 / 2])
    flat = Sampler(Corpus(tmp_path / "p"), range(4), 0, balance=0.0)
    np.testing.assert_allclose(flat.weights, np.full(4, 0.25))
