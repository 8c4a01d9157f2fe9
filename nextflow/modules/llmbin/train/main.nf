process LLMBIN_TRAIN {
    tag "${meta.id}"
    label 'process_high'
    label 'process_gpu'

    conda "${task.accelerator ? "${moduleDir}/environment.gpu.yml" : "${moduleDir}/environment.yml"}"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(features, stageAs: 'features/?/*'), val(sample)

    output:
    tuple val(meta), path("${prefix}.model.safetensors"), emit: model
    tuple val(meta), path("${prefix}.training.tsv"), emit: curve
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def device = task.accelerator ? 'cuda' : 'cpu'
    def alone = sample ? "--sample ${sample}" : ''
    """
    llmbin-train \\
        --features ${features} \\
        ${alone} \\
        --device ${device} \\
        --threads ${task.cpus} \\
        ${args} \\
        --curve ${prefix}.training.tsv \\
        --out ${prefix}.model.safetensors
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.model.safetensors
    touch ${prefix}.training.tsv
    """
}
