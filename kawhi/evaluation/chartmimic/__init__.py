"""ChartMimic (Yang et al., ICLR 2025, arXiv 2406.09961): a figure becomes a program that is run and compared.

``sandbox`` runs a program, ``child`` is what runs inside, ``drawn`` reads what comes out, ``scores`` compares.
"""
