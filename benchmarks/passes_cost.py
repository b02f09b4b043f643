"""What a pass beside other images costs, which VPPO, PAPO and ToR ask for, beside the pass that every step has.

    python benchmarks/passes_cost.py --json benchmarks/results/passes.json

On one core, of 64 responses of the tiny world's models, without gradients, in processor time, the best of the rounds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

if not __package__:  # run as a script
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from kawhi.wheels import torchvision_shim

torchvision_shim.install()

from omegaconf import OmegaConf  # noqa: E402

from benchmarks.published_models import FAMILIES  # noqa: E402
from benchmarks.races import Race, Target, fewest_seconds, run_on_one_core  # noqa: E402
from kawhi.base.checkout import configuration_folder, resolve_package_paths  # noqa: E402
from kawhi.lab.losses import BoxedReward  # noqa: E402
from kawhi.lab.policy import Policy  # noqa: E402
from kawhi.lab.rollouts import item_of, sample  # noqa: E402
from kawhi.lab.signals import Gatherer  # noqa: E402
from kawhi.runs.composing import compose_cell  # noqa: E402
from kawhi.tiny.worlds import problems_of  # noqa: E402

PASS, LIMIT = "the pass with the image", 96
_PROBLEMS, _RESPONSES = 8, 8
FURTHER = {
    "half of the patches black": {"perturbed_log_probs"},
    "black image": {"blank_log_probs", "blank_entropy"},
    "both": {"perturbed_log_probs", "blank_log_probs", "blank_entropy"},
}


def measure(family: str, rounds: int) -> Iterator[Race]:
    """The seconds of each further pass, beside the first one's."""
    cell = compose_cell(configuration_folder(), [f"model=tiny_reading_{family}", "data=reading", "credit=vppo"])
    policy = Policy(resolve_package_paths(cell.model.path))
    drawn = islice(problems_of("reading_long", "train", 0), _PROBLEMS)
    items = [item_of(index, problem, cell.model.image_size) for index, problem in enumerate(drawn)]
    rollouts = sample(policy, items, _RESPONSES, LIMIT, 0, BoxedReward(cell))
    kawhi: Any = OmegaConf.to_container(cell.kawhi, resolve=True)

    def of(needs: set[str]) -> Callable[[], Any]:
        gather = Gatherer(policy, kawhi, {"log_probs", "entropy", *needs})
        return lambda: gather(rollouts, 0, trained=[])

    seconds = fewest_seconds({PASS: of(set()), **{name: of(needs) for name, needs in FURTHER.items()}}, rounds)
    promise = "a pass beside another image within 1.25× of the pass with the image"
    for name in FURTHER:
        passes = 2 if name == "both" else 1
        each = 1e3 * (seconds[name] - seconds[PASS]) / passes
        setting = f"{name}, {FAMILIES[family].name.rsplit('-', 1)[0]}, {len(rollouts.texts)} responses"
        yield Race(
            "passes", setting, "ms a pass", each, {PASS: 1e3 * seconds[PASS]}, [Target(promise, PASS, "at_most", 1.25)]
        )


def every(rounds: int) -> Iterator[Race]:
    """The races of both families."""
    return (race for family in FAMILIES for race in measure(family, rounds))


if __name__ == "__main__":
    run_on_one_core(__doc__ or "", every)
