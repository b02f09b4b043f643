"""What an answer may cost.  An answer beyond a limit scores 0; none of them is near what a real answer needs."""

from __future__ import annotations

# A long real answer, such as a matrix or a system of equations, has a few hundred.
MAX_CHARACTERS = 1000
# Of the child, per answer: real answers take milliseconds.  CPU time, so that a busy machine does not change a score.
CPU_SECONDS = 5.0
# Against a child that sleeps or is stopped; far above CPU_SECONDS, because reward workers share their cores.
WALL_SECONDS = 60.0
# Address space above what the imports take (60 MiB); one child per reward worker, of which verl starts eight.
MEMORY_BYTES = 1 << 30
# From the start to the child's first word.  The imports take half a second; a cold network disk takes far longer.
START_SECONDS = 120.0
