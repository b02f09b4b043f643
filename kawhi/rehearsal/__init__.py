"""The dress rehearsal: a full-scale cell walked end to end with stand-ins for what is missing."""
