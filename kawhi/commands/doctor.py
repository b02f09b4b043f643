"""``kawhi doctor``."""

from __future__ import annotations

from pathlib import Path

import click

from kawhi.commands.app import app


@app.command(short_help="check this machine, with one thing to do per finding")
@click.option("--folder", type=Path, default=Path("."), help="where runs are written")
@click.option("--cluster", is_flag=True, help="check the Slurm cluster instead, on some of its nodes")
@click.option("--nodes", type=int, metavar="N", help="with --cluster: how many (default: 2, or the only one)")
@click.option("--scale", metavar="NAME", help="with --cluster: whose needs (default: the site's, or h200x8)")
@click.option("--runs", type=Path, metavar="FOLDER", help="with --cluster: paths.runs (default: the site's)")
def doctor(folder: Path, cluster: bool, nodes: int | None, scale: str | None, runs: Path | None) -> int:
    """Checks this machine, or a cluster, and says one thing to do per finding."""
    if cluster:
        from kawhi.doctor.cluster import report_cluster

        return report_cluster(scale, nodes, runs)
    from kawhi.doctor.machine import report

    return report(folder)
