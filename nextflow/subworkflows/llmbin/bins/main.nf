//
// Bins from features: a model for each set of contigs, for each sample of it, or one that is given; then
// encode, cluster and bin, sample by sample where the contigs of a set are of several
//
include { LLMBIN_TRAIN                           } from '../../../modules/llmbin/train/main'
include { LLMBIN_ENCODE                          } from '../../../modules/llmbin/encode/main'
include { LLMBIN_ENCODE as LLMBIN_ENCODE_MERGE   } from '../../../modules/llmbin/encode/main'
include { LLMBIN_CLUSTER                         } from '../../../modules/llmbin/cluster/main'
include { LLMBIN_CLUSTER as LLMBIN_CLUSTER_MERGE } from '../../../modules/llmbin/cluster/main'
include { LLMBIN_BIN                             } from '../../../modules/llmbin/bin/main'
include { LLMBIN_BIN as LLMBIN_BIN_MERGE         } from '../../../modules/llmbin/bin/main'
include { LLMBIN_REPORT                          } from '../../../modules/llmbin/report/main'

// Samples that the contigs are of: all that have a contig; '' for one set that is binned as a whole
def samplesOf(meta, table) {
    if (!meta.multi) {
        return ['']
    }
    def found = table.splitCsv(header: true, sep: '\t').collect { row -> row.sample }.unique().sort()
    // The table of a stub is empty.
    return found ?: meta.samples
}

// Without the key of the sample: the set of contigs that a task belongs to
def setOf(meta) {
    return meta - meta.subMap('sample')
}

// Results of samples, as [meta of the set, results in the order of their samples]
def gather(ch_results, ch_counts) {
    return ch_results
        .map { meta, result -> [setOf(meta), meta.sample, result] }
        .combine(ch_counts, by: 0)
        .map { meta, sample, result, n_samples -> [groupKey(meta, n_samples), [sample, result]] }
        .groupTuple()
        .map { key, pairs -> [key.getGroupTarget(), pairs.sort { a, b -> a[0] <=> b[0] }.collect { pair -> pair[1] }] }
}

workflow LLMBIN_BINS {
    take:
    ch_contigs       // [ val(meta), path(fasta) ]; meta.multi, meta.samples: samples are binned apart
    ch_contigs_table // [ val(meta), path(tsv) ]
    ch_composition   // [ val(meta), path(safetensors) ]
    ch_coverage      // [ val(meta), path(safetensors) ]
    ch_embedding     // [ val(meta), path(safetensors) ]
    ch_markers       // [ val(meta), path(tsv) ]
    ch_sets          // [ val(meta), path(json) ]
    train_on         // val(string): each (own model), sample (one for each sample), none (model given), or ids (one model for all)
    ch_model         // [ val(meta2), path(model) ]; used with none

    main:
    ch_features = ch_composition
        .join(ch_coverage, failOnMismatch: true)
        .join(ch_embedding, failOnMismatch: true)
        .map { meta, composition, coverage, embedding -> [meta, [composition, coverage, embedding]] }

    // One task for each sample of a set whose samples are binned apart, one for every other set.
    ch_samples = ch_contigs_table.map { meta, table -> [meta, samplesOf(meta, table)] }
    ch_counts = ch_samples.map { meta, samples -> [meta, samples.size()] }
    ch_tasks = ch_samples
        .transpose()
        .map { meta, sample -> [meta, sample ? meta + [sample: sample] : meta] }

    ch_training = channel.empty()
    if (train_on == 'each') {
        ch_training = ch_features.map { meta, files -> [meta, files, ''] }
    }
    else if (train_on == 'sample') {
        ch_training = ch_features
            .combine(ch_tasks, by: 0)
            .map { _set, files, meta -> [meta, files, meta.sample ?: ''] }
    }
    else if (train_on != 'none') {
        def ids = train_on.tokenize(',').sort()
        // Sets of contigs in the order of their names, whichever is ready first.
        ch_training = ch_features
            .filter { meta, _files -> meta.id in ids }
            .toSortedList { a, b -> a[0].id <=> b[0].id }
            .map { rows ->
                def found = rows.collect { row -> row[0].id }
                if (found != ids) {
                    error("--train_on names ${ids.join(', ')}; of these there are: ${found.join(', ') ?: 'none'}")
                }
                [[id: 'trained', multi: rows[0][0].multi], rows.collectMany { row -> row[1] }, '']
            }
    }
    LLMBIN_TRAIN(ch_training)

    // [ set, task, model ]
    ch_models = channel.empty()
    if (train_on == 'each') {
        ch_models = ch_tasks.combine(LLMBIN_TRAIN.out.model, by: 0)
    }
    else if (train_on == 'sample') {
        ch_models = LLMBIN_TRAIN.out.model.map { meta, model -> [setOf(meta), meta, model] }
    }
    else if (train_on == 'none') {
        ch_models = ch_tasks.combine(ch_model.map { _meta2, model -> [model] })
    }
    else {
        ch_models = ch_tasks.combine(LLMBIN_TRAIN.out.model.map { _meta, model -> model })
    }
    ch_encode = ch_models
        .combine(ch_features, by: 0)
        .multiMap { _set, meta, model, files ->
            features: [meta, files, meta.sample ?: '', []]
            model: [[id: 'model'], model]
        }
    LLMBIN_ENCODE(ch_encode.features, ch_encode.model)

    // Merges check that the parts belong together, by digests.
    ch_encoded = LLMBIN_ENCODE.out.latent.branch { meta, _latent ->
        part: meta.sample
        whole: true
    }
    LLMBIN_ENCODE_MERGE(
        gather(ch_encoded.part, ch_counts)
            .join(ch_composition)
            .map { meta, parts, composition -> [meta, composition, '', parts] },
        [[id: 'none'], []],
    )
    ch_latent = ch_encoded.whole.mix(LLMBIN_ENCODE_MERGE.out.latent)

    LLMBIN_CLUSTER(
        ch_tasks
            .combine(ch_latent.join(ch_markers), by: 0)
            .map { _set, meta, latent, markers -> [meta, latent, markers, meta.sample ?: '', []] }
    )
    ch_clustered = LLMBIN_CLUSTER.out.partitions.branch { meta, _partitions ->
        part: meta.sample
        whole: true
    }
    LLMBIN_CLUSTER_MERGE(
        gather(ch_clustered.part, ch_counts)
            .join(ch_latent)
            .map { meta, parts, latent -> [meta, latent, [], '', parts] }
    )
    ch_partitions = ch_clustered.whole.mix(LLMBIN_CLUSTER_MERGE.out.partitions)

    LLMBIN_BIN(
        LLMBIN_CLUSTER.out.partitions
            .map { meta, partitions -> [setOf(meta), meta, partitions] }
            .combine(ch_markers.join(ch_sets).join(ch_contigs).join(ch_coverage).join(ch_latent), by: 0)
            .map { _set, meta, partitions, markers, sets, contigs, coverage, latent ->
                [meta, partitions, markers, sets, contigs, coverage, latent, meta.sample ?: '', []]
            }
    )
    LLMBIN_BIN_MERGE(
        gather(LLMBIN_BIN.out.folder.filter { meta, _folder -> meta.sample }, ch_counts)
            .join(ch_contigs)
            .map { meta, parts, contigs -> [meta, [], [], [], contigs, [], [], '', parts] }
    )

    ch_bins = LLMBIN_BIN.out.bins.filter { meta, _files -> !meta.sample }.mix(LLMBIN_BIN_MERGE.out.bins)
    ch_unbinned = LLMBIN_BIN.out.unbinned.filter { meta, _file -> !meta.sample }.mix(LLMBIN_BIN_MERGE.out.unbinned)
    ch_table = LLMBIN_BIN.out.table.filter { meta, _file -> !meta.sample }.mix(LLMBIN_BIN_MERGE.out.table)
    ch_contig2bin = LLMBIN_BIN.out.contig2bin.filter { meta, _file -> !meta.sample }.mix(LLMBIN_BIN_MERGE.out.contig2bin)
    ch_dastool = LLMBIN_BIN.out.contig2bin_dastool.filter { meta, _file -> !meta.sample }.mix(LLMBIN_BIN_MERGE.out.contig2bin_dastool)
    ch_outliers = LLMBIN_BIN.out.outliers.filter { meta, _file -> !meta.sample }.mix(LLMBIN_BIN_MERGE.out.outliers)

    ch_curve = train_on == 'each'
        ? LLMBIN_TRAIN.out.curve
        : ch_table.map { meta, _table -> [meta, []] }
    LLMBIN_REPORT(
        ch_table
            .join(ch_contig2bin)
            .join(ch_contigs_table)
            .join(ch_coverage)
            .join(ch_latent)
            .join(ch_partitions)
            .join(ch_markers)
            .join(ch_sets)
            .join(ch_curve)
    )

    emit:
    bins       = ch_bins // [ val(meta), [ path(fa.gz) ] ]
    unbinned   = ch_unbinned // [ val(meta), path(fa.gz) ]
    table      = ch_table // [ val(meta), path(tsv) ]
    contig2bin = ch_contig2bin // [ val(meta), path(tsv) ]
    dastool    = ch_dastool // [ val(meta), path(tsv) ]
    outliers   = ch_outliers // [ val(meta), path(tsv) ]
    samples    = LLMBIN_BIN_MERGE.out.samples // [ val(meta), path(tsv) ]; of sets whose samples are binned apart
    model      = LLMBIN_TRAIN.out.model // [ val(meta), path(safetensors) ]
    latent     = ch_latent // [ val(meta), path(safetensors) ]
    partitions = ch_partitions // [ val(meta), path(safetensors) ]
    report     = LLMBIN_REPORT.out.report // [ val(meta), path(html) ]
    multiqc    = LLMBIN_REPORT.out.multiqc // [ val(meta), [ path(mqc) ] ]
}
