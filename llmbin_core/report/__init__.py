"""What people look at: the page of a run and the files for MultiQC."""
