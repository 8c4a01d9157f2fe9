process LLMBIN_RUN {
    tag "${meta.id}"
    label 'process_high'
    label 'process_gpu'

    conda "${task.accelerator ? "${moduleDir}/environment.gpu.yml" : "${moduleDir}/environment.yml"}"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(assemblies, stageAs: 'assemblies/?/*'), path(depths, stageAs: 'depths/?/*'), val(names)
    tuple val(meta2), path(model)

    output:
    tuple val(meta), path("${prefix}/bins/*.fa.gz"), optional: true, emit: bins
    tuple val(meta), path("${prefix}.unbinned.fa.gz"), emit: unbinned
    tuple val(meta), path("${prefix}.bins.tsv"), emit: table
    tuple val(meta), path("${prefix}.contig2bin.tsv"), emit: contig2bin
    tuple val(meta), path("${prefix}.contig2bin.dastool.tsv"), emit: contig2bin_dastool
    tuple val(meta), path("${prefix}.outliers.tsv"), emit: outliers
    tuple val(meta), path("${prefix}.samples.tsv"), optional: true, emit: samples
    tuple val(meta), path("${prefix}.model.safetensors"), optional: true, emit: model
    tuple val(meta), path("${prefix}/models/*.safetensors"), optional: true, emit: models
    tuple val(meta), path("${prefix}.training.tsv"), optional: true, emit: curve
    tuple val(meta), path("${prefix}.run.json"), emit: record
    tuple val(meta), path("${prefix}.report.html"), emit: report
    tuple val(meta), path("${prefix}.*_mqc.{tsv,json}"), emit: multiqc
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if (names && [names].flatten().size() != [depths].flatten().size()) {
        error("LLMBIN_RUN: give one name per alignment file, or none")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    // In multi-sample binning bins are named after their samples: ext.args2 = ''
    def bin_names = task.ext.args2 == null ? "--prefix ${prefix}" : task.ext.args2
    def device = task.accelerator ? 'cuda' : 'cpu'
    def aligned = [depths].flatten().every { file -> file.name.endsWith('.bam') || file.name.endsWith('.cram') }
    def kind = aligned ? '--bam' : '--depth-table'
    def named = names ? "--sample-names ${[names].flatten().join(' ')}" : ''
    def encoder = model ? "--model ${model}" : ''
    """
    llmbin run \\
        --contigs ${assemblies} \\
        ${kind} ${depths} \\
        ${named} \\
        ${encoder} \\
        ${bin_names} \\
        --gzip \\
        --device ${device} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}

    mv ${prefix}/unbinned.fa.gz ${prefix}.unbinned.fa.gz
    mv ${prefix}/bins.tsv ${prefix}.bins.tsv
    mv ${prefix}/contig2bin.tsv ${prefix}.contig2bin.tsv
    mv ${prefix}/contig2bin.dastool.tsv ${prefix}.contig2bin.dastool.tsv
    mv ${prefix}/run.json ${prefix}.run.json
    mv ${prefix}/report.html ${prefix}.report.html
    mv ${prefix}/outliers.tsv ${prefix}.outliers.tsv
    for file in ${prefix}/{samples.tsv,model.safetensors,training.tsv} ${prefix}/*_mqc.*; do
        if [ -e \${file} ]; then
            mv \${file} ${prefix}.\${file##*/}
        fi
    done
    """

    stub:
    if (names && [names].flatten().size() != [depths].flatten().size()) {
        error("LLMBIN_RUN: give one name per alignment file, or none")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    mkdir -p ${prefix}/bins ${prefix}/models
    touch ${prefix}/models/${prefix}.model.safetensors
    echo "" | gzip > ${prefix}/bins/${prefix}.001.fa.gz
    echo "" | gzip > ${prefix}.unbinned.fa.gz
    touch ${prefix}.bins.tsv
    touch ${prefix}.contig2bin.tsv
    touch ${prefix}.contig2bin.dastool.tsv
    touch ${prefix}.outliers.tsv
    touch ${prefix}.samples.tsv
    touch ${prefix}.model.safetensors
    touch ${prefix}.training.tsv
    touch ${prefix}.run.json
    touch ${prefix}.report.html
    touch ${prefix}.llmbin_statistics_mqc.tsv
    """
}
