process LLMBIN_COVERAGE {
    tag "${meta.id}"
    label 'process_low'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(contigs), path(depths, stageAs: 'depths/?/*'), val(names)
    tuple val(meta2), path(reference)

    output:
    tuple val(meta), path("${prefix}.coverage.safetensors"), emit: coverage
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    def merge = [depths].flatten().every { file -> file.name.endsWith('.safetensors') }
    if (!merge && !contigs) {
        error("LLMBIN_COVERAGE: alignments and depth tables need contigs")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def aligned = [depths].flatten().every { file -> file.name.endsWith('.bam') || file.name.endsWith('.cram') }
    def kind = aligned ? '--bam' : '--depth-table'
    def source = merge ? "--merge ${depths}" : "--contigs ${contigs} ${kind} ${depths}"
    def named = names ? "--sample-names ${[names].flatten().join(' ')}" : ''
    def fasta = reference ? "--reference ${reference}" : ''
    """
    llmbin-coverage \\
        ${source} \\
        ${named} \\
        ${fasta} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}.coverage.safetensors
    """

    stub:
    def merge = [depths].flatten().every { file -> file.name.endsWith('.safetensors') }
    if (!merge && !contigs) {
        error("LLMBIN_COVERAGE: alignments and depth tables need contigs")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${prefix}.coverage.safetensors
    """
}
