"""How long the judge takes beside the time its server needs, and what it costs this machine per sample.

    python benchmarks/judge_throughput.py --json benchmarks/results/judge.json

The server is a stub in a process of its own that waits 200 ms before every reply.  Ideal is the number of rounds that
the requests need at the given concurrency, times the wait.  Everything from the file of samples to ``score.json``
counts.  Overhead is this process's own processor time, to which other work on the machine adds little.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
if not __package__:  # run as a script
    sys.path[0] = str(ROOT)

from benchmarks.races import Race, Target, measured_here  # noqa: E402
from kawhi.evaluation import prompts, scoring  # noqa: E402
from kawhi.evaluation.benchmark import Benchmark, JudgeQuestion, Outcome, mean_score, one_run  # noqa: E402
from kawhi.evaluation.judge import Judge, JudgeSettings  # noqa: E402
from kawhi.evaluation.parsing import exactly  # noqa: E402
from kawhi.evaluation.samples import Sample, write_samples  # noqa: E402
from tests.evaluation.stub_server import MODEL  # noqa: E402

NAME = "kawhi_throughput"
PROMPTS = """
verdict:
  max_tokens: 8
  system: You compare a response with the right answer.  Reply with 1 if they agree, else with 0, and nothing else.
  user: "Question: {{ question }}\\n\\nRight answer: {{ answer }}\\n\\nResponse: {{ response }}\\n\\nVerdict:"
"""
WITHIN = Target("judged samples within 1.3× of the ideal time", "ideal", "at_most", 1.3)
OVERHEAD = Target("harness below 2 ms of processor time per judged sample", None, "at_most", 2)


def _no_prompt(*_: object) -> str:
    raise NotImplementedError("no model is asked here")


BENCHMARK = Benchmark(
    name=NAME,
    data={},
    facts=dict,
    images=lambda doc: [],
    prompt=_no_prompt,
    rule=lambda facts, response: Outcome(0.0),
    runs=one_run(1),
    scores=mean_score,
    questions=lambda facts, response, outcome, images: [
        JudgeQuestion("verdict", {**facts, "response": response}, exactly("0", "1"))
    ],
    verdict=lambda facts, response, outcome, parsed: Outcome(float(parsed[0])),
)


def samples(number: int) -> list[Sample]:
    """Questions of 500 characters and responses of 2,000, all different."""
    return [
        Sample(
            id=str(i),
            run="",
            facts={"id": str(i), "question": f"Question {i}: ".ljust(500, "q"), "answer": str(i)},
            prompt="",
            images=[],
            response=f"It is {i}. ".ljust(2000, "r"),
            finish_reason="stop",
            tokens=500,
            rule_score=0.0,
        )
        for i in range(number)
    ]


@contextmanager
def stub(delay: float) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, with its base URL as the first line of its output."""
    command = [sys.executable, "-m", "tests.evaluation.stub_server", "--delay", str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.terminate()


def measure(number: int, concurrency: int, delay: float, repeats: int = 1) -> list[Race]:
    """Judges ``number`` samples; the fewest seconds of all repeats, because what disturbs them only adds."""
    walls, own = zip(*(_once(number, concurrency, delay) for _ in range(repeats)), strict=True)
    setting = f"{number:,} samples, {1e3 * delay:g} ms a reply, {concurrency} at once"
    ideal = math.ceil(number / concurrency) * delay
    return [
        Race("judge", setting, "s", min(walls), {"ideal": ideal}, [WITHIN]),
        Race("judge overhead", setting, "ms", 1e3 * min(own) / number, {}, [OVERHEAD]),
    ]


def _once(number: int, concurrency: int, delay: float) -> tuple[float, float]:
    """Seconds on the wall and of this process's own processor time."""
    with tempfile.TemporaryDirectory() as name, stub(delay) as server:
        folder = Path(name)
        (folder / f"{NAME}.yaml").write_text(PROMPTS)
        write_samples(folder / "samples.parquet", samples(number))
        assert server.stdout is not None
        assert server.stdin is not None
        settings = JudgeSettings(
            name="stub",
            model=MODEL,
            base_url=server.stdout.readline().strip(),
            concurrency=concurrency,
            attempts=1,
            timeout=60.0,
            patience=60.0,
            temperature=0.0,
            seed=0,
        )
        # No file of the package holds this benchmark: its prompts are in this folder, its rule has no fingerprint.
        with patch.object(prompts, "_FOLDER", folder), patch.object(scoring, "rules_of", lambda task: None):
            wall, own = time.perf_counter(), time.process_time()
            result = scoring.score(folder, BENCHMARK, Judge(settings))
            wall, own = time.perf_counter() - wall, time.process_time() - own
        server.stdin.write("\n")
        server.stdin.flush()
        largest = int(server.stdout.readline())
    alone = delay > 0 and largest != min(concurrency, number)
    if result["score"] != 100.0 or result["judge"]["asked_again"] or alone:
        raise RuntimeError(f"this measured something else: {largest} requests at once, {result}")
    return wall, own


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds (default: 0.2)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    races = measure(options.samples, options.concurrency, options.delay, options.repeats)
    for race in races:
        for target in race.targets:
            kept = "kept" if race.meets(target) else "NOT kept"
            against = "".join(f", {name} {value:.2f} {race.unit}" for name, value in race.rivals.items())
            print(
                f"{race.section}: {race.setting}: {race.kawhi:.2f} {race.unit}{against}; "
                f"{target.claim}: {race.measured(target):.2f}, {kept}"
            )
    if options.json:
        given = " ".join(sys.argv[1:] if arguments is None else arguments)
        session = measured_here(f"python benchmarks/judge_throughput.py {given}", races)
        versions = session.versions | {"openai": metadata.version("openai")}
        replace(session, versions=versions).save(options.json)


if __name__ == "__main__":
    main()
