"""How the bundled marker profiles were made; run as ``python -m llmbin_core.markers.build``.

Nothing of the binner imports this package. It needs MMseqs2, pyfamsa and pytrimal besides the
dependencies of LLMBin.
"""
