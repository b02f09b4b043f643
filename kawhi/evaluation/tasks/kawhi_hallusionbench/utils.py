"""The functions that kawhi_hallusionbench.yaml names."""

from kawhi.evaluation.benchmark import lmms_functions
from kawhi.evaluation.benchmarks.hallusionbench import BENCHMARK

doc_to_visual, doc_to_text, doc_to_target, process_results = lmms_functions(BENCHMARK)
