"""The table's job."""

from __future__ import annotations

import pytest

from kawhi.cluster.table_job import TableJob
from tests.cluster.made import run_directory


def test_a_record_that_is_not_where_tables_look_is_not_left_out(tmp_path, capsys):
    cell = run_directory(tmp_path / "runs" / "cell-123abc", until="record").path
    job = TableJob("main_table", [cell], tmp_path / "records", tmp_path / "tables", tmp_path / "stamp", partial=False)
    with pytest.raises(SystemExit, match="1"):
        job()
    assert f"{cell}/record.json as cell-123abc.json" in capsys.readouterr().err
    assert not job.stamp.exists()
