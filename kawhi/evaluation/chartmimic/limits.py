"""Bounds on one program that draws a figure.  All are our choice; the authors' code has none."""

CPU_SECONDS = 30  # of one process; measured: a line takes 0.7 s of the clock, a 3D surface of 40,000 cells 3.9
WALL_SECONDS = 60.0
ADDRESS_SPACE = 4 << 30  # bytes of one process; measured: 590 MB with pandas, SciPy, scikit-learn and matplotlib
MEMORY = 3 << 30  # bytes resident in all processes of one program
PROCESSES = 32  # and threads
FILE_BYTES = 32 << 20  # of one file
FOLDER_BYTES = 64 << 20  # of all files
FOLDER_FILES = 512
OPEN_FILES = 64
OUTPUT_BYTES = 32 << 20  # of what comes out: the figure and its record
PIXELS = 4096  # of the longer side of a figure
TEXTS = 5000  # of one figure; likewise axes, calls and colours
CHARACTERS = 2000  # of one text
CODE_BYTES = 1 << 20
