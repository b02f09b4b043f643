"""The page of ``kawhi tokens``: each figure with what ToR's paper says of its own, and what is seen here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kawhi.credit.kinds import SHARE
from kawhi.probes.token_figures import FIGURES, OF_MODELS, WORDS, grouped
from kawhi.probes.token_summary import ATTENTION, CLASSES, PROXIES

Found = Mapping[str, Any]

NOT_THE_PAPER_S = (
    "**Not the paper's model.** The paper's statements are about Qwen2.5-VL-7B on HallusionBench, We-Math and "
    "Geometry3K; these tiny models of drawn worlds show that the pictures are drawn, and what the methods do here."
)

PAPER = {
    "distributions": "Figures 6 to 8: on HallusionBench entropies vary widely and log-prob differences are stable; on "
    "We-Math it is the other way round. (The text has lost the numbers.)",
    "weights": "Has no such figure: this is the same picture of each method's weights.",
    "correlations": "Figures 11 to 19: of the proxies prob-diff has the strongest rank correlation with attention to "
    "the image, logp-diff one close to it, entropy-diff the weakest.",
    "kinds": "About 12 % of all tokens are of both kinds early in GRPO's training on Geometry3K, with 30 % of each; "
    "9 % would be by chance.",
    "difficulty": "Figure 20: rollouts get a comparable amount of optimisation; harder groups more on reasoning "
    "tokens, easier ones more on perception tokens.",
    "push_pull": "Figure 10: reasoning uncertainty and perception strength push and pull each other strongly.",
    "agreement": "Has no such figure: it shows which methods reward the same tokens.",
}


def page(found: Mapping[str, Found], drawn: Collection[str], data: str, command: str) -> str:
    """Markdown, whose figures lie beside it.

    Args:
        drawn: what :func:`kawhi.probes.token_figures.draw_all` returned.
        found: :func:`kawhi.probes.token_summary.summary` by model, with ``group`` and ``tiny``.
    """
    parts = [f"# Which tokens are rewarded: {data}", f"`{command}`"]
    if any(own["tiny"] for own in found.values()):
        parts.append(NOT_THE_PAPER_S)
    parts += [f"- **{name}**: {counted(own)}" for name, own in found.items()]
    for figure in FIGURES:
        parts += [f"## {figure.replace('_', '-').capitalize()}", f"Paper: {PAPER[figure]}"]
        for name, own in found.items():
            parts += [f"**{name}.** {SEEN[figure](own)}"]
            if f"{name}/{figure}" in drawn:
                parts.append(f"![{figure} of {name}]({name}/{figure}.png)")
        if figure == OF_MODELS and OF_MODELS in drawn:
            parts += ["The models in the order in which they were named:", f"![{figure}]({OF_MODELS}.png)"]
    parts += ["## The tokens with the most weight", *(_words(name, own) for name, own in found.items())]
    return "\n\n".join(parts) + "\n"


def counted(own: Found) -> str:
    """How much a model's numbers are of, in a sentence."""
    right = "" if own["right"] is None else f", {own['right']:.1%} of them right"
    return f"{own['tokens']} tokens of {own['responses']} responses to {own['prompts']} questions{right}."


def _distributions(own: Found) -> str:
    said = []
    for name in ("nucleus_entropy", "logp_diff"):
        cuts = own["distributions"][name]["cuts"]
        said.append(f"{WORDS[name]}: the top 20 % are above {cuts['0.2']:.3g}, the top half above {cuts['0.5']:.3g}")
    return f"Seen: {'; '.join(said)}."


def _weights(own: Found) -> str:
    alike = [label for label, its in own["weights"].items() if its["constant"]]
    return f"Weigh all tokens alike, and so have no panel: {', '.join(alike)}." if alike else "Every method varies."


def _correlations(own: Found) -> str:
    said = []
    for target in ATTENTION:
        known = {name: its for name in PROXIES if (its := own["correlations"][target][name]) is not None}
        order = sorted(known, key=lambda name: -known[name]["value"])
        named = ", ".join(f"{WORDS[name]} {_interval(known[name])}" for name in order)
        said.append(f"{WORDS[target]}: {named or 'nothing varies'}")
    return f"Seen, strongest first: {'; '.join(said)}. 95 % intervals are over responses."


def _interval(value: Found) -> str:
    within = "" if value["low"] is None else f" [{value['low']:.2f}, {value['high']:.2f}]"
    return f"{value['value']:.2f}{within}"


def _kinds(own: Found) -> str:
    tied = (
        f" More than {1 - SHARE:.0%} of all tokens have a nucleus of one token, whose entropy is 0: the top share by "
        "entropy reaches into them, and each of them is a reasoning token in part."
    )
    return (
        f"Seen: {own['kinds']['tokens']['both']:.1%} of all tokens are of both kinds, with {SHARE:.0%} of each. A bar "
        "of a method is what share of its weight falls on each kind; uniform credit has the bar of all tokens."
        f"{tied if own['kinds']['tied'] else ''}"
    )


def _difficulty(own: Found) -> str:
    if not grouped(own):
        return "Nobody knows which responses are right, or each question has one response: there are no groups."
    shares = {each["class"]: each["tokens"] for each in own["difficulty"]}
    if len(shares) < 2:
        return f"All groups are {next(iter(shares))}, so nothing can be compared."
    hard, easy = (shares[next(name for name in names if name in shares)] for names in (CLASSES, CLASSES[::-1]))
    said = ", ".join(
        f"{kind} tokens {hard[kind] + hard['both']:.1%} in the hardest groups and {easy[kind] + easy['both']:.1%} in "
        "the easiest"
        for kind in ("reasoning", "perception")
    )
    return f"Seen: {said}."


def _push_pull(own: Found) -> str:
    found = own["push_pull"]["correlation"]
    if found is None:
        return "Seen: one of the two is the same for all prompts."
    return f"Seen: over prompts their rank correlation is {_interval(found)}."


def _agreement(own: Found) -> str:
    names, values = own["agreement"]["methods"], own["agreement"]["correlation"]
    pairs = [(values[i][j], f"{names[i]} and {names[j]}") for i in range(len(names)) for j in range(i)]
    if not pairs:
        return "Fewer than two methods weigh tokens differently."
    (low, apart), (high, alike) = min(pairs), max(pairs)
    return f"Seen: most alike {alike} ({high:.2f}), least {apart} ({low:.2f})."


SEEN: dict[str, Callable[[Found], str]] = {
    "distributions": _distributions,
    "weights": _weights,
    "correlations": _correlations,
    "kinds": _kinds,
    "difficulty": _difficulty,
    "push_pull": _push_pull,
    "agreement": _agreement,
}


def _words(name: str, own: Found) -> str:
    rows = [
        [label, ", ".join(f"`{_shown(word['token'])}` {word['times']:.1f}" for word in words)]
        for label, words in own["words"].items()
        if words
    ]
    return f"**{name}**: how many times a method's mean weight they have; rare tokens are left out.\n\n" + _table(
        ["method", "tokens"], rows
    )


def _shown(token: str) -> str:
    return token.replace("\n", "⏎").replace("`", "'").replace("|", "¦") or "∅"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))
