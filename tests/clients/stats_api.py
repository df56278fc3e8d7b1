"""Clients of Plausible's Stats API, unchanged, against a report over a small shop.

    python -m venv V && V/bin/pip install plausible-mcp==0.1.2
    python -m tests.clients.stats_api V/bin/python

The server is started as an assistant starts it and is asked over its own protocol (MCP, stdio).
What it sends is written down in stats_api.txt, which the suite asks again without the client; what
it makes of the answers is printed. Its reports to its author are switched off (DO_NOT_TRACK).
"""

import json
import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

from tests.processes import running
from tests.report.holding import Folder
from tests.report.query_page import fill

TOKEN = "of-the-shop"
RECORDED = Path(__file__).with_suffix(".txt")
WEEK = {"date_range": "2025-11-10,2025-11-16"}
CALLS = [
    ("doctor", {}),
    ("get_aggregate_stats", {"site_id": "https://shop/", **WEEK}),
    ("get_breakdown", {"site_id": "shop", "property_name": "page", **WEEK}),
    ("get_breakdown", {"site_id": "shop", "property_name": "source", **WEEK}),
    (
        "get_breakdown",
        {"site_id": "shop", "property_name": "event:props:plan", **WEEK},
    ),
    ("get_breakdown", {"site_id": "shop", "property_name": "city", **WEEK}),
    ("get_timeseries", {"site_id": "shop", **WEEK}),
    ("get_realtime_visitors", {"site_id": "shop"}),
]


class Recorder:
    """Between the two: passes everything on, and writes down what was asked."""

    def __init__(self, target):
        self.asked = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                recorder.asked.append((self.path, self.headers["Accept"]))
                request = Request(target + self.path, headers={**self.headers, "Host": "localhost"})
                try:
                    answer = urlopen(request)
                except OSError as error:
                    answer = error
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers["content-type"])
                self.end_headers()
                self.wfile.write(answer.read())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


def call(python, url):
    """What each tool says."""
    environ = {"PLAUSIBLE_BASE_URL": url, "PLAUSIBLE_API_KEY": TOKEN, "DO_NOT_TRACK": "1"}
    server = subprocess.Popen(
        [python, "-m", "plausible_mcp.server"],
        env=os.environ | environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(id, method, **parameters):
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": parameters}
        server.stdin.write(json.dumps(message) + "\n")
        server.stdin.flush()
        while True:
            answer = json.loads(server.stdout.readline())
            if answer.get("id") == id:
                return answer["result"]

    about = {"name": "footfall", "version": "1"}
    ask(0, "initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo=about)
    server.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
    for n, (name, arguments) in enumerate(CALLS, 1):
        result = ask(n, "tools/call", name=name, arguments=arguments)
        yield name, arguments, result["content"][0]["text"]
    server.stdin.close()
    server.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        fill(Folder(Path(folder)))
        with running("report", Path(folder), token=TOKEN) as report:
            recorder = Recorder(report.url)
            for name, arguments, text in call(sys.argv[1], recorder.url):
                print(name, json.dumps(arguments), text, sep="\n", end="\n\n")
            lines = [f"{accept} {path}\n" for path, accept in recorder.asked]
            RECORDED.write_text("".join(lines))


if __name__ == "__main__":
    main()
