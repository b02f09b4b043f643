"""What a judge is asked with; apart from the judge, whose client takes a second to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kawhi.base.errors import CellError


@dataclass(frozen=True)
class JudgeSettings:
    """Which model judges, where it is, and how it is asked.

    Attributes:
        name: short name of the judge in tables and files.
        model: as the server calls it.
        base_url: of an OpenAI-compatible server.
        concurrency: requests in flight.
        attempts: requests per question whose replies cannot be read, and tries per request that gets no reply.
        timeout: seconds for one try.
        patience: seconds without any reply after which the server is given up.
        temperature, seed: of the first request of a question; each further attempt adds 1 to the seed.
        retry_temperature: of the further attempts; ``None`` for the same.  A greedy judge repeats itself whatever the
            seed.
        api_key_env: environment variable with the key; ``None`` for servers that want none.
    """

    name: str
    model: str
    base_url: str
    concurrency: int
    attempts: int
    timeout: float
    patience: float
    temperature: float
    seed: int
    api_key_env: str | None = None
    retry_temperature: float | None = None

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
