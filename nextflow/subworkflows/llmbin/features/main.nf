//
// Features of contigs: coverage per alignment file, the rest per shard of the contigs, merged
//
include { LLMBIN_PREPARE                                } from '../../../modules/llmbin/prepare/main'
include { LLMBIN_COVERAGE                               } from '../../../modules/llmbin/coverage/main'
include { LLMBIN_COVERAGE as LLMBIN_COVERAGE_MERGE      } from '../../../modules/llmbin/coverage/main'
include { LLMBIN_COMPOSITION                            } from '../../../modules/llmbin/composition/main'
include { LLMBIN_COMPOSITION as LLMBIN_COMPOSITION_MERGE } from '../../../modules/llmbin/composition/main'
include { LLMBIN_EMBED                                  } from '../../../modules/llmbin/embed/main'
include { LLMBIN_EMBED as LLMBIN_EMBED_MERGE            } from '../../../modules/llmbin/embed/main'
include { LLMBIN_MARKERS                                } from '../../../modules/llmbin/markers/main'
include { LLMBIN_MARKERS as LLMBIN_MARKERS_MERGE        } from '../../../modules/llmbin/markers/main'

workflow LLMBIN_FEATURES {
    take:
    ch_assemblies // [ val(meta), [ path(assembly) ], [ val(name) ] ]; names are [] for one assembly
    ch_depths     // [ val(meta), val(sample), path(alignments or table) ]
    ch_reference  // [ val(meta2), path(fasta) ]; fasta is [] without CRAM files
    ch_glm        // [ val(meta2), path(folder) ]; folder is [] for the bundled gLM
    ch_profiles   // [ val(meta2), path(hmm), path(marker sets) ]; [] for the bundled ones
    n_shards      // val(integer)

    main:
    LLMBIN_PREPARE(ch_assemblies)
    ch_contigs = LLMBIN_PREPARE.out.contigs

    // The number of files is known beforehand, so that a sample is not held up by others.
    ch_counts = ch_depths
        .map { meta, sample, _file -> [meta, sample] }
        .groupTuple()
        .map { meta, samples -> [meta, samples.size()] }
    LLMBIN_COVERAGE(
        ch_contigs
            .combine(ch_depths, by: 0)
            .map { meta, contigs, sample, file -> [meta, contigs, file, sample] },
        ch_reference,
    )
    // Parts carry digests that the merge checks; it sorts samples by their names.
    LLMBIN_COVERAGE_MERGE(
        LLMBIN_COVERAGE.out.coverage
            .combine(ch_counts, by: 0)
            .map { meta, part, n_files -> [groupKey(meta, n_files), part] }
            .groupTuple()
            .map { key, parts -> [key.getGroupTarget(), [], parts, []] },
        [[id: 'none'], []],
    )

    // Tasks end in any order, parts are merged in that of the contigs.
    ch_shards = ch_contigs
        .combine(channel.fromList((1..n_shards).toList()))
        .map { meta, contigs, k -> [meta + [shard: k], contigs, n_shards > 1 ? "${k}/${n_shards}" : '', []] }
    LLMBIN_COMPOSITION(ch_shards)
    LLMBIN_EMBED(ch_shards, ch_glm)
    LLMBIN_MARKERS(ch_shards, ch_profiles)

    ch_composition_parts = LLMBIN_COMPOSITION.out.composition
        .map { meta, part -> [groupKey(meta - meta.subMap('shard'), n_shards), [meta.shard, part]] }
        .groupTuple()
        .map { key, parts -> [key.getGroupTarget(), parts.sort { a, b -> a[0] <=> b[0] }.collect { _k, part -> part }] }
        .branch { _meta, parts ->
            several: parts.size() > 1
            single: true
        }
    LLMBIN_COMPOSITION_MERGE(ch_composition_parts.several.map { meta, parts -> [meta, [], '', parts] })

    ch_embedding_parts = LLMBIN_EMBED.out.embedding
        .map { meta, part -> [groupKey(meta - meta.subMap('shard'), n_shards), [meta.shard, part]] }
        .groupTuple()
        .map { key, parts -> [key.getGroupTarget(), parts.sort { a, b -> a[0] <=> b[0] }.collect { _k, part -> part }] }
        .branch { _meta, parts ->
            several: parts.size() > 1
            single: true
        }
    LLMBIN_EMBED_MERGE(
        ch_embedding_parts.several.map { meta, parts -> [meta, [], '', parts] },
        [[id: 'none'], []],
    )

    ch_markers_parts = LLMBIN_MARKERS.out.markers
        .map { meta, part -> [groupKey(meta - meta.subMap('shard'), n_shards), [meta.shard, part]] }
        .groupTuple()
        .map { key, parts -> [key.getGroupTarget(), parts.sort { a, b -> a[0] <=> b[0] }.collect { _k, part -> part }] }
        .branch { _meta, parts ->
            several: parts.size() > 1
            single: true
        }
    LLMBIN_MARKERS_MERGE(
        ch_markers_parts.several.map { meta, parts -> [meta, [], '', parts] },
        [[id: 'none'], [], []],
    )

    ch_composition = LLMBIN_COMPOSITION_MERGE.out.composition.mix(
        ch_composition_parts.single.map { meta, parts -> [meta, parts[0]] }
    )
    ch_embedding = LLMBIN_EMBED_MERGE.out.embedding.mix(
        ch_embedding_parts.single.map { meta, parts -> [meta, parts[0]] }
    )
    ch_markers = LLMBIN_MARKERS_MERGE.out.markers.mix(
        ch_markers_parts.single.map { meta, parts -> [meta, parts[0]] }
    )
    // Every shard writes the same sets.
    ch_sets = LLMBIN_MARKERS.out.sets
        .filter { meta, _sets -> meta.shard == 1 }
        .map { meta, sets -> [meta - meta.subMap('shard'), sets] }

    emit:
    contigs       = ch_contigs // [ val(meta), path(fasta) ]
    contigs_table = LLMBIN_PREPARE.out.table // [ val(meta), path(tsv) ]
    coverage      = LLMBIN_COVERAGE_MERGE.out.coverage // [ val(meta), path(safetensors) ]
    composition   = ch_composition // [ val(meta), path(safetensors) ]
    embedding     = ch_embedding // [ val(meta), path(safetensors) ]
    markers       = ch_markers // [ val(meta), path(tsv) ]
    sets          = ch_sets // [ val(meta), path(json) ]
}
