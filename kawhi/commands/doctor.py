"""``kawhi doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.commands.app import app


@app.command(short_help="check this machine, with one thing to do per finding")
@click.argument("words", nargs=-1, metavar="[scale=NAME]", help="whose needs (default: what is installed is for)")
@click.option("--folder", type=Path, default=Path("."), help="where runs are written")
@click.option("--cluster", is_flag=True, help="check the Slurm cluster instead, on some of its nodes")
@click.option("--nodes", type=int, metavar="N", help="with --cluster: how many (default: 2, or the only one)")
@click.option(
    "--scale", metavar="NAME", help="the same as scale=NAME; with --cluster the default is the site's, or h200x8"
)
@click.option("--runs", type=Path, metavar="FOLDER", help="with --cluster: paths.runs (default: the site's)")
def doctor(
    words: tuple[str, ...], folder: Path, cluster: bool, nodes: int | None, scale: str | None, runs: Path | None
) -> int:
    """Checks this machine, or a cluster, for cells of a scale, and says one thing to do per finding."""
    if others := [word for word in words if not word.startswith("scale=")]:
        raise click.UsageError(f"{others[0]} says nothing to the doctor, which asks for scale=NAME alone")
    scale = words[-1].removeprefix("scale=") if words else scale
    if cluster:
        from kawhi.doctor.cluster import report_cluster

        return report_cluster(scale, nodes, runs)
    from kawhi.doctor.machine import report

    return report(folder, scale)
