"""The whole product: real processes, real sockets, real files."""

import httpx2

from tests.processes import compact_once, duckdb_cli, running, stats


def test_an_event_is_counted_from_its_acknowledgement_to_the_lake(tmp_path):
    with running("ingest", tmp_path) as ingest, running("report", tmp_path) as report:
        event = {"site_id": "blog", "event_type": "page_view", "path": "/", "user_id": "ann"}
        assert httpx2.post(ingest.url + "/event", json=event).status_code == 202
        expected = {
            "site_id": "blog",
            "date": None,
            "total_views": 1,
            "unique_users": 1,
            "top_paths": [{"path": "/", "views": 1}],
        }
        assert stats(report, "blog") == expected  # from the open segment
        assert ingest.stop() == 0
        assert stats(report, "blog") == expected  # from the closed one
        compact_once(tmp_path)
        assert list((tmp_path / "spool").iterdir()) == []
        assert stats(report, "blog") == expected  # from the lake
        assert report.stop() == 0
    glob = tmp_path / "lake" / "events" / "**" / "*.parquet"
    assert duckdb_cli(f"SELECT site_id, path, user_id FROM '{glob}'") == "blog,/,ann"
    view = "SELECT site_id, path, user_id FROM events"
    assert duckdb_cli(view, database=tmp_path / "lake.duckdb") == "blog,/,ann"
