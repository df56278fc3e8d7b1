"""A request that starts after a 202 counts that event, whatever else goes on."""

from tests.chaos import freshness


def test_no_answer_is_late_and_none_counts_twice(tmp_path, capsys):
    assert freshness.run(tmp_path, asks=400, kill_every_s=1.5) == 0, capsys.readouterr().out
