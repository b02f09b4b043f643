"""Own lmms-eval tasks, and validation of what lmms-eval wrote."""
