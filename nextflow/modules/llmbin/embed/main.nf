process LLMBIN_EMBED {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'

    conda "${task.accelerator ? "${moduleDir}/environment.gpu.yml" : "${moduleDir}/environment.yml"}"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(contigs), val(shard), path(parts, stageAs: 'parts/?/*')
    tuple val(meta2), path(glm)

    output:
    tuple val(meta), path("${prefix}.embedding.safetensors"), emit: embedding
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if ((contigs ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_EMBED: give either contigs or parts to be merged")
    }
    if (parts && shard) {
        error("LLMBIN_EMBED: a shard is one of contigs, not of parts to be merged")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def device = task.accelerator ? 'cuda' : 'cpu'
    def folder = glm ? "--glm ${glm}" : ''
    def source = parts ? "--merge ${parts}" : "--contigs ${contigs} ${folder} --device ${device}"
    def part = shard ? "--shard ${shard}" : ''
    """
    llmbin-embed \\
        ${source} \\
        ${part} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}.embedding.safetensors
    """

    stub:
    if ((contigs ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_EMBED: give either contigs or parts to be merged")
    }
    if (parts && shard) {
        error("LLMBIN_EMBED: a shard is one of contigs, not of parts to be merged")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.embedding.safetensors
    """
}
