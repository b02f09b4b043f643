"""``kawhi probe``: what hangs below it is a file of its own."""

from __future__ import annotations

from kawhi.commands.app import app


@app.group(short_help="what a policy's gradients say, and what alpha sees, without training")
def probe() -> None:
    """Probes look at a policy and train nothing."""
