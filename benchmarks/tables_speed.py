"""How long ``python analysis/make_tables.py`` takes from a thousand records; the aim is less than five seconds.

    python benchmarks/tables_speed.py

Synthetic records, as the tests make them: three algorithms, two models, every credit method, nine seeds.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.analysis.synthetic import Folder, thousand_records  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(Path(name))
        thousand_records(folder)
        script = [sys.executable, str(ROOT / "analysis" / "make_tables.py")]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*script, "--records", str(folder.records), "--out", str(folder.out)], check=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{len(list(folder.records.iterdir()))} records: {wall:.1f} s, {used:.1f} s of processor time")


if __name__ == "__main__":
    main()
