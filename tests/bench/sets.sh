#!/usr/bin/env bash
# Development sets beside the benchmark with four samples: reads, real assembly (MEGAHIT), real
# mapping (minimap2) and a gold standard, from held-out genomes. Needs megahit, minimap2, samtools
# and a python3 with numpy; an hour on 2 cores. Sets that are there are left alone. Three of them have
# half of the genomes, every second one, so that an assembly takes minutes.
#
#     tests/bench/sets.sh GENOMES OUT        GENOMES: folder of FASTA files, one per genome
#
# single  one sample of 0.3 Gbp, odd genomes: one deep genome, and little of some others
# ten     ten samples of 0.04 Gbp assembled together, even genomes
# multi   four samples of 0.12 Gbp, odd genomes, each assembled alone; contigs S1:..., S2:...
# low     four samples of 0.15 Gbp assembled together, all genomes
# cohort  four samples of 0.35 Gbp, odd genomes, each assembled alone and its reads mapped to that: a
#         folder for each sample, S1 ... S4, for cohort.py
set -euo pipefail
simulate=${SIMULATE:-$(dirname "$0")/../../../shared/bench/simulate.py}
[ -f "$simulate" ] || { echo "$simulate: no such file; set SIMULATE to the simulator"; exit 2; }
genomes=$1 out=$2
mkdir -p "$out"
ls "$genomes"/*.fna > "$out/all.txt"
awk 'NR % 2 == 1' "$out/all.txt" > "$out/odd.txt"
awk 'NR % 2 == 0' "$out/all.txt" > "$out/even.txt"

make_set() { # NAME GENOMES SEED OPTIONS...
    local folder=$out/$1 list=$out/$2.txt seed=$3
    shift 3
    [ -e "$folder/gold.tsv" ] || python3 "$simulate" --genomes "$list" --out "$folder" \
        --seed "$seed" "$@"
}

make_set single odd 14 --samples 1 --gbp 0.3
make_set ten even 13 --samples 10 --gbp 0.04
make_set multi odd 11 --samples 4 --gbp 0.12 --mode multi
make_set low all 12 --samples 4 --gbp 0.15
make_set cohort odd 21 --samples 4 --gbp 0.35 --mode multi --keep-reads

for sample in 1 2 3 4; do
    folder=$out/cohort/S$sample
    [ -e "$folder/S$sample.bam.bai" ] && continue
    mkdir -p "$folder"
    awk -v own=">S$sample:" '/^>/ { keep = index($0, own) == 1 } keep' \
        "$out/cohort/contigs.fasta" > "$folder/contigs.fasta"
    awk -v own="S$sample:" 'NR == 1 || index($1, own) == 1' "$out/cohort/gold.tsv" > "$folder/gold.tsv"
    minimap2 -ax sr -t 2 "$folder/contigs.fasta" "$out/cohort/reads_$sample.fq.gz" |
        samtools sort -o "$folder/S$sample.bam" -
    samtools index "$folder/S$sample.bam"
done
