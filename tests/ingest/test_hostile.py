"""Whatever is sent to it, ingest answers with a reason and goes on serving the others."""

import asyncio
import json
import signal
import time

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.event import StoredEvent, decode_line
from tests.http.messages import LAST, request, run, statuses
from tests.http.wire import converse, spool_bytes, worker
from tests.processes import running

DEADLINES = {"headers_s_max": 2, "body_s_max": 2, "idle_s_max": 2}
BAD = [b"POST /event HTTP/1.1\r\nHost: x\r\nX: 1\r\n", request()[:-1], b""]


def test_1500_slow_clients_are_gone_after_their_deadline_and_nobody_else_notices(tmp_path):
    async def bad(port, start):
        """How long it took until the server closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        began = time.monotonic()
        answer = await reader.read()
        writer.close()
        assert statuses(answer) == ([408] if start else [])
        return time.monotonic() - began

    async def normal(port, until_done):
        """What was answered, over connections of few requests each."""
        seen = []
        while not until_done.done():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(5):
                writer.write(request())
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(21)
                seen += statuses(head)
            writer.close()
            await asyncio.sleep(0.005)
        return seen

    async def main(port):
        crowd = asyncio.gather(*(bad(port, start) for start in BAD for _ in range(500)))
        clients = [asyncio.create_task(normal(port, crowd)) for _ in range(8)]
        took = await crowd
        answered = [status for client in clients for status in await client]
        return took, answered

    with running("ingest", tmp_path, **DEADLINES) as ingest:
        took, answered = run(main(ingest.port))
        assert max(took) < 2 + 2  # the deadline, a sweep, and a busy machine
        assert len(answered) > 1_000
        assert answered.count(202) >= 0.999 * len(answered)
        assert ingest.stop() == 0


def test_a_crowd_of_half_requests_does_not_hold_up_a_stop(tmp_path):
    async def main(ingest):
        writers = []
        for start in [*BAD, request(target=b"/events")[:-1]] * 20:
            _, writer = await asyncio.open_connection("127.0.0.1", ingest.port)
            writer.write(start)
            writers.append(writer)
        await asyncio.sleep(0.2)
        ingest.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert await asyncio.to_thread(ingest.process.wait, 10) == 0
        for writer in writers:
            writer.close()
        return time.monotonic() - started

    with running("ingest", tmp_path) as ingest:
        assert run(main(ingest)) < 5
    assert "Traceback" not in ingest.log.read_text()


# Broken JSON of every kind

MEMBERS = st.sampled_from([*StoredEvent.__struct_fields__, "x"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=70)
    | st.datetimes().map(lambda at: at.isoformat() + "Z")
    | st.sampled_from(["", "blog", "page_view", "1e999", "2026-02-30T00:00:00Z", "\x00", "\u2028"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
EVENTS = st.dictionaries(MEMBERS, VALUES, max_size=8)
NEARLY = st.fixed_dictionaries(
    {"site_id": st.text(max_size=66), "event_type": st.just("page_view")},
    optional={
        "path": LEAVES,
        "timestamp": LEAVES,
        "props": st.dictionaries(st.text(max_size=66), LEAVES, max_size=4),
    },
)
TEXTS = (EVENTS | NEARLY | VALUES).map(lambda value: json.dumps(value).encode())


@st.composite
def damaged(draw):
    """JSON with some bytes put in, or left out."""
    text = draw(TEXTS)
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.binary(max_size=4)) + text[at + draw(st.integers(0, 3)) :]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(TEXTS | damaged() | st.binary(max_size=50), min_size=1, max_size=60))
def test_no_body_gets_a_5xx_or_a_line_that_cannot_be_read(tmp_path_factory, bodies):
    folder = tmp_path_factory.mktemp("data")

    async def main():
        async with worker("fast", folder) as ingest:
            single = await converse(ingest, [*map(request, bodies), LAST])
            kept = spool_bytes(folder).count(b"\n")
            batch = request(b"\n".join(bodies), target=b"/events")
            array = request(b"[" + b",".join(bodies) + b"]", target=b"/events")
            return single, kept, await converse(ingest, [batch, array, LAST])

    single, kept, batches = run(main())
    assert len(statuses(single)) == len(bodies) + 1
    assert set(statuses(single)) <= {200, 202, 400, 422}
    assert statuses(single).count(202) == kept
    assert set(statuses(batches)) <= {200, 202, 207, 400, 422}
    for line in spool_bytes(folder).splitlines(keepends=True):
        assert line.endswith(b"\n")
        assert decode_line(line).received_at
        orjson.loads(line)
