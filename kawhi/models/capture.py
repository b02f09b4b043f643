"""What hooks keep of one forward pass, and where in a wrapped model they sit."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


def unwrapped(model: Any) -> Any:
    """transformers' own model, inside what a trainer puts around it: a parallel ``module``, PEFT's adapters."""
    inner = getattr(model, "module", model)
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner


class Capture:
    """Keeps what its hooks see of the next forward pass while it is armed, and costs nothing while it is not."""

    def __init__(self) -> None:
        self.armed = False
        self.seen: dict[str, Any] = {}
        self._hooks: list[RemovableHandle] = []

    def arm(self) -> None:
        """Keeps the next forward pass."""
        self.seen, self.armed = {}, True

    def disarm(self) -> None:
        """Drops what was kept."""
        self.seen, self.armed = {}, False

    def remove(self) -> None:
        """Takes the hooks off the model."""
        self.disarm()
        for hook in self._hooks:
            hook.remove()

    def keep_output(self, name: str, module: nn.Module) -> None:
        self._hooks.append(module.register_forward_hook(partial(self._output, name)))

    def keep_inputs(self, module: nn.Module, **names: str) -> None:
        """Keeps inputs that the module is given by name: the name that they are kept under, and the module's own."""
        self._hooks.append(module.register_forward_pre_hook(partial(self._inputs, names), with_kwargs=True))

    def _output(self, name, module, args, output) -> None:
        if self.armed:
            self.seen[name] = output.detach()

    def _inputs(self, names, module, args, given) -> None:
        if self.armed:
            self.seen |= {name: given[own] for name, own in names.items()}
