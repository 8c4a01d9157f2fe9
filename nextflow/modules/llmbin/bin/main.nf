process LLMBIN_BIN {
    tag "${meta.id}"
    label 'process_single'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(partitions), path(markers), path(marker_sets), path(contigs), path(coverage)

    output:
    tuple val(meta), path("${prefix}/bins/*.fa.gz"), optional: true, emit: bins
    tuple val(meta), path("${prefix}.unbinned.fa.gz"), emit: unbinned
    tuple val(meta), path("${prefix}.bins.tsv"), emit: table
    tuple val(meta), path("${prefix}.contig2bin.tsv"), emit: contig2bin
    tuple val(meta), path("${prefix}.contig2bin.dastool.tsv"), emit: contig2bin_dastool
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    // In multi-sample binning bins are named after their samples: ext.args2 = ''
    def bin_names = task.ext.args2 == null ? "--prefix ${prefix}" : task.ext.args2
    def depths = coverage ? "--coverage ${coverage}" : ''
    """
    llmbin-bin \\
        --partitions ${partitions} \\
        --markers ${markers} \\
        --sets ${marker_sets} \\
        --contigs ${contigs} \\
        ${depths} \\
        ${bin_names} \\
        --gzip \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}

    mv ${prefix}/unbinned.fa.gz ${prefix}.unbinned.fa.gz
    mv ${prefix}/bins.tsv ${prefix}.bins.tsv
    mv ${prefix}/contig2bin.tsv ${prefix}.contig2bin.tsv
    mv ${prefix}/contig2bin.dastool.tsv ${prefix}.contig2bin.dastool.tsv
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    mkdir -p ${prefix}/bins
    echo "" | gzip > ${prefix}/bins/${prefix}.001.fa.gz
    echo "" | gzip > ${prefix}.unbinned.fa.gz
    touch ${prefix}.bins.tsv
    touch ${prefix}.contig2bin.tsv
    touch ${prefix}.contig2bin.dastool.tsv
    """
}
