import pytest


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    """Where the studies' commands write their records."""
    monkeypatch.setenv("KAWHI_RECORDS", str(tmp_path / "records"))
    return tmp_path / "records"
