process MULTIQC {
    label 'process_single'

    conda "bioconda::multiqc=1.35"
    container "${workflow.containerEngine in ['singularity', 'apptainer'] && !task.ext.singularity_pull_docker_container
        ? 'https://depot.galaxyproject.org/singularity/multiqc:1.35--pyhdfd78af_0'
        : 'biocontainers/multiqc:1.35--pyhdfd78af_0'}"

    input:
    path files, stageAs: 'mqc/*'

    output:
    path "multiqc_report.html", emit: report
    path "multiqc_report_data", emit: data
    tuple val("${task.process}"), val('multiqc'), eval("multiqc --version | sed 's/.* //'"), topic: versions, emit: versions_multiqc

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    """
    multiqc --filename multiqc_report.html ${args} mqc
    """

    stub:
    """
    mkdir multiqc_report_data
    touch multiqc_report.html
    """
}
