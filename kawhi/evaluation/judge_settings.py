"""What a judge is asked with; apart from the judge, whose client takes a second to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from kawhi.base.errors import CellError

ON_REFUSAL = ("error", "wrong")
_OURS = {"messages", "model", "n", "stream"}
"""Keys of a request on which it depends that a reply is one whole text to the question."""


@dataclass(frozen=True)
class JudgeSettings:
    """Which model judges, where it is, and how it is asked.

    Attributes:
        name: short name of the judge in tables and files.
        model: as the server calls it.
        base_url: of an OpenAI-compatible server, or a list of them for several replicas.
        concurrency: requests in flight.
        attempts: requests per question whose replies cannot be read, and tries per request that gets no reply.
        timeout: seconds for one try.
        patience: seconds without any reply after which the server is given up.
        temperature, seed: of the first request of a question; each further attempt adds 1 to the seed.
        retry_temperature: of the further attempts; ``None`` for the same.  A greedy judge repeats itself whatever the
            seed.
        api_key_env: environment variable with the key; ``None`` for servers that want none.
        on_refusal: ``error``, or ``wrong``: what a sample is that the server refuses for good.
        refusals: share of the questions above which refusals are no longer single samples'.
        extra_body: further keys of every request.
    """

    name: str
    model: str
    base_url: str | Sequence[str]
    concurrency: int
    attempts: int
    timeout: float
    patience: float
    temperature: float
    seed: int
    api_key_env: str | None = None
    retry_temperature: float | None = None
    on_refusal: str = "error"
    refusals: float = 0.02
    extra_body: Mapping[str, Any] | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of all replicas."""
        return (self.base_url,) if isinstance(self.base_url, str) else tuple(self.base_url)

    def sampling(self, attempt: int) -> dict[str, float | int | None]:
        """Of a question's request number ``attempt``, from 0."""
        again = attempt > 0 and self.retry_temperature is not None
        return {"temperature": self.retry_temperature if again else self.temperature, "seed": self.seed + attempt}

    @staticmethod
    def check(block: Mapping[str, Any]) -> None:
        """Raises:
        CellError: a value of a wrong type or outside its range.
        """
        for name, kinds, low in (
            ("concurrency", int, 1),
            ("attempts", int, 1),
            ("timeout", (int, float), 0.001),
            ("patience", (int, float), 0.001),
            ("temperature", (int, float), 0),
            ("seed", int, 0),
        ):
            value = block.get(name)
            if isinstance(value, bool) or not isinstance(value, kinds) or value < low:  # type: ignore[operator]
                raise CellError(f"judge.{name}={value!r} must be a number of at least {low:g}")
        _check_choices(block)

    @classmethod
    def from_config(cls, block: Mapping[str, Any]) -> JudgeSettings:
        """The block ``judge`` of a configuration; its ``serve`` is not for us.

        Raises:
            CellError: there is no server's address, or a value that is none.
        """
        if not block["base_url"]:
            raise CellError("judge.base_url is not set: name the address of a running server, e.g. http://host:8000/v1")
        cls.check(block)
        return cls(**{each.name: block[each.name] for each in fields(cls) if each.name in block})


def _check_choices(block: Mapping[str, Any]) -> None:
    """Raises:
    CellError: as :meth:`JudgeSettings.check`.
    """
    if block.get("on_refusal", "error") not in ON_REFUSAL:
        raise CellError(f"judge.on_refusal={block['on_refusal']} is not one of {', '.join(ON_REFUSAL)}")
    share = block.get("refusals", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise CellError(f"judge.refusals={share!r} must be a number in [0, 1]")
    more = block.get("extra_body")
    others = ", ".join(sorted(_OURS))
    if more is not None and (not isinstance(more, Mapping) or _OURS & set(more)):
        raise CellError(f"judge.extra_body={more!r} must be keys of a request other than {others}")
