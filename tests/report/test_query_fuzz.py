"""Whatever is written into a question: an answer of the right shape, or a refusal that says where.

`python -m tests.report.test_query_fuzz 5000` asks so many.
"""

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from report.terms.query.dimensions import names
from report.terms.query.filters import OF_FILTERS
from report.terms.query.metrics import NAMES
from report.terms.query.operators import OPERATORS
from tests.report import query_page
from tests.report.holding import Folder, asking
from tests.report.query_worlds import GOALS

JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-3, 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
)


def mostly(strategy):
    return st.integers(0, 99).flatmap(lambda n: JUNK if n == 77 else strategy)


METRICS = st.sampled_from(
    [*["visitors", "visits", "events"] * 8, *NAMES, "sum:props.amount", "max:props.a/~b"]
)
DIMENSIONS = st.sampled_from([*names(), "event:props:plan", "event:props:", "visit:city"])
TEXTS = st.sampled_from(["", "/", "(not set)", "mobile", "^/(a|b)", "pro", "é", "\x00", "("])


@st.composite
def leaves(draw):
    operator = draw(mostly(st.sampled_from(list(OPERATORS))))
    takes = OPERATORS[operator].takes if isinstance(operator, str) and operator in OPERATORS else ""
    if takes == "nothing":
        return [operator, draw(mostly(DIMENSIONS))]
    if takes == "number":
        return [operator, "event:props:amount", [draw(mostly(st.integers(-5, 5)))]]
    values = draw(st.lists(mostly(TEXTS), min_size=1, max_size=3))
    more = draw(st.sampled_from([[], [{"case_sensitive": False}]]))
    return [operator, draw(mostly(DIMENSIONS)), values, *more]


LEAVES = leaves()
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.tuples(st.sampled_from(OF_FILTERS), inner | st.lists(inner, max_size=3)).map(
        list
    ),
    max_leaves=5,
)
DATES = st.sampled_from(
    [
        *("day", "24h", "7d", "5000d", "99mo", "month", "year", "all", "all", "0d"),
        *[["2025-11-03", "2025-11-12"]] * 6,
        ["2025-11-12", "2025-11-03"],
        ["2025-11-10T10:00:00+01:00", "2025-11-12T00:00:00.5Z"],
        ["1970-01-01", "2199-12-31"],
        ["2025-02-30", "2025-11-12"],
    ]
)
SELECTED = {
    "site_id": mostly(st.sampled_from(["shop", ["shop", "blog"]])),
    "date_range": mostly(DATES),
}
SELECTED_OPTIONALLY = {
    "filters": mostly(st.lists(FILTERS, max_size=3)),
    "tz": mostly(st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"])),
    "bots": st.sampled_from(["include", "exclude", "only"]),
    "goals": st.lists(st.sampled_from(GOALS), max_size=3, unique_by=str),
}
PAGES = st.sampled_from([{"limit": 3}, {"offset": 10**6}, {}])
GOAL_NAMES = st.sampled_from([goal["name"] for goal in GOALS])


def bodies(required, optional):
    others = {name: each for name, each in SELECTED_OPTIONALLY.items() if name not in required}
    return st.fixed_dictionaries(SELECTED | required, optional=others | optional)


BODIES = {
    "/query": bodies(
        {"metrics": mostly(st.lists(mostly(METRICS), min_size=1, max_size=4, unique_by=str))},
        {
            "dimensions": mostly(st.lists(mostly(DIMENSIONS), max_size=3, unique_by=str)),
            "order_by": st.lists(st.tuples(METRICS, st.sampled_from(["asc", "desc"])), max_size=1),
            "pagination": PAGES,
            "include": st.sampled_from(
                [
                    {"time_labels": True, "total_rows": True},
                    {"comparisons": {"mode": "previous_period"}},
                    {"comparisons": {"mode": "year_over_year"}, "imports": True},
                    {"comparisons": {"mode": "custom", "date_range": ["2025-11-01", "2025-11-02"]}},
                ]
            ),
        },
    ),
    "/funnel": bodies(
        {
            "steps": mostly(st.lists(GOAL_NAMES | GOAL_NAMES | FILTERS, min_size=2, max_size=4)),
            "goals": st.just(GOALS),
        },
        {
            "window_s": mostly(st.sampled_from([1, 60, 10**7])),
            "unit": mostly(st.sampled_from(["visitor", "visit"])),
            "order": mostly(st.sampled_from(["sequential", "strict", "any"])),
            "dimensions": mostly(st.lists(mostly(DIMENSIONS), max_size=1)),
            "pagination": PAGES,
        },
    ),
    "/retention": bodies(
        {},
        {
            "interval": mostly(st.sampled_from(["day", "week", "month"])),
            "periods": mostly(st.sampled_from([1, 1_000])),
        },
    ),
    "/journeys": bodies(
        {},
        {
            "from": mostly(LEAVES | FILTERS | TEXTS),
            "to": mostly(LEAVES | FILTERS | TEXTS),
            "steps": mostly(st.sampled_from([2, 10])),
            "dimensions": mostly(st.sampled_from([["event:page"], ["event:name"], []])),
            "pagination": PAGES,
        },
    ),
}


def ask(client, path, body):
    """The status."""
    answer = client.post(path, json=body)
    told = answer.json()
    if answer.status_code == 200 and path != "/query":
        assert told.keys() == {"results", "meta", "query"}
    elif answer.status_code == 200:
        width = len(body.get("dimensions") or []), len(body["metrics"])
        for row in told["results"]:
            assert (len(row["dimensions"]), len(row["metrics"])) == width, body
    else:
        assert (answer.status_code, told["code"]) == (400, "bad_query"), (body, told)
        assert "`$" in told["detail"] or "Object" in told["detail"], (body, told)
    return answer.status_code


def run(path, examples):
    statuses = []
    with tempfile.TemporaryDirectory() as folder:
        query_page.fill(Folder(Path(folder)))
        with asking(Path(folder)) as client:

            @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
            @given(BODIES[path])
            def asked(body):
                statuses.append(ask(client, path, body))

            asked()
    return statuses


@pytest.mark.parametrize("path", BODIES)
def test_whatever_is_asked_is_answered_or_refused(path):
    assert set(run(path, 60 if path == "/query" else 30)) == {200, 400}


if __name__ == "__main__":
    for path in BODIES:
        statuses = run(path, int(sys.argv[1]))
        answered, refused = statuses.count(200), statuses.count(400)
        print(f"{path}: {len(statuses)} asked, {answered} answered, {refused} refused")
