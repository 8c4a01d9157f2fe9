process LLMBIN_CLUSTER {
    tag "${meta.id}"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(latent), path(markers), val(sample), path(parts, stageAs: 'parts/?/*')

    output:
    tuple val(meta), path("${prefix}.partitions.safetensors"), emit: partitions
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if ((markers ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_CLUSTER: give either markers, or parts to be merged")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def alone = sample ? "--sample ${sample}" : ''
    def source = parts ? "--merge ${parts}" : "--markers ${markers} ${alone}"
    """
    llmbin-cluster \\
        --latent ${latent} \\
        ${source} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}.partitions.safetensors
    """

    stub:
    if ((markers ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_CLUSTER: give either markers, or parts to be merged")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.partitions.safetensors
    """
}
