"""The genomic language model (gLM): architectures, pretraining, weights and embeddings.

`llmbin_core.glm.hub.load_embedder` gives an `Embedder`; `llmbin_core.glm.embed.embed_views` applies
it to the views of contigs. Bases are codes throughout: A, C, G, T = 0..3 and anything else = 4.
"""
