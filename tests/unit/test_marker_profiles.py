"""A user's marker profiles and sets: HMM files and marker sets of CheckM.

The genomes here are made of marker genes (`marker_genes.py`), so the right answer is known.
"""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from marker_genes import contig_of, genome_of, ten_profiles
from pyhmmer.easel import Alphabet, TextMSA, TextSequence
from pyhmmer.plan7 import Background, Builder

from llmbin_core.bins.markerindex import index_markers
from llmbin_core.bins.quality import estimate
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.markers.profiles import (
    Profiles,
    consensus_proteins,
    cutoff_of,
    load_profiles,
    read_checkm_sets,
)
from llmbin_core.markers.search import find_markers


@pytest.fixture(scope="module")
def some() -> Profiles:
    return ten_profiles()


@pytest.fixture(scope="module")
def contig(some: Profiles) -> tuple[bytes, dict[str, tuple[int, int]]]:
    return contig_of(some)


def write_models(path: Path, profiles: Profiles, *, cutoffs: bool) -> Path:
    with path.open("wb") as handle:
        for model in profiles.models:
            plain = model.copy()
            if not cutoffs:
                plain.cutoffs.gathering = None
                plain.cutoffs.trusted = None
            plain.write(handle)
    return path


# ------------------------------------------------------------------------------- a user's profiles


@pytest.mark.parametrize("compressed", [False, True])
def test_models_without_cutoffs_work(
    tmp_path: Path,
    some: Profiles,
    contig: tuple[bytes, dict[str, tuple[int, int]]],
    compressed: bool,
) -> None:
    path = write_models(tmp_path / "mine.hmm", some, cutoffs=False)
    if compressed:
        path.with_name("mine.bin").write_bytes(gzip.compress(path.read_bytes()))
        path = path.with_name("mine.bin")
    mine = load_profiles(path)
    assert [cutoff_of(model) for model in mine.models] == [None] * len(some.models)
    assert mine.sets == {"all": tuple((name,) for name in some.names)}
    hits = find_markers([("c", contig[0])], mine)
    assert Counter(hit.marker for hit in hits) == Counter(some.names)
    assert all(hit.evalue <= 1e-5 for hit in hits)


def test_without_a_cutoff_a_gene_must_cover_40_percent_of_the_model(
    tmp_path: Path, some: Profiles
) -> None:
    mine = load_profiles(write_models(tmp_path / "mine.hmm", some, cutoffs=False))
    name, protein = max(consensus_proteins(some).items(), key=lambda item: len(item[1]))
    for share, expected in ((0.3, []), (0.5, [name])):
        sequence, _ = genome_of([protein[: int(share * len(protein))]])
        assert [hit.marker for hit in find_markers([("c", sequence)], mine)] == expected


def test_cutoffs_of_a_file_are_read(tmp_path: Path, some: Profiles) -> None:
    mine = load_profiles(write_models(tmp_path / "mine.hmm", some, cutoffs=True))
    assert [cutoff_of(model) for model in mine.models] == pytest.approx(
        [cutoff_of(model) for model in some.models], abs=0.01
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no profile"),
        (b"not a profile\n", "is not a valid HMM file"),
        (b"HMMER3/f [3.3]\nNAME x\nLENG 5\nALPH amino\n", "ends within a profile"),
        (gzip.compress(b"HMMER3/f")[:-6], "damaged or cut short"),
    ],
)
def test_malformed_profiles_name_the_file(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "bad profiles.hmm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as raised:
        load_profiles(path)
    assert str(path) in str(raised.value)


def test_profiles_cut_in_the_middle_of_a_model(tmp_path: Path, some: Profiles) -> None:
    path = write_models(tmp_path / "mine.hmm", some, cutoffs=True)
    text = path.read_bytes()
    path.write_bytes(text[:-500])
    with pytest.raises(InputError, match="is not a valid HMM file"):
        load_profiles(path)
    path.write_bytes(text[: text.rindex(b"HMMER3/") + 50])
    with pytest.raises(InputError, match="ends within a profile"):
        load_profiles(path)


def test_profiles_of_nucleotides_and_double_names_are_refused(
    tmp_path: Path, some: Profiles
) -> None:
    dna = Alphabet.dna()
    rows = [TextSequence(name=f"s{n}", sequence="ACGTACGTACGTACGGGT") for n in range(3)]
    model = Builder(dna).build_msa(TextMSA(name="d", sequences=rows).digitize(dna), Background(dna))
    path = tmp_path / "dna.hmm"
    with path.open("wb") as handle:
        model[0].write(handle)
    with pytest.raises(InputError, match="profile d is not of proteins"):
        load_profiles(path)
    twice = Profiles((some.models[0], some.models[0]), {}, True)
    with pytest.raises(InputError, match="occurs twice"):
        load_profiles(write_models(tmp_path / "twice.hmm", twice, cutoffs=True))


def test_missing_profiles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.hmm: no such file"):
        load_profiles(tmp_path / "none.hmm")


# ---------------------------------------------------------------------------- CheckM marker sets


def test_checkm_sets_old_and_new_notation(tmp_path: Path) -> None:
    path = tmp_path / "sets.ms"
    path.write_text(
        "# [Taxon Marker File]\n"
        "Bacteria\t1\t2\tk__Bacteria\t5449\t[set(['B', 'A']), set(['C'])]\n"
        "Archaea\t1\t3\tk__Archaea\t207\t[{'D', 'C'}]\n"
        "x\t1\t4\tother lineage\t9\t[{'E'}]\n"
    )
    assert read_checkm_sets(path) == {
        "bacteria": (("A", "B"), ("C",)),
        "archaea": (("C", "D"),),
        "other lineage": (("E",),),
    }


@pytest.mark.parametrize("line", ["Bacteria\t1\t2", "Bacteria\t1\t2\tk__Bacteria\t5\tnothing", ""])
def test_malformed_checkm_sets(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sets.ms"
    path.write_text(f"# [Taxon Marker File]\n{line}\n")
    with pytest.raises(InputError, match=r"sets\.ms: (line 2 is not|holds no marker set)"):
        read_checkm_sets(path)


def test_sets_are_limited_to_the_profiles_given(tmp_path: Path, some: Profiles) -> None:
    models = write_models(tmp_path / "mine.hmm", some, cutoffs=True)
    sets = tmp_path / "sets.ms"
    one, two = some.names[:2]
    listed = f"[{{'{one}', 'PF1'}}, {{'{two}'}}, {{'PF2'}}]"
    sets.write_text(f"# [x]\nb\t1\t2\tk__Bacteria\t9\t{listed}\n")
    assert load_profiles(models, sets).sets == {"bacteria": ((one,), (two,))}
    # A domain without a marker among the profiles is left out; its completeness would be 0 / 0.
    sets.write_text(
        f"# [x]\nb\t1\t2\tk__Bacteria\t9\t{listed}\na\t1\t3\tk__Archaea\t9\t[{{'PF3'}}]\n"
    )
    found = load_profiles(models, sets).sets
    assert found == {"bacteria": ((one,), (two,))}
    contigs = ContigTable(("c",), np.array([1000]))
    quality = estimate(index_markers([], contigs, found), [np.array([0])])
    assert np.isfinite(quality.error).all()
    sets.write_text("# [x]\nb\t1\t2\tk__Bacteria\t9\t[{'PF1'}]\n")
    with pytest.raises(InputError, match="none of its markers"):
        load_profiles(models, sets)
