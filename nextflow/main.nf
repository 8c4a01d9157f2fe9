#!/usr/bin/env nextflow
//
// LLMBin: genomes from metagenomes; contigs and alignments -> bins
//
include { LLMBIN_FEATURES } from './subworkflows/llmbin/features/main'
include { LLMBIN_BINS     } from './subworkflows/llmbin/bins/main'
include { LLMBIN_RUN      } from './modules/llmbin/run/main'
include { MULTIQC         } from './modules/local/multiqc/main'

// Rows [id, sample, assembly, depths] of the table of samples, or of --contigs and --bams
def readRows(input, contigs, bams) {
    if (input && (contigs || bams)) {
        error("--input and --contigs/--bams exclude each other; give one of them")
    }
    if (input) {
        def table = file(input, checkIfExists: true)
        def rows = table.splitCsv(header: true, sep: table.name.endsWith('.tsv') ? '\t' : ',', strip: true)
        return rows.withIndex().collect { row, index -> readRow(row, index + 2, table) }
    }
    if (!contigs || !bams) {
        error("give --input SAMPLESHEET, or --contigs FASTA and --bams 'GLOB'")
    }
    def assembly = file(contigs, checkIfExists: true)
    def found = files(bams, checkIfExists: true)
    return found.collect { bam -> [assembly.simpleName, bam.simpleName, assembly, bam] }
}

def readRow(row, line, table) {
    ['sample', 'assembly', 'bam'].each { column ->
        if (!row[column]) {
            error("${table}, line ${line}: no value for '${column}'; columns are sample, assembly, bam and, where wanted, group")
        }
    }
    [row.sample, row.group ?: row.sample].each { name ->
        if (!(name ==~ /[A-Za-z0-9][A-Za-z0-9._-]*/)) {
            error("${table}, line ${line}: '${name}' cannot name a sample; use letters, digits, '.', '_' and '-'")
        }
    }
    if (!(row.bam ==~ /.+\.(bam|cram|tsv|txt)/)) {
        error("${table}, line ${line}: '${row.bam}' is no alignment or table of depths; its name has to end in .bam, .cram, .tsv or .txt")
    }
    // Paths are relative to where the pipeline was started, or absolute.
    return [row.group ?: row.sample, row.sample, file(row.assembly, checkIfExists: true), file(row.bam, checkIfExists: true)]
}

// One set of contigs: [meta, assemblies, names, [[sample, depths]]]
def readSet(id, rows) {
    def doubled = rows.countBy { row -> row[1] }.findAll { _sample, count -> count > 1 }.keySet()
    if (doubled) {
        error("group '${id}' has sample ${doubled.join(', ')} more than once; give a row per sample")
    }
    def sorted = rows.sort(false) { row -> row[1] }
    def assemblies = sorted.collect { row -> row[2] }.unique()
    if (assemblies.size() > 1 && assemblies.size() != sorted.size()) {
        error("group '${id}' has ${sorted.size()} samples and ${assemblies.size()} assemblies; give one assembly for all of them (co-assembly) or one for each (multi-sample)")
    }
    def multi = assemblies.size() > 1
    def names = multi ? sorted.collect { row -> row[1] } : []
    // Which file is whose counts for -resume: lists of files do not tell their order apart.
    def origin = sorted.collect { row -> "${row[1]}=${row[2].toUriString()},${row[3].toUriString()}".toString() }
    def meta = [id: id, multi: multi, samples: sorted.collect { row -> row[1] }, origin: origin]
    return [meta, assemblies, names, sorted.collect { row -> [row[1], row[3]] }]
}

// What a stage file says of itself: stage, version, options, random seed, digests of its inputs.
// The head of a safetensors file is its own length in eight bytes, then JSON.
def provenanceOf(path) {
    if (path.size() < 8) {
        return [:]
    }
    return path.withInputStream { stream ->
        def length = java.nio.ByteBuffer.wrap(stream.readNBytes(8)).order(java.nio.ByteOrder.LITTLE_ENDIAN).getLong()
        def head = new groovy.json.JsonSlurper().parseText(new String(stream.readNBytes(length.intValue()), 'UTF-8'))
        new groovy.json.JsonSlurper().parseText(head.__metadata__.llmbin)
    }
}

def optionalFile(path) {
    return path ? file(path, checkIfExists: true) : []
}

workflow {
    main:
    if (!params.outdir) {
        error("give --outdir FOLDER")
    }
    if ([params.model, params.model_name, params.train_on, params.model_per_sample].count { given -> given } > 1) {
        error("--model, --model_name, --train_on and --model_per_sample exclude each other; give one of them, or none to train on each set of contigs")
    }
    def sets = readRows(params.input, params.contigs, params.bams).groupBy { row -> row[0] }.collect { id, rows -> readSet(id, rows) }
    if (!sets) {
        error("there is no sample: ${params.input ?: params.bams} names none")
    }
    if ("${params.shards}".toInteger() < 1) {
        error("--shards ${params.shards}: give 1 or more")
    }
    def unknown = params.train_on ? params.train_on.tokenize(',') - sets.collect { row -> row[0].id } : []
    if (unknown) {
        error("--train_on names ${unknown.join(', ')}, but the groups are ${sets.collect { row -> row[0].id }.join(', ')}")
    }
    def model = [[id: 'model'], optionalFile(params.model)]
    ch_sets = channel.fromList(sets)

    if (params.one_process) {
        if (params.train_on) {
            error("--train_on needs the stages apart; leave out --one_process")
        }
        LLMBIN_RUN(
            ch_sets.map { meta, assemblies, _names, depths -> [meta, assemblies, depths.collect { _sample, path -> path }, meta.samples] },
            model,
        )
        ch_multiqc = LLMBIN_RUN.out.multiqc
    }
    else {
        LLMBIN_FEATURES(
            ch_sets.map { meta, assemblies, names, _depths -> [meta, assemblies, names] },
            ch_sets.flatMap { meta, _assemblies, _names, depths -> depths.collect { sample, path -> [meta, sample, path] } },
            [[id: 'reference'], optionalFile(params.reference)],
            [[id: 'glm'], optionalFile(params.glm)],
            [[id: 'profiles'], optionalFile(params.profiles), optionalFile(params.marker_sets)],
            params.shards,
        )
        LLMBIN_BINS(
            LLMBIN_FEATURES.out.contigs,
            LLMBIN_FEATURES.out.contigs_table,
            LLMBIN_FEATURES.out.composition,
            LLMBIN_FEATURES.out.coverage,
            LLMBIN_FEATURES.out.embedding,
            LLMBIN_FEATURES.out.markers,
            LLMBIN_FEATURES.out.sets,
            params.model || params.model_name ? 'none' : params.train_on ?: params.model_per_sample ? 'sample' : 'each',
            channel.value(model),
        )
        LLMBIN_FEATURES.out.composition
            .mix(LLMBIN_FEATURES.out.coverage, LLMBIN_FEATURES.out.embedding, LLMBIN_BINS.out.latent, LLMBIN_BINS.out.partitions)
            .map { meta, path -> ["${meta.id}.provenance.jsonl", groovy.json.JsonOutput.toJson([file: path.name, provenance: provenanceOf(path)])] }
            .collectFile(storeDir: "${params.outdir}/pipeline_info", newLine: true, sort: true)
        ch_multiqc = LLMBIN_BINS.out.multiqc
    }

    if (!params.skip_multiqc) {
        MULTIQC(ch_multiqc.map { _meta, found -> found }.flatten().toSortedList().filter { found -> found.size() > 0 })
    }

    channel.topic('versions')
        .unique()
        .map { process, tool, version -> "${process.tokenize(':').last()}\t${tool}\t${version}" }
        .unique()
        .collectFile(name: 'versions.tsv', storeDir: "${params.outdir}/pipeline_info", newLine: true, sort: true)
}
