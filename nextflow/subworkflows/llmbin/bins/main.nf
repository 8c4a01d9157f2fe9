//
// Bins from features: a model for each set of contigs, or one that is given, then encode, cluster, bin
//
include { LLMBIN_TRAIN   } from '../../../modules/llmbin/train/main'
include { LLMBIN_ENCODE  } from '../../../modules/llmbin/encode/main'
include { LLMBIN_CLUSTER } from '../../../modules/llmbin/cluster/main'
include { LLMBIN_BIN     } from '../../../modules/llmbin/bin/main'
include { LLMBIN_REPORT  } from '../../../modules/llmbin/report/main'

workflow LLMBIN_BINS {
    take:
    ch_contigs       // [ val(meta), path(fasta) ]
    ch_contigs_table // [ val(meta), path(tsv) ]
    ch_composition   // [ val(meta), path(safetensors) ]
    ch_coverage      // [ val(meta), path(safetensors) ]
    ch_embedding     // [ val(meta), path(safetensors) ]
    ch_markers       // [ val(meta), path(tsv) ]
    ch_sets          // [ val(meta), path(json) ]
    train_on         // val(string): each (own model), none (model given), or ids (one model for all)
    ch_model         // [ val(meta2), path(model) ]; used with none

    main:
    ch_features = ch_composition
        .join(ch_coverage, failOnMismatch: true)
        .join(ch_embedding, failOnMismatch: true)
        .map { meta, composition, coverage, embedding -> [meta, [composition, coverage, embedding]] }

    ch_training = channel.empty()
    if (train_on == 'each') {
        ch_training = ch_features
    }
    else if (train_on != 'none') {
        def ids = train_on.tokenize(',')
        // Sets of contigs in the order of their names, whichever is ready first.
        ch_training = ch_features
            .filter { meta, _files -> meta.id in ids }
            .toSortedList { a, b -> a[0].id <=> b[0].id }
            .filter { rows -> rows.size() > 0 }
            .map { rows ->
                if (rows.size() != ids.size()) {
                    error("--train_on names ${ids.join(', ')}, but there are only ${rows.collect { row -> row[0].id }.join(', ')}")
                }
                [[id: 'trained'], rows.collectMany { row -> row[1] }]
            }
    }
    LLMBIN_TRAIN(ch_training)

    ch_to_encode = channel.empty()
    if (train_on == 'each') {
        ch_to_encode = ch_features.join(LLMBIN_TRAIN.out.model)
    }
    else if (train_on == 'none') {
        ch_to_encode = ch_features.combine(ch_model.map { _meta2, model -> [model] })
    }
    else {
        ch_to_encode = ch_features.combine(LLMBIN_TRAIN.out.model.map { _meta, model -> model })
    }
    ch_encode = ch_to_encode.multiMap { meta, files, model ->
        features: [meta, files]
        model: [[id: 'model'], model]
    }
    LLMBIN_ENCODE(ch_encode.features, ch_encode.model)

    LLMBIN_CLUSTER(LLMBIN_ENCODE.out.latent.join(ch_markers))

    LLMBIN_BIN(
        LLMBIN_CLUSTER.out.partitions
            .join(ch_markers)
            .join(ch_sets)
            .join(ch_contigs)
            .join(ch_coverage)
    )

    ch_curve = train_on == 'each'
        ? LLMBIN_TRAIN.out.curve
        : LLMBIN_ENCODE.out.latent.map { meta, _latent -> [meta, []] }
    LLMBIN_REPORT(
        LLMBIN_BIN.out.table
            .join(LLMBIN_BIN.out.contig2bin)
            .join(ch_contigs_table)
            .join(ch_coverage)
            .join(LLMBIN_ENCODE.out.latent)
            .join(LLMBIN_CLUSTER.out.partitions)
            .join(ch_markers)
            .join(ch_sets)
            .join(ch_curve)
    )

    emit:
    bins       = LLMBIN_BIN.out.bins // [ val(meta), [ path(fa.gz) ] ]
    unbinned   = LLMBIN_BIN.out.unbinned // [ val(meta), path(fa.gz) ]
    table      = LLMBIN_BIN.out.table // [ val(meta), path(tsv) ]
    contig2bin = LLMBIN_BIN.out.contig2bin // [ val(meta), path(tsv) ]
    dastool    = LLMBIN_BIN.out.contig2bin_dastool // [ val(meta), path(tsv) ]
    model      = LLMBIN_TRAIN.out.model // [ val(meta), path(safetensors) ]
    report     = LLMBIN_REPORT.out.report // [ val(meta), path(html) ]
    multiqc    = LLMBIN_REPORT.out.multiqc // [ val(meta), [ path(mqc) ] ]
}
