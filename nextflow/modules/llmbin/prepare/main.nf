process LLMBIN_PREPARE {
    tag "${meta.id}"
    label 'process_single'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(assemblies, stageAs: 'assemblies/?/*'), val(names)

    output:
    tuple val(meta), path("${prefix}.contigs.fasta.gz"), emit: contigs
    tuple val(meta), path("${prefix}.contigs.tsv"), emit: table
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if (names && [names].flatten().size() != [assemblies].flatten().size()) {
        error("LLMBIN_PREPARE: give one name per assembly, or none")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def named = names ? "--sample-names ${[names].flatten().join(' ')}" : ''
    """
    llmbin-prepare \\
        --contigs ${assemblies} \\
        ${named} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out prepared

    mv prepared/contigs.fasta.gz ${prefix}.contigs.fasta.gz
    mv prepared/contigs.tsv ${prefix}.contigs.tsv
    """

    stub:
    if (names && [names].flatten().size() != [assemblies].flatten().size()) {
        error("LLMBIN_PREPARE: give one name per assembly, or none")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    echo "" | gzip > ${prefix}.contigs.fasta.gz
    touch ${prefix}.contigs.tsv
    """
}
