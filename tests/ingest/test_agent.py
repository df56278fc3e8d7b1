"""What every user agent of agents.tsv is taken for, and that nothing of an agent itself is kept.

agents.tsv: where it was found, browser, os, device, bot, agent; `-` stands for nothing.
"""

import time
from pathlib import Path

import msgspec
import pytest

from ingest.context import agent
from ingest.context.agent import AGENT_BYTES_MAX, AGENTS_MAX, Agent, classify
from ingest.event import Bot, Device

TABLE = Path(__file__).with_name("agents.tsv")


def table():
    for row in TABLE.read_text().split("\n")[1:-1]:
        found, *expected, user_agent = row.split("\t")
        yield found, Agent(*(None if each == "-" else each for each in expected)), user_agent


def test_every_agent_of_the_table_is_taken_for_what_it_is():
    wrong = [
        (user_agent, expected, found)
        for _, expected, user_agent in table()
        if (found := classify(user_agent.encode("utf-8"))) != expected
    ]
    assert wrong == []


def test_the_table_has_people_of_now_and_of_ten_years_ago_and_a_hundred_robots():
    rows = list(table())
    assert len(rows) >= 300
    robots = [expected for _, expected, _ in rows if expected.bot]
    assert len(robots) >= 100
    assert {robot.bot for robot in robots} == set(msgspec.inspect.type_info(Bot).values)
    devices = {expected.device for _, expected, _ in rows} - {None}
    assert devices == set(msgspec.inspect.type_info(Device).values)
    assert sum(expected.bot == "ai" for expected in robots) >= 15
    assert all(found for found, _, _ in rows)


def test_no_name_of_an_agent_is_one_that_it_made_up():
    for text in (
        "Unmistakable/1",
        "Mozilla/5.0 Unmistakable/1 bot",
        "Unmistakable bot/2 +http://a",
    ):
        assert "Unmistakable" not in repr(classify(text.encode()))


def test_what_stands_far_back_in_an_agent_is_not_looked_at():
    chrome = b"Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/153.0.0.0 Safari/537.36"
    assert classify(chrome.ljust(AGENT_BYTES_MAX) + b" Googlebot/2.1").bot is None
    assert classify(chrome + b" Googlebot/2.1").bot == "search"


def test_agents_are_remembered_up_to_a_number_and_forgotten():
    agent.forget()
    for n in range(AGENTS_MAX + 10):
        classify(b"Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0" % (n, n))
        assert len(agent._known) <= AGENTS_MAX
    assert len(agent._known) == 10
    assert agent.parse.cache_info().currsize <= 10
    agent.forget()
    assert not agent._known and agent.parse.cache_info().currsize == 0


@pytest.mark.parametrize(
    "piece", [b"a", b"bot ", b"a@", b"(compatible;", b"http://", b"\xff", b"."]
)
def test_the_worst_agent_costs_milliseconds(piece):
    agent.prepare()
    began = time.perf_counter()
    classify(piece * 10_000)
    assert time.perf_counter() - began < 0.1
