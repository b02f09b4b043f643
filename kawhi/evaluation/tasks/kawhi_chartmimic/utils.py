"""The functions that kawhi_chartmimic.yaml names."""

from kawhi.evaluation.benchmark import lmms_functions
from kawhi.evaluation.benchmarks.chartmimic import BENCHMARK

doc_to_visual, doc_to_text, doc_to_target, process_results = lmms_functions(BENCHMARK)
