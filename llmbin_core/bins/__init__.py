"""From candidate partitions to bins: quality by marker genes, selection, writing."""
