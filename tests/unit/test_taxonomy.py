"""Species of contigs from the tables of classifiers; the lines follow the manuals of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmbin_core.contigs import ContigTable
from llmbin_core.encoder.taxonomy import number_species, read_taxonomy
from llmbin_core.errors import InputError

TABLES = {
    "mmseqs contigs with lineage": (
        "a\t562\tspecies\tEscherichia coli\t9\t8\t7\t0.91\td_Bacteria;s_Escherichia coli\n"
        "b\t511145\tno rank\tEscherichia coli K-12\t9\t8\t7\t0.8\td_Bacteria;s_Escherichia coli\n"
        "c\t561\tgenus\tEscherichia\t9\t8\t7\t0.9\td_Bacteria;g_Escherichia\n"
        "d\t1280\tspecies\tStaph aureus\t9\t8\t3\t0.3\td_Bacteria;s_Staph aureus\n"
        "e\t0\tno rank\tunclassified\t0\t0\t0\t0.0\t\n",
        {"a": "Escherichia coli", "b": "Escherichia coli"},
    ),
    "mmseqs of sequences": (
        "a\t562\tspecies\tEscherichia coli\nb\t561\tgenus\tEscherichia\n",
        {"a": "Escherichia coli"},
    ),
    "cat contigs": (
        "# contig\tclassification\treason\tlineage\tlineage scores\tsuperkingdom\tphylum\tspecies\n"
        "a\ttaxid assigned\t5/5 ORFs\t1;2;562\t1;1;.9\tB: 1.00\tx: 1.0\tE coli: 0.90\n"
        "b\ttaxid assigned\t5/5 ORFs\t1;2;562\t1;1;.3\tB: 1.00\tx: 1.0\tE coli: 0.30\n"
        "c\ttaxid assigned\t5/5 ORFs\t1;2;562*\t1;1;.9\tBacteria\tx\tE coli*: 0.90\n"
        "d\ttaxid assigned\t5/5 ORFs\t1;2\t1;1\tBacteria: 1.00\tno support\tno support\n"
        "e\tno taxid assigned\tno hits to database\n"
        "f\ttaxid assigned (1/2)\tx\t1\t1\tB: 1.0\tx: 1.0\tE coli: 0.60\n"
        "f\ttaxid assigned (2/2)\tx\t1\t1\tB: 1.0\tx: 1.0\tS aureus: 0.60\n",
        {"a": "E coli"},
    ),
    "cat genes": (
        "# ORF\tnumber of hits\tlineage\ttop bit-score\tsuperkingdom\tspecies\n"
        "k_1_1\t3\t1;562\t99\tBacteria\tE coli\n"
        "k_1_2\t3\t1;562\t99\tBacteria\tE coli\n"
        "k_1_3\t3\t1;1280\t99\tBacteria\tS aureus\n"
        "k_2_1\t3\t1;562\t99\tBacteria\tE coli\n"
        "k_2_2\t3\t1;1280\t99\tBacteria\tS aureus\n"
        "k_3_1\tORF has no hit to database\n",
        {"k_1": "E coli"},
    ),
    "gtdb": (
        "contig\tclassification\n"
        "a\td__Bacteria;p__Pseudomonadota;g__Escherichia;s__Escherichia coli\n"
        "b\td__Bacteria;p__Pseudomonadota;g__Escherichia;s__\n"
        "c\tUnclassified Bacteria\n",
        {"a": "Escherichia coli"},
    ),
    "kraken": (
        "C\ta\tEscherichia coli (taxid 562)\t1000\t562:80 561:10 0:500 A:3\n"
        "C\tb\tEscherichia (taxid 561)\t1000\t561:80\n"
        "C\tc\tEscherichia coli K-12 (taxid 83333)\t1000|900\t83333:80 |:| 562:10\n"
        "C\td\tPseudomonas sp. ABC1 (taxid 7)\t1000\t7:9\n"
        "C\te\tEscherichia coli (taxid 562)\t1000\t562:20 561:30\n"
        "C\tf\tcellular organisms (taxid 131567)\t1000\t131567:9\n"
        "U\tg\tunclassified (taxid 0)\t1000\t0:966\n",
        {"a": "Escherichia coli", "c": "Escherichia coli", "d": "Pseudomonas sp. ABC1"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_species_known_with_confidence(table: str, tmp_path: Path) -> None:
    text, species = TABLES[table]
    path = tmp_path / "t.tsv"
    path.write_text(text)
    assert read_taxonomy(path) == species
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert read_taxonomy(path) == species


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("name\tvalue\n1\t2\n", "line 1: not a known table of taxonomy"),
        (
            "# contig\tclassification\treason\tlineage\tlineage scores\n",
            "line 1: a table of CAT wit",
        ),
        ("a\td__Bacteria;s__x y\n\nb\tBacteria\n", "line 3: 'Bacteria' is no lineage"),
        ("a\td__Bacteria;s__x y\nb\n", "line 2: 1 column"),
        ("C\ta\t562\t9\t562:1\n", "line 1: taxon '562' has no name, .* --use-names"),
        ("C\ta\tX y (taxid 5)\t9\t5\n", "line 1: '5' is no count"),
        ("C\ta\tX y (taxid 5)\t9\t5:1\nC\tb\n", "line 2: an output line of Kraken 2 has 5 columns"),
        ("a\t5\tspecies\tX y\nb\t5\n", "line 2: 2 columns"),
        ("a\t5\tspecies\tX y\t1\t1\t1\tmuch\n", "line 1: support 'much' is no number"),
        ("a\t5\tspecies\tX y\n\xff\n".encode("latin-1"), "line 2 is no text"),
    ],
)
def test_malformed_tables_are_refused_with_their_line(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=f"t.tsv: .*{message}|t.tsv: {message}"):
        read_taxonomy(path)


# Names of the NCBI taxonomy; their ranks as it gives them.
NAMES = {
    "Escherichia coli": "Escherichia coli",
    "Escherichia coli O157:H7 str. Sakai": "Escherichia coli",
    "Salmonella enterica subsp. enterica serovar Typhi": "Salmonella enterica",
    "[Clostridium] scindens": "[Clostridium] scindens",
    "[Clostridium] scindens ATCC 35704": "[Clostridium] scindens",
    "Candidatus Pelagibacter ubique HTCC1062": "Candidatus Pelagibacter ubique",
    "Xanthomonas campestris pv. campestris": "Xanthomonas campestris",
    "Dermatophagoides pteronyssinus": "Dermatophagoides pteronyssinus",
    "Firmicutes bacterium CAG:110": "Firmicutes bacterium CAG:110",
    "Bacteroidales bacterium X1": "Bacteroidales bacterium X1",
    "Terrabacteria group": None,  # clade
    "FCB group": None,  # clade
    "Bacteria incertae sedis": None,  # no rank
    "Bacillus cereus group": None,  # species group
    "Enterobacter cloacae complex": None,  # species group
    "Mycobacterium tuberculosis complex": None,  # species group
    "Bacillus subtilis subgroup": None,  # species subgroup
    "Bacillus cereus group sp. MS39": None,  # a species, but which one
    "Escherichia phage T4": None,
    "Escherichia virus Lambda": None,
    "Human gammaherpesvirus 4": None,
    "Wolbachia endosymbiont of Culex": None,
    "Nostoc cf. verrucosum": None,
    "Bacteroidales oral taxon 274": None,
    "Clostridiales Family XVII. Incertae Sedis": None,
    "Enterobacteriaceae incertae sedis": None,
    "Pseudomonas sp.": None,
    "Bacteria candidate phyla": None,
    "cellular organisms": None,
    "unclassified Bacillus": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_kraken_that_are_species(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(f"C\ta\t{name} (taxid 5)\t1000\t5:80\n")
    species = NAMES[name]
    assert read_taxonomy(path) == ({} if species is None else {"a": species})


def test_numbers_of_species() -> None:
    table = ContigTable(("a", "b", "c"), np.array([1, 1, 1]))
    assert number_species(table, {"a": "y", "c": "x", "other": "z"}).tolist() == [1, -1, 0]
