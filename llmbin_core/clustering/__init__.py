"""Candidate partitions of contigs: neighbour graph, Leiden grid, seeded k-means."""
