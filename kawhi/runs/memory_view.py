"""``kawhi plan --memory``: the sums of :mod:`kawhi.runs.memory`, part by part, and as the table of ``docs/scales.md``.

python -m kawhi.runs.memory_view        # writes the table again
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from kawhi.base.checkout import ROOT, configuration_folder
from kawhi.base.errors import CellError
from kawhi.base.stage import trains
from kawhi.runs.composing import compose_cells
from kawhi.runs.estimate import devices
from kawhi.runs.memory import ROLLOUT, UPDATE, Memory, memory, validate_memory
from kawhi.runs.validation import checks

PAGE = ROOT / "docs" / "scales.md"
BEGIN, END = "<!-- memory: begin, written by python -m kawhi.runs.memory_view -->", "<!-- memory: end -->"
COLUMNS = {
    "state": ("weights", "adapters", "Adam", "gradients"),
    "activations": ("gathered weights", "layers' inputs", "layers at work", "vision encoder"),
    "logits": ("logits", "of logits"),
    "vLLM": ("vLLM's weights", "vLLM at work", "vLLM's cache"),
    "others": ("others",),
}
"""Of the table: parts that it adds up."""


def print_memory(overrides: Sequence[str]) -> None:
    """Prints what each GPU of a command's cells must hold, once for cells that are alike; then refuses.

    Raises:
        CellError, TableError, hydra.errors.HydraException: a cell with a mistake, or one that does not fit.
    """
    cells, _ = compose_cells(configuration_folder(), overrides)
    training = [cell for cell in cells if trains(cell)]
    for cell in training:
        for check in checks(cell):
            if check is not validate_memory:
                check(cell)
    print("\n\n".join(dict.fromkeys(map(described, training))) or "nothing is trained")
    for cell in training:
        validate_memory(cell)


def described(cell: DictConfig) -> str:
    """The sum of one cell, every part with its formula."""
    found, lengths = memory(cell), cell.verl.data
    title = f"{cell.model.name}, scale={cell.scale.name}"
    if cell.scale.device == "cpu":
        return (
            f"{title}: no GPU; a cell takes {cell.scale.needs.memory_gib} GiB of the machine (scale.needs.memory_gib)"
        )
    if found is None:
        return f"{title}: not known, for want of model.sizes or scale.gpu_gb"
    tokens = lengths.max_prompt_length + lengths.max_response_length
    lines = [
        f"{title}, {tokens:,} tokens of a prompt and a response: GB of each GPU",
        f"{'':18}{ROLLOUT:>8}{UPDATE:>8}",
    ]
    for term in found.terms:
        held = "".join(f"{term.gb:8.1f}" if when in term.when else f"{'':8}" for when in (ROLLOUT, UPDATE))
        lines.append(f"  {term.name:16}{held}   {term.formula}")
    sums = "".join(f"{found.total(when):8.1f}" for when in (ROLLOUT, UPDATE))
    return "\n".join([*lines, f"  {'sum':16}{sums}   of {found.gpu_gb:g}"])


def table(conf: Path) -> str:
    """The table of every scale with GPUs and every model that is published, as Markdown."""
    head = ["scale", "model", *COLUMNS, ROLLOUT, UPDATE, "of", "sequences"]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * (len(head) - 2)}"]
    return "\n".join([*lines, *_rows(conf)])


def _rows(conf: Path) -> Iterator[str]:
    sizes = [file.stem for file in sorted((conf / "model").glob("*.yaml")) if "  sizes:" in file.read_text()]
    scales = [file.stem for file in (conf / "scale").glob("*.yaml")]
    found = []
    with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
        for scale, model in product(scales, sizes):
            cell = compose("run", [f"scale={scale}", f"model={model}", "data=geo3k"])
            if held := memory(cell):
                found.append((cell, held))
    for cell, held in sorted(
        found, key=lambda each: (-each[1].gpu_gb * devices(each[0]), -each[0].model.sizes.parameters)
    ):
        yield _row(cell, held)


def _row(cell: DictConfig, held: Memory) -> str:
    def of(names: Sequence[str], when: str) -> float:
        return sum(term.gb for term in held.terms if term.name in names and when in term.when)

    parts = []
    for names in COLUMNS.values():
        both = dict.fromkeys(f"{of(names, when):.1f}" for when in (ROLLOUT, UPDATE) if of(names, when))
        parts.append(", ".join(both))
    try:
        validate_memory(cell)
        sequences = f"{held.sequences:.0f}"
    except CellError:
        sequences = "refused"
    sums = [f"{held.total(when):.1f}" for when in (ROLLOUT, UPDATE)]
    return f"| {' | '.join([cell.scale.name, cell.model.name, *parts, *sums, f'{held.gpu_gb:g}', sequences])} |"


def page(text: str, conf: Path) -> str:
    """A page with the table as it is now between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(conf)}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), configuration_folder()))
