"""The middle is pure: what the paper describes can be used without a trainer."""

import subprocess
import sys

import pytest

FOREIGN = ("verl", "ray", "hydra", "omegaconf", "transformers", "vllm", "lmms_eval")


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        (("kawhi.regions.sguf", "kawhi.regions.selectors", "kawhi.regions.patches"), (*FOREIGN, "torch")),
        (("kawhi.credit.alignment", "kawhi.credit.segments", "kawhi.credit.methods"), FOREIGN),
        (("kawhi.records.folder", "analysis.make_tables"), (*FOREIGN, "torch", "pandas")),
        (("kawhi.cluster.job", "kawhi.runs.launcher"), ("torch", "transformers", "openai", "aiohttp", "pydantic")),
    ],
)
def test_pure_rooms_import_nobody(modules, forbidden):
    """Tables are made where neither a model nor a trainer is installed, and a launcher starts in no time."""
    code = f"import sys, {', '.join(modules)}; print(*sorted(set(sys.modules) & {set(forbidden)!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
