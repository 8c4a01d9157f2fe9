"""The file between stages."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.stagefile import (
    Provenance,
    StageFile,
    check_join,
    check_same_contigs,
    merge_shards,
    read_provenance,
    read_stage,
    rows_for,
    shard_rows,
    write_stage,
)

CONTIGS = ContigTable(("a", "b|x", "c:d"), np.array([1000, 2000, 3000]))
VALUES = {"composition": np.arange(12, dtype=np.float32).reshape(3, 4)}
PROVENANCE = Provenance("composition", 3, 6, {"k": 4, "n_contigs": 3}, {"c.fa": "sha256:0"})


def test_round_trip_and_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    write_stage(one, CONTIGS, VALUES, PROVENANCE)
    write_stage(two, CONTIGS, VALUES, PROVENANCE)
    assert one.read_bytes() == two.read_bytes()
    file = read_stage(one, "composition")
    assert file.contigs.names == CONTIGS.names
    assert file.contigs.digest == CONTIGS.digest
    assert file.provenance == PROVENANCE == read_provenance(one)
    np.testing.assert_array_equal(file.tensors["composition"], VALUES["composition"])


def test_no_contigs_is_a_valid_file(tmp_path: Path) -> None:
    none = ContigTable((), np.empty(0, np.int64))
    write_stage(tmp_path / "x", none, {"latent": np.empty((0, 5), np.float32)}, PROVENANCE)
    file = read_stage(tmp_path / "x")
    assert len(file.contigs) == 0
    assert file.tensors["latent"].shape == (0, 5)


def test_wrong_schema_names_the_stage_to_run(tmp_path: Path) -> None:
    write_stage(tmp_path / "x", CONTIGS, VALUES, PROVENANCE)
    with pytest.raises(InputError, match=r"holds composition, but latent .* llmbin-encode"):
        read_stage(tmp_path / "x", "latent")


def test_foreign_and_cut_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(InputError, match="no such file"):
        read_stage(path)
    save_file({"t": np.zeros(3)}, path)
    with pytest.raises(InputError, match="none that an LLMBin stage wrote"):
        read_stage(path)
    write_stage(path, CONTIGS, VALUES, PROVENANCE)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="not a stage file, or cut short"):
        read_stage(path)
    path.write_bytes(b"contig\tlength\n")
    with pytest.raises(InputError, match="not a stage file"):
        read_stage(path)


def stage(name: str, contigs: ContigTable = CONTIGS, **changes: object) -> StageFile:
    return StageFile(Path(name), contigs, replace(PROVENANCE, **changes), dict(VALUES))


def test_files_that_do_not_belong_together_are_named_with_the_difference() -> None:
    check_join([stage("one"), stage("two"), stage("three", seed=None, n_views=None)])
    longer = ContigTable(CONTIGS.names, np.array([1000, 2001, 3000]))
    with pytest.raises(InputError, match=r"one and two do not belong together: contig 'b\|x' has"):
        check_join([stage("one"), stage("two", longer)])
    with pytest.raises(InputError, match="random seed 3 and 4"):
        check_join([stage("one"), stage("two", seed=4)])
    with pytest.raises(InputError, match="number of views 6 and 5"):
        check_join([stage("one"), stage("two", n_views=5)])
    with pytest.raises(InputError, match=r"one was not made from a\.fa: contig 'b\|x'"):
        check_same_contigs(stage("one"), longer, Path("a.fa"))


def test_shards_cover_all_rows_once_and_balance_bases() -> None:
    lengths = np.random.default_rng(0).integers(1000, 50_000, 500)
    cuts = [shard_rows(lengths, k, 7) for k in range(1, 8)]
    assert cuts[0][0] == 0
    assert cuts[-1][1] == 500
    assert all(a[1] == b[0] for a, b in pairwise(cuts))
    shares = [lengths[b:e].sum() / lengths.sum() for b, e in cuts]
    assert max(shares) < 1.3 / 7
    with pytest.raises(InputError, match="must be within"):
        shard_rows(lengths, 8, 7)


def test_merging_shards_gives_the_unsharded_bytes(tmp_path: Path) -> None:
    write_stage(tmp_path / "whole", CONTIGS, VALUES, PROVENANCE)
    parts = []
    for begin, end in ((2, 3), (0, 2)):
        table = ContigTable(CONTIGS.names[begin:end], CONTIGS.lengths[begin:end])
        path = tmp_path / f"part{begin}"
        tensors = {"composition": VALUES["composition"][begin:end]}
        write_stage(path, table, tensors, replace(PROVENANCE, rows=(begin, end)))
        parts.append(read_stage(path))
    merged = merge_shards(parts)
    write_stage(tmp_path / "merged", merged.contigs, merged.tensors, merged.provenance)
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()
    with pytest.raises(InputError, match="the shards end at contig 2 of 3"):
        merge_shards(parts[1:])
    with pytest.raises(InputError, match="give every shard once"):
        merge_shards([parts[1], parts[1]])
    with pytest.raises(InputError, match="is a whole file"):
        merge_shards([read_stage(tmp_path / "whole")])


def test_rows_for_a_part_and_refusal_of_others(tmp_path: Path) -> None:
    whole = write_stage(tmp_path / "whole", CONTIGS, VALUES, PROVENANCE)

    def part(names: tuple[str, ...], lengths: list[int], seed: int = 3) -> StageFile:
        table = ContigTable(names, np.array(lengths))
        provenance = replace(PROVENANCE, seed=seed)
        return write_stage(tmp_path / "part", table, {"x": np.zeros(len(names))}, provenance)

    found = rows_for(whole, "composition", part(("c:d", "a"), [3000, 1000]))
    np.testing.assert_array_equal(found, VALUES["composition"][[2, 0]])
    for names, lengths, seed, message in (
        (("a", "z"), [1000, 5], 3, "contig 'z' is missing in .*whole"),
        (("a",), [1001], 3, "contig 'a' has 1000 and 1001 bp"),
        (("a",), [1000], 4, "random seed 3 and 4"),
    ):
        with pytest.raises(InputError, match=message):
            rows_for(whole, "composition", part(names, lengths, seed))
