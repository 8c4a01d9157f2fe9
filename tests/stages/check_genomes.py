"""Ends with 1 unless every genome of an evaluation came back whole and clean."""

import csv
import sys

with open(sys.argv[1], newline="") as handle:
    rows = list(csv.DictReader(handle, delimiter="\t"))
bad = [r for r in rows if not (float(r["completeness_bp"]) > 0.9 and float(r["purity_bp"]) > 0.95)]
for row in bad:
    print(row["genome"], row["completeness_bp"], row["purity_bp"])
print(f"{len(rows) - len(bad)} of {len(rows)} genomes")
sys.exit(bool(bad) or not rows)
