"""The table's job."""

from __future__ import annotations

import pytest

from kawhi.cluster.table_job import TableJob
from tests.cluster.made import run_directory


def test_a_record_that_is_not_where_tables_look_is_not_left_out(tmp_path, capsys):
    cell = run_directory(tmp_path / "runs" / "cell-123abc", until="record").path
    records = [tmp_path / "records", tmp_path / "published"]
    job = TableJob("main_table", [cell], records, tmp_path / "tables", tmp_path / "stamp", partial=False)
    with pytest.raises(SystemExit, match="1"):
        job()
    said = capsys.readouterr().err
    assert f"1 records are not in {records[0]} or {records[1]}, which" in said
    assert f"{cell}/record.json as cell-123abc.json" in said
    assert not job.stamp.exists()
