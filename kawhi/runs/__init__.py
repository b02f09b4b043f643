"""Identity, run directory, stages, records, launching."""
