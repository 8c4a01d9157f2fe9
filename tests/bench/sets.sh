#!/usr/bin/env bash
# Development sets beside the benchmark with four samples: reads, real assembly (MEGAHIT), real
# mapping (minimap2) and a gold standard, from held-out genomes. Needs megahit, minimap2, samtools
# and a python3 with numpy; about 70 minutes on 2 cores. Sets that are there are left alone.
#
#     tests/bench/sets.sh GENOMES OUT        GENOMES: folder of FASTA files, one per genome
#
# single  one sample of 0.6 Gbp
# multi   four samples of 0.25 Gbp, each assembled alone; contigs S1:..., S2:...
# low     four samples of 0.15 Gbp, assembled together
# ten     ten samples of 0.1 Gbp, assembled together
set -euo pipefail
simulate=${SIMULATE:-$(dirname "$0")/../../../shared/bench/simulate.py}
[ -f "$simulate" ] || { echo "$simulate: no such file; set SIMULATE to the simulator"; exit 2; }
genomes=$1 out=$2
mkdir -p "$out"
ls "$genomes"/*.fna > "$out/genomes.txt"

make_set() { # NAME SEED OPTIONS...
    local folder=$out/$1 seed=$2
    shift 2
    [ -e "$folder/gold.tsv" ] || python3 "$simulate" --genomes "$out/genomes.txt" --out "$folder" \
        --seed "$seed" "$@"
}

make_set multi 11 --samples 4 --gbp 0.25 --mode multi
make_set low 12 --samples 4 --gbp 0.15
make_set ten 13 --samples 10 --gbp 0.1
make_set single 14 --samples 1 --gbp 0.6
