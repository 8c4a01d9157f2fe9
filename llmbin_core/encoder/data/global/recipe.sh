#!/usr/bin/env bash
# Makes the encoder `global`: recipe.sh GENOMES OUT
#
# GENOMES: folder of FASTA files, one genome each. OUT: folder to work in; OUT/model.safetensors is
# the result. Needs the executables of LLMBin on PATH; half an hour on 2 cores.
set -euo pipefail

genomes=$1 out=$2
samples=()
# Samples of one sequencing run each, drawn anew from the genomes, from shallow to deep.
for seed in 1 2 3 4 5 6 7 8; do
  sample=$out/s$seed
  llmbin-simulate --genomes "$genomes" --n-genomes 32 --samples 1 --depth $((3 + seed)) --depth-spread 1 \
    --seed "$seed" --out "$sample"
  llmbin-composition --contigs "$sample/contigs.fasta.gz" --out "$sample/composition.safetensors"
  llmbin-coverage --contigs "$sample/contigs.fasta.gz" --bam "$sample/S1.bam" --out "$sample/coverage.safetensors"
  llmbin-embed --contigs "$sample/contigs.fasta.gz" --out "$sample/embedding.safetensors"
  rm "$sample"/S1.bam*
  samples+=("$sample")
done
llmbin-train --features "${samples[@]}" --half --curve "$out/training.tsv" \
  --out "$out/model.safetensors"
