"""LLMBin: recover genomes from metagenomes with a genomic language model.

The library behind the ``llmbin`` executables. It knows no command line and no platform:
nothing here prints, parses arguments or ends the process.
"""

__version__ = "0.1.0"
