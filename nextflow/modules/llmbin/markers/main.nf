process LLMBIN_MARKERS {
    tag "${meta.id}"
    label 'process_medium'

    conda "${moduleDir}/environment.yml"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/llmbin:0.1.0--pyhdfd78af_0'
        : 'biocontainers/llmbin:0.1.0--pyhdfd78af_0'}"

    input:
    tuple val(meta), path(contigs), val(shard), path(parts, stageAs: 'parts/?/*')
    tuple val(meta2), path(profiles), path(marker_sets)

    output:
    tuple val(meta), path("${prefix}.markers.tsv"), emit: markers
    tuple val(meta), path("${prefix}.marker_sets.json"), optional: true, emit: sets
    tuple val("${task.process}"), val('llmbin'), eval("llmbin --version | sed 's/.* //'"), topic: versions, emit: versions_llmbin

    when:
    task.ext.when == null || task.ext.when

    script:
    if ((contigs ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_MARKERS: give either contigs or parts to be merged")
    }
    if (parts && shard) {
        error("LLMBIN_MARKERS: a shard is one of contigs, not of parts to be merged")
    }
    def args = task.ext.args ?: ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def own = profiles ? "--profiles ${profiles}" : ''
    def own_sets = marker_sets ? "--marker-sets ${marker_sets}" : ''
    def sets = "--sets-out ${prefix}.marker_sets.json"
    def source = parts ? "--merge ${parts}" : "--contigs ${contigs} ${sets} ${own} ${own_sets}"
    def part = shard ? "--shard ${shard}" : ''
    """
    llmbin-markers \\
        ${source} \\
        ${part} \\
        --threads ${task.cpus} \\
        ${args} \\
        --out ${prefix}.markers.tsv
    """

    stub:
    if ((contigs ? 1 : 0) + (parts ? 1 : 0) != 1) {
        error("LLMBIN_MARKERS: give either contigs or parts to be merged")
    }
    if (parts && shard) {
        error("LLMBIN_MARKERS: a shard is one of contigs, not of parts to be merged")
    }
    prefix = task.ext.prefix ?: "${meta.id}"
    def sets = parts ? '' : "touch ${prefix}.marker_sets.json"
    """
    touch ${prefix}.markers.tsv
    ${sets}
    """
}
