process LLMBIN_REPORT {
    tag "${meta.id}"
    label 'process_single'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(table), path(contig2bin), path(contigs_table), path(coverage), path(latent), path(partitions), path(markers), path(marker_sets), path(curve)

    output:
    tuple val(meta), path("${prefix}.report.html"), emit: report
    tuple val(meta), path("${prefix}.*_mqc.{tsv,json}"), emit: multiqc
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def given = [
        contig2bin ? "--contig2bin ${contig2bin}" : '',
        contigs_table ? "--contigs-table ${contigs_table}" : '',
        coverage ? "--coverage ${coverage}" : '',
        latent ? "--latent ${latent}" : '',
        partitions ? "--partitions ${partitions}" : '',
        markers ? "--markers ${markers}" : '',
        marker_sets ? "--sets ${marker_sets}" : '',
        curve ? "--curve ${curve}" : '',
    ].findAll { option -> option }
    """
    llmbin-report \\
        --bins ${table} \\
        ${given.join(' ')} \\
        --title ${prefix} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out report

    mv report/report.html ${prefix}.report.html
    for file in report/*_mqc.*; do
        mv \${file} ${prefix}.\${file##*/}
    done
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.report.html
    touch ${prefix}.llmbin_statistics_mqc.tsv
    """
}
