"""docs/query.md: its tables are the code's, and its questions are asked of a small shop.

`python -m tests.report.query_page` writes tables and answers anew.
"""

import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from report.terms.query.dimensions import PROPS, TIMES, dimensions
from report.terms.query.metrics import METRICS
from report.terms.query.numbers import OF_PROPS, REVENUE
from report.terms.query.operators import OPERATORS
from tests.processes import PROJECT
from tests.report.holding import Folder, asking, event

PAGE = PROJECT / "docs" / "query.md"
MONDAY = datetime(2025, 11, 3, tzinfo=UTC)
QUESTION = re.compile(
    r"```json(?: (/\w+))?\n(\{\"site_id.*?)\n```\n(?:\n```json\n.*?\n```\n)?", re.S
)


def fill(folder):
    """Two weeks of a shop, and some robots."""
    random = Random(11)
    events = []
    for n in range(160):
        at = MONDAY + timedelta(minutes=random.randrange(14 * 1440))
        known = {
            "user_id": f"u{n % 90}",
            "country": random.choice(["DE", "DE", "EE", "US"]),
            "device": random.choice(["mobile", "desktop"]),
            "site_id": "shop",
        }
        came = random.choice([{}, {"referrer": "https://www.google.com/"}, {"utm_source": "news"}])
        events += visit(random, at, known, came)
    for n in range(9):
        robot = {"bot": "ai", "browser": "GPTBot", "user_id": None}
        name = random.choice(["shop", "blog"])
        path = random.choice(["/", "/pricing"])
        events.append(event(MONDAY + timedelta(days=8, hours=n), site_id=name, path=path, **robot))
    folder.holds(*events)


def visit(random, at, known, came):
    path = random.choice(["/", "/", "/pricing", "/docs/start"])
    while path:
        yield event(at, path=path, **known, **came)
        if random.random() < 0.8:
            read = {"engaged_ms": random.randrange(20) * 1000, "scroll": random.randrange(100)}
            yield event(
                at + timedelta(seconds=25), event_type="engagement", path=path, **known, **read
            )
        if path == "/pricing" and random.random() < 0.5:
            plan = random.choice(["free", "pro"])
            yield event(
                at + timedelta(seconds=40), event_type="signup", props={"plan": plan}, **known
            )
            if plan == "pro":
                props = {"plan": plan, "amount": random.choice([9, 19])}
                yield event(at + timedelta(seconds=50), event_type="order", props=props, **known)
        came, at = {}, at + timedelta(seconds=60)
        path = random.choice([None, "/pricing", "/docs/start"])


def tables():
    """The rows of each, by its name on the page."""
    props = {f"{name}:props.KEY`*" for name in OF_PROPS}
    metrics = [(f"{name}`", row.words) for name, row in METRICS.items()]
    metrics += [(f"{name}`", words) for name, words in REVENUE.items()]
    numbers = ", `".join(sorted(props, key=lambda one: OF_PROPS.index(one.split(":")[0])))
    metrics.append((numbers, "Of a prop's values that are numbers."))
    told = [(f"{name}`", f"{row.words}.", row.example) for name, row in dimensions().items()]
    assert all(example for *_, example in told)
    told += [
        (f"{PROPS}KEY`", "A value of props.", "pro"),
        ("time`, `" + "`, `".join(TIMES) + "`", "Time."),
    ]
    operators = [
        (f"{name}`", f"{row.words}", f"`{row.example}`" if row.example else "")
        for name, row in OPERATORS.items()
    ]
    return {
        "metrics": table(("metric", "what it counts"), metrics),
        "dimensions": table(("dimension", "what it is", "for example"), told),
        "operators": table(("operator", "it holds of", "for example"), operators),
    }


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| `" + " | ".join(row) + " |" for row in rows)])


def written(page):
    """The page as it should be."""
    for name, text in tables().items():
        page = re.sub(
            rf"<!-- {name} -->.*?<!-- end -->",
            lambda _, name=name, text=text: f"<!-- {name} -->\n{text}\n<!-- end -->",
            page,
            flags=re.S,
        )
    with tempfile.TemporaryDirectory() as folder:
        fill(Folder(Path(folder)))
        with asking(Path(folder)) as client:
            return QUESTION.sub(lambda match: answered(client, match[1], match[2]), page)


def answered(client, path, question):
    told = client.post(path or "/query", content=question)
    assert told.status_code == 200, told.text
    answer = told.json()
    lines = [json.dumps(row, ensure_ascii=False) for row in answer["results"]]
    shown = '{"results": [\n  ' + ",\n  ".join(lines) + "],\n "
    shown += f'"meta": {json.dumps(answer["meta"], ensure_ascii=False)}, "query": …}}'
    return f"```json{f' {path}' if path else ''}\n{question}\n```\n\n```json\n{shown}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
