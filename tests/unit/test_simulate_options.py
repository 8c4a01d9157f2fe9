"""What llmbin-simulate accepts and refuses."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from llmbin_tools.simulate import main

from llmbin_core.errors import InputError, UsageError
from llmbin_core.markers.profiles import bundled_profiles
from llmbin_core.simulate import SimulateOptions, simulate


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def write_genome(path: Path, length: int) -> None:
    path.write_text(">c\n" + "ACGTTGCA" * (length // 8) + "\n")


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        simulate(tmp_path / "o", SimulateOptions(genomes=tmp_path / "none"), {})
    folder = tmp_path / "genomes"
    folder.mkdir()
    with pytest.raises(InputError, match=r"holds 0 FASTA files .* 1 are needed"):
        simulate(tmp_path / "o", SimulateOptions(genomes=folder), {})
    write_genome(folder / "a.fa", 3000)
    with pytest.raises(InputError, match=r"holds 1 FASTA files .* 4 are needed"):
        simulate(tmp_path / "o", SimulateOptions(genomes=folder, n_genomes=4), {})
    write_genome(folder / "a.fna", 3000)
    with pytest.raises(InputError, match="two genomes 'a'"):
        simulate(tmp_path / "o", SimulateOptions(genomes=folder), {})


def test_too_shallow_communities_and_files_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a larger depth"):
        simulate(tmp_path / "o", SimulateOptions(depth=0.1, n_genomes=1), {})
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file; give a folder"):
        simulate(tmp_path / "file", SimulateOptions(), {})
    with pytest.raises(InputError, match="marker protein 'x': '1' is no amino acid"):
        simulate(tmp_path / "o", SimulateOptions(), {"x": "MA1"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_genomes": 0}, "--n-genomes 0: give at least 1"),
        ({"samples": 0}, "--samples 0"),
        ({"seed": -1}, "--seed -1"),
        ({"strains": -1}, "--strains -1"),
        ({"depth": 0}, "--depth 0"),
        ({"depth": float("nan")}, "--depth nan"),
        ({"depth_spread": -0.1}, "--depth-spread"),
        ({"presence": 1.1}, "--presence 1.1"),
        ({"genome_size": (5, 10)}, "--genome-size 5 10: give two values"),
        ({"genome_size": (90_000, 80_000)}, "the smaller first"),
        ({"strain_ani": (80, 99)}, "--strain-ani"),
        ({"divergence": (0.3, 0.9)}, "--divergence"),
        ({"error_rate": 0.5}, "--error-rate"),
        ({"read_length": 20}, "--read-length"),
        ({"insert_size": 100}, "--insert-size 100: give at least 150"),
        ({"min_length": 200}, "--min-length 200: give at least 300"),
        ({"mode": "both"}, "--mode both"),
        ({"reads": "medium"}, "--reads medium"),
        ({"genomes": Path("x"), "strains": 1}, "--strains is for made-up genomes"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SimulateOptions(**options)  # type: ignore[arg-type]


def test_samples_sort_as_they_are_counted() -> None:
    names = SimulateOptions(samples=12).sample_names
    assert (names[0], names[-1]) == ("S01", "S12")
    assert sorted(names) == list(names)


def test_executable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    genomes = tmp_path / "genomes"
    genomes.mkdir()
    write_genome(genomes / "a.fa", 30_000)
    common = ["--genomes", str(genomes), "--samples", "1", "--presence", "1", "--depth", "30"]
    assert main([*common, "--out", str(out), "--seed", "3"]) == 0
    assert "1 genomes" in capsys.readouterr().err
    assert {r["genome"] for r in rows_of(out / "gold.tsv")} == {"a"}
    assert main([*common, "--out", str(out), "--depth", "-1"]) == 2
    assert "--depth -1.0: give a value" in capsys.readouterr().err
    assert main(["--genomes", str(tmp_path / "no"), "--out", str(out)]) == 3
    assert "no such folder" in capsys.readouterr().err


def test_executable_plants_the_bundled_markers(tmp_path: Path) -> None:
    out = tmp_path / "out"
    small = ["--n-genomes", "2", "--genome-size", "0.15", "0.15", "--samples", "1"]
    assert main([*small, "--out", str(out), "--write-genomes", "--quiet"]) == 0
    markers = Counter(r["marker"] for r in rows_of(out / "genes.tsv") if r["marker"])
    wanted = {name for group in bundled_profiles().sets["bacteria"] for name in group}
    assert markers == dict.fromkeys(wanted, 2)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom llmbin_tools.simulate import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


def test_profiles_without_effect_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o"
    assert main(["--genomes", str(tmp_path), "--profiles", "x.hmm", "--out", str(out)]) == 2
    assert "--profiles has no effect with --genomes" in capsys.readouterr().err
    assert not out.exists()
