process LLMBIN_ENCODE {
    tag "${meta.id}"
    label 'process_low'
    label 'process_gpu'

    conda "${task.accelerator ? "${moduleDir}/environment.gpu.yml" : "${moduleDir}/environment.yml"}"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(features, stageAs: 'features/?/*'), val(sample), path(parts, stageAs: 'parts/?/*')
    tuple val(meta2), path(model)

    output:
    tuple val(meta), path("${prefix}.latent.safetensors"), emit: latent
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if (parts && (model || sample)) {
        error("LLMBIN_ENCODE: give either a model, or parts to be merged")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def device = task.accelerator ? 'cuda' : 'cpu'
    def encoder = model ? "--model ${model}" : ''
    def alone = sample ? "--sample ${sample}" : ''
    def source = parts ? "--merge ${parts}" : "${encoder} ${alone} --device ${device}"
    """
    llmbin-encode \\
        --features ${features} \\
        ${source} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}.latent.safetensors
    """

    stub:
    if (parts && (model || sample)) {
        error("LLMBIN_ENCODE: give either a model, or parts to be merged")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.latent.safetensors
    """
}
