"""The binning encoder: a multi-view contrastive network over coverage, composition and gLM."""
