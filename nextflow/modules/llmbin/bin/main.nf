process LLMBIN_BIN {
    tag "${meta.id}"
    label 'process_single'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(partitions), path(markers), path(marker_sets), path(contigs), path(coverage), path(latent), val(sample), path(parts, stageAs: 'parts/?/*')

    output:
    tuple val(meta), path("${prefix}/bins/*.fa.gz"), optional: true, emit: bins
    tuple val(meta), path("${prefix}.unbinned.fa.gz"), emit: unbinned
    tuple val(meta), path("${prefix}.bins.tsv"), emit: table
    tuple val(meta), path("${prefix}.contig2bin.tsv"), emit: contig2bin
    tuple val(meta), path("${prefix}.contig2bin.dastool.tsv"), emit: contig2bin_dastool
    tuple val(meta), path("${prefix}.outliers.tsv"), emit: outliers
    tuple val(meta), path("${prefix}.samples.tsv"), optional: true, emit: samples
    tuple val(meta), path("${prefix}"), emit: folder
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if ((partitions ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_BIN: give either partitions, or parts to be merged")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    // In multi-sample binning bins are named after their samples: ext.args2 = ''
    def bin_names = task.ext.args2 == null ? "--prefix ${prefix}" : task.ext.args2
    def given = [
        "--partitions ${partitions} --markers ${markers} --sets ${marker_sets}",
        coverage ? "--coverage ${coverage}" : '',
        latent ? "--latent ${latent}" : '',
        sample ? "--sample ${sample}" : '',
        bin_names,
    ].findAll { option -> option }
    def source = parts ? "--merge ${parts}" : given.join(' ')
    """
    llmbin-bin \\
        --contigs ${contigs} \\
        ${source} \\
        --gzip \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}

    # The folder stays whole, for merging.
    for file in ${prefix}/*.gz ${prefix}/*.tsv; do
        cp \${file} ${prefix}.\${file##*/}
    done
    """

    stub:
    if ((partitions ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_BIN: give either partitions, or parts to be merged")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    mkdir -p ${prefix}/bins
    echo "" | gzip > ${prefix}/bins/${prefix}.001.fa.gz
    echo "" | gzip > ${prefix}.unbinned.fa.gz
    touch ${prefix}.bins.tsv
    touch ${prefix}.contig2bin.tsv
    touch ${prefix}.contig2bin.dastool.tsv
    touch ${prefix}.outliers.tsv
    touch ${prefix}.samples.tsv
    """
}
