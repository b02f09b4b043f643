"""Literal, slow transcriptions of the paper's equations in float64, written without the package's shortcuts."""
