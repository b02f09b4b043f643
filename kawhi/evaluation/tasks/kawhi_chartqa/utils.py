"""The functions that kawhi_chartqa.yaml names."""

from kawhi.evaluation.benchmark import lmms_functions
from kawhi.evaluation.benchmarks.chartqa import BENCHMARK
from kawhi.evaluation.numbered import numbered as process_docs

__all__ = ["process_docs"]

doc_to_visual, doc_to_text, doc_to_target, process_results = lmms_functions(BENCHMARK)
