"""Single-copy marker genes: gene calling, profile search, bundled profiles and marker sets."""
