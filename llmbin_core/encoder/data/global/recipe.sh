#!/usr/bin/env bash
# Makes the encoder `global`: recipe.sh GENOMES OUT
#
# GENOMES: folder of FASTA files, one genome each. OUT: folder to work in; OUT/model.safetensors is
# the result. Needs the executables of LLMBin on PATH; minutes on 2 cores.
set -euo pipefail

genomes=$1 out=$2
samples=()
# Four samples of one sequencing run each, drawn anew from the genomes.
for seed in 1 2 3 4; do
  sample=$out/s$seed
  llmbin-simulate --genomes "$genomes" --n-genomes 12 --samples 1 --depth 10 --seed "$seed" --out "$sample"
  llmbin-composition --contigs "$sample/contigs.fasta.gz" --out "$sample/composition.safetensors"
  llmbin-coverage --contigs "$sample/contigs.fasta.gz" --bam "$sample/S1.bam" --out "$sample/coverage.safetensors"
  llmbin-embed --contigs "$sample/contigs.fasta.gz" --out "$sample/embedding.safetensors"
  rm "$sample"/S1.bam*
  samples+=("$sample")
done
llmbin-train --features "${samples[@]}" --width 256 --epochs 8 --batch-size 512 --half \
  --curve "$out/training.tsv" --out "$out/model.safetensors"
