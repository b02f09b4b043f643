"""Cells on a Slurm cluster: submission, the job around a cell, what the queue says, checks of the nodes."""
