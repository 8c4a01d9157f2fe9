"""Joining what was done sample by sample: the bytes of doing all at once, and what is refused."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from llmbin_core import outputs, stages
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.files import write_text
from llmbin_core.markertable import MarkerHit, write_marker_sets, write_markers
from llmbin_core.stagefile import Provenance, read_stage, write_stage

SAMPLES = ("S1", "S2", "S3")


@pytest.fixture
def community(tmp_path: Path) -> Path:
    """Two samples of 20 contigs in two groups and one of 2, mixed; latent, markers, contigs."""
    rng = np.random.default_rng(0)
    names = [f"{s}:c{i}" for i in range(20) for s in ("S2", "S1")] + ["S3:c0", "S3:c1"]
    group = np.array([int(n.split("c")[1]) % 2 for n in names])
    latent = rng.normal(0, 1, (2, 8))[group] + rng.normal(0, 0.05, (len(names), 8))
    latent /= np.linalg.norm(latent, axis=1, keepdims=True)
    table = ContigTable(tuple(names), np.full(len(names), 20_000))
    options = {"models": {"m": {}}, "separator": ":"}
    write_stage(tmp_path / "latent", table, {"latent": latent.astype(np.float32)},
                Provenance("latent", 0, 6, options, {"m": "sha256:1"}))  # fmt: skip
    write_stage(tmp_path / "composition", table,
                {"composition": np.zeros((len(names), 6, 136), np.float32)},
                Provenance("composition", 0, 6, {}))  # fmt: skip
    fasta = "".join(f">{n}\n{''.join(rng.choice(list('ACGT'), 20_000))}\n" for n in names)
    write_text(tmp_path / "contigs.fa", fasta)
    write_markers(tmp_path / "markers", [])
    write_marker_sets(tmp_path / "sets", {"bacteria": [["A"]]})
    return tmp_path


def _latent_of(folder: Path, sample: str, **options: object) -> Path:
    """What encoding a sample alone writes."""
    whole = read_stage(folder / "latent")
    rows = np.array([r for r, n in enumerate(whole.contigs.names) if n.startswith(sample)])
    own = {**whole.provenance.options, "sample": sample, **options}
    provenance = Provenance("latent", 0, 6, own, whole.provenance.inputs)
    path = folder / f"latent.{sample}"
    tensors = {"latent": whole.tensors["latent"][rows]}
    write_stage(path, whole.contigs.take(rows), tensors, provenance)
    return path


def _cluster(folder: Path, sample: str | None, name: str) -> Path:
    stages.cluster(folder / "latent", folder / "markers", folder / name, sample=sample)
    return folder / name


def _bin(folder: Path, partitions: Path, name: str, compress: bool = True) -> Path:
    stages.make_bins(partitions, folder / "markers", folder / "sets", folder / "contigs.fa",
                     folder / name, min_bin_size=1, compress=compress)  # fmt: skip
    return folder / name


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_latents_of_samples_join_to_those_of_all(community: Path) -> None:
    parts = [_latent_of(community, sample) for sample in reversed(SAMPLES)]
    joined = community / "joined"
    stages.merge_latents(parts, [community / "composition"], joined)
    assert joined.read_bytes() == (community / "latent").read_bytes()


def test_partitions_of_samples_join_to_those_of_all(community: Path) -> None:
    parts = [_cluster(community, sample, f"parts.{sample}") for sample in reversed(SAMPLES)]
    joined = community / "joined"
    stages.merge_partitions(parts, community / "latent", joined)
    whole = _cluster(community, None, "whole")
    assert (read_stage(whole).tensors["labels"] >= 0).any()
    assert joined.read_bytes() == whole.read_bytes()


def test_a_sample_without_markers_is_clustered_from_a_latent_of_its_own(community: Path) -> None:
    names = read_stage(community / "latent").contigs.names
    samples = sorted({name.split(":")[0] for name in names})
    first = next(name for name in names if name.startswith(samples[0]))
    hit = MarkerHit(first, "A", 99.0, 1e-9, 1, 100, 100, 1, 300, 1, "", "MKL")
    write_markers(community / "markers", [hit])
    latent = _latent_of(community, samples[1])
    found = stages.cluster(latent, community / "markers", community / "own")
    assert all(name.startswith(samples[1]) for name in found.contigs.names)
    assert (found.tensors["labels"] >= 0).all()


@pytest.mark.parametrize("compress", [True, False])
def test_bins_of_samples_join_to_those_of_all(community: Path, compress: bool) -> None:
    parts = [
        _bin(community, _cluster(community, sample, f"parts.{sample}"), sample, compress)
        for sample in reversed(SAMPLES)
    ]
    joined = community / "joined"
    table = stages.merge_bins(parts, community / "contigs.fa", joined, compress=compress)
    whole = _bin(community, _cluster(community, None, "whole"), "binned", compress)
    assert {b.name.split(".")[0] for b in table.bins} == {"S1", "S2"}
    assert _content(joined) == _content(whole)


def test_parts_that_do_not_belong_together_are_refused(community: Path) -> None:
    one, two, three = (_latent_of(community, sample) for sample in SAMPLES)
    composition, out = [community / "composition"], community / "out"
    with pytest.raises(InputError, match="nothing was given of sample S2, S3"):
        stages.merge_latents([one], composition, out)
    with pytest.raises(InputError, match="are both of sample 'S1'"):
        stages.merge_latents([one, two, three, one], composition, out)
    with pytest.raises(InputError, match="latent: is not of one sample"):
        stages.merge_latents([community / "latent"], composition, out)
    other = _latent_of(community, "S3", separator="|")
    with pytest.raises(InputError, match="are not of one run"):
        stages.merge_latents([one, two, other], composition, out)
    three = _latent_of(community, "S3")
    file = read_stage(two)
    fewer = np.arange(len(file.contigs) - 1)
    write_stage(two, file.contigs.take(fewer), {"latent": file.tensors["latent"][fewer]},
                file.provenance)  # fmt: skip
    with pytest.raises(InputError, match=r"latent.S2 was not made from .*composition"):
        stages.merge_latents([one, two, three], composition, out)
    assert not out.exists()


def test_partitions_of_other_latents_are_refused(community: Path) -> None:
    parts = [_cluster(community, sample, f"parts.{sample}") for sample in SAMPLES]
    file = read_stage(community / "latent")
    write_stage(community / "latent", file.contigs, {"latent": -file.tensors["latent"]},
                file.provenance)  # fmt: skip
    with pytest.raises(InputError, match="was not made from"):
        stages.merge_partitions(parts, community / "latent", community / "out")
    again = _cluster(community, "S1", "again")
    with pytest.raises(InputError, match=r"parts\.S2 was not made from"):
        stages.merge_partitions([again, *parts[1:]], community / "latent", community / "out")


def test_bins_that_are_not_of_the_contigs_are_refused(community: Path) -> None:
    parts = [
        _bin(community, _cluster(community, sample, f"parts.{sample}"), sample)
        for sample in SAMPLES
    ]
    contigs, out = community / "contigs.fa", community / "out"
    with pytest.raises(InputError, match=r"contigs of .* are in none of the folders, such as 'S3"):
        stages.merge_bins(parts[:2], contigs, out, compress=True)
    with pytest.raises(InputError, match="are both of sample 'S1'"):
        stages.merge_bins([*parts, parts[0]], contigs, out, compress=True)
    whole = _bin(community, _cluster(community, None, "whole"), "binned")
    with pytest.raises(InputError, match="is not of one sample"):
        stages.merge_bins([whole], contigs, out, compress=True)
    _damage(community, "unbinned.fa.gz", lambda text: text.replace("A", "C", 1))
    with pytest.raises(InputError, match="has other bases in"):
        stages.merge_bins([*parts[:2], community / "S3"], contigs, out, compress=True)
    _damage(community, "unbinned.fa.gz", lambda text: text.replace(">S3:c", ">S3:d", 1))
    with pytest.raises(InputError, match="is not in"):
        stages.merge_bins([*parts[:2], community / "S3"], contigs, out, compress=True)
    shutil.copyfile(community / "S1" / outputs.BINS_FOLDER / "S1.001.fa.gz",
                    community / "S2" / outputs.BINS_FOLDER / "S2.999.fa.gz")  # fmt: skip
    with pytest.raises(InputError, match="stands in another file already"):
        stages.merge_bins(parts, contigs, out, compress=True)
    assert not (out / outputs.BINS_TABLE).exists()


def _damage(folder: Path, name: str, change: object) -> None:
    assert callable(change)
    path = folder / "S3" / name
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(str(change(text)).encode()))
