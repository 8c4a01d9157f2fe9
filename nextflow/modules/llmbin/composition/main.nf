process LLMBIN_COMPOSITION {
    tag "${meta.id}"
    label 'process_single'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(contigs), val(shard), path(parts, stageAs: 'parts/?/*')

    output:
    tuple val(meta), path("${prefix}.composition.safetensors"), emit: composition
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if ((contigs ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_COMPOSITION: give either contigs or parts to be merged")
    }
    if (parts && shard) {
        error("LLMBIN_COMPOSITION: a shard is one of contigs, not of parts to be merged")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def source = parts ? "--merge ${parts}" : "--contigs ${contigs}"
    def part = shard ? "--shard ${shard}" : ''
    """
    llmbin-composition \\
        ${source} \\
        ${part} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}.composition.safetensors
    """

    stub:
    if ((contigs ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_COMPOSITION: give either contigs or parts to be merged")
    }
    if (parts && shard) {
        error("LLMBIN_COMPOSITION: a shard is one of contigs, not of parts to be merged")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.composition.safetensors
    """
}
