"""Several servers of one model, asked as if they were one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from kawhi.evaluation.endpoint import Completion, Endpoint, EndpointError, Refused


class Replicas:
    """A request goes to the server with the fewest in flight; one that was given up is left out.

    Args:
        endpoints: at least one.
    """

    def __init__(self, endpoints: Sequence[Endpoint]):
        self.endpoints = endpoints
        self._in_flight: Counter[int] = Counter()

    async def chat(self, messages: list[dict[str, Any]], *, max_tokens: int, **sampling: Any) -> Completion:
        """As :meth:`kawhi.evaluation.endpoint.Endpoint.chat`.

        Raises:
            EndpointError: as there, or all servers have been given up.
        """
        while True:
            alive = [i for i, endpoint in enumerate(self.endpoints) if not endpoint.given_up]
            chosen = min(alive or [0], key=lambda i: self._in_flight[i])
            self._in_flight[chosen] += 1
            try:
                return await self.endpoints[chosen].chat(messages, max_tokens=max_tokens, **sampling)
            except Refused:
                raise
            except EndpointError:
                if not self.endpoints[chosen].given_up or all(each.given_up for each in self.endpoints):
                    raise
            finally:
                self._in_flight[chosen] -= 1

    async def check(self) -> None:
        """Asks every server for its models.

        Raises:
            CellError: one cannot be reached, or does not serve the model.
        """
        for endpoint in self.endpoints:
            await endpoint.check()
