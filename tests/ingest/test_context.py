"""What a request tells of its visitor, on both ways that an event can take, and what it leaves."""

import shutil
import subprocess
import tarfile
from importlib.resources import files
from zoneinfo import available_timezones

import httpx2
import msgspec
import pytest

from ingest.context.country import Countries
from ingest.context.language import ACCEPTS_MAX, _known, language_of
from ingest.context.zones import NOWHERE, TABLE, countries, country_of_zone, of_tzdata
from ingest.importers.formats import combined
from ingest.importers.mapping import Mapping
from tests.processes import Stage, compact_once, duckdb_cli, running, wait_for

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:156.0) Gecko/20100101 Firefox/156.0"
GPTBOT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://a)"
BERLIN = {"time_zone": "Europe/Berlin"}
MMDB = "@ip-location-db/geo-whois-asn-country-mmdb@2.3.2026061719"  # of CC0


# Time zones


@pytest.mark.parametrize(
    "zone, country",
    [
        ("Europe/Berlin", "DE"),
        ("Europe/Copenhagen", "DK"),  # whose clocks go by Berlin's
        ("Asia/Calcutta", "IN"),  # as browsers still say
        ("America/Buenos_Aires", "AR"),
        ("Iceland", "IS"),
        ("Atlantic/Jan_Mayen", "SJ"),
        ("UTC", None),
        ("Etc/GMT+5", None),
        ("CET", None),
        ("EST5EDT", None),
        ("Europe/berlin", None),
        ("../etc/passwd", None),
    ],
)
def test_a_time_zone_is_of_a_country(zone, country):
    assert country_of_zone(zone) == country


def test_every_zone_that_is_a_place_has_a_country_and_the_table_is_that_of_tzdata():
    table = {
        zone: line.split()[0]
        for line in TABLE.read_text().splitlines()
        for zone in line.split()[1:]
    }
    assert table == of_tzdata(files("tzdata") / "zoneinfo"), "python -m ingest.context.zones"
    places = {zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")}
    assert {zone for zone in places if country_of_zone(zone) is None} == set()
    assert not NOWHERE & set(table)
    assert len(countries()) > 240


# Languages


@pytest.mark.parametrize(
    "accept, language",
    [
        (b"de-AT,de;q=0.9,en;q=0.8", "de"),
        (b"zh-Hant-TW", "zh"),
        (b"fil-PH,en", "fil"),
        (b"IW", "he"),
        (b"en_GB;q=1", "en"),
        (b"", None),
        (b"*", None),
        (b"xx-evil", None),
        (b"q=0.5, de", None),
        (b"\xff\xfe", None),
        (b"a" * 10_000, None),
    ],
)
def test_a_language_is_the_first_that_is_accepted(accept, language):
    assert language_of(accept) == language


def test_languages_are_remembered_up_to_a_number():
    for n in range(ACCEPTS_MAX + 10):
        language_of(b"en-%d" % n)
        assert len(_known) <= ACCEPTS_MAX


# Countries by address or header


@pytest.fixture(scope="session")
def mmdb(tmp_path_factory):
    """A real file of countries, as an operator would bring it."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("there is no npm here, by which the file comes")
    folder = tmp_path_factory.mktemp("mmdb")
    packed = subprocess.run(
        [npm, "pack", "--silent", MMDB], cwd=folder, capture_output=True, text=True
    )
    if packed.returncode:
        pytest.skip(f"npm cannot fetch {MMDB}: {packed.stderr[:200]}")
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        if hasattr(tarfile, "data_filter"):  # not in Python 3.11.2, which Debian has; 3.12 wants it
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder)
    return folder / "package" / "geo-whois-asn-country.mmdb"


def test_a_request_in_a_log_has_the_country_of_its_address(mmdb):
    mapping = Mapping(countries=Countries(str(mmdb), "", ""))
    line = b'%b - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"'
    found = {
        address: mapping.record(combined.read(line % address)).event.get("country")
        for address in (b"193.99.144.80", b"10.0.0.1", b"host.example")
    }
    assert found == {b"193.99.144.80": "DE", b"10.0.0.1": None, b"host.example": None}


def test_an_address_is_of_a_country_by_a_real_file(mmdb):
    by_address = Countries(str(mmdb), "", "")
    found = {
        address: by_address.of(address, "", {})
        for address in ("193.99.144.80", "2a02:2e0:3fe:1001:302::", "127.0.0.1", "no address")
    }
    assert list(found.values()) == ["DE", "DE", None, None]


def starts(tmp_path, **settings):
    stage = Stage("ingest", tmp_path, **settings)
    status = stage.process.wait(timeout=20)
    return status, stage.log.read_text()


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1_000])
def test_a_file_that_cannot_be_read_is_one_line_at_the_start(tmp_path, content):
    path = tmp_path / "countries.mmdb"
    if content is not None:
        path.write_bytes(content)
    status, log = starts(tmp_path, country_mmdb=path)
    assert status == 1 and len(log.splitlines()) == 1
    assert log.startswith(f"ingest: INGEST_COUNTRY_MMDB '{path}' cannot be read: ")


def test_a_file_that_was_cut_off_is_one_line_at_the_start(tmp_path, mmdb):
    path = tmp_path / "countries.mmdb"
    whole = mmdb.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    status, log = starts(tmp_path, country_mmdb=path)
    assert status == 1 and len(log.splitlines()) == 1


def test_a_header_of_nobody_who_is_trusted_is_one_line_at_the_start(tmp_path):
    status, log = starts(tmp_path, country_header="CF-IPCountry")
    assert status == 1
    assert log == ("ingest: INGEST_COUNTRY_HEADER is believed of INGEST_TRUSTED_PROXIES alone\n")


@pytest.mark.parametrize(
    "peer, said, country",
    [
        ("10.0.0.1", b"de", "DE"),
        ("10.0.0.1", b"XK", "XK"),
        ("10.0.0.1", b"XX", None),  # who does not know
        ("10.0.0.1", b"T1", None),  # Tor, to some
        ("10.0.0.1", b"DE, FR", None),
        ("192.0.2.1", b"DE", None),  # a stranger
    ],
)
def test_a_trusted_proxy_says_the_country(peer, said, country):
    by_header = Countries("", "CF-IPCountry", "10.0.0.0/8")
    assert by_header.of("203.0.113.7", peer, {b"cf-ipcountry": said}) == country


# Over HTTP, both ways: answered by the fast path, or (chunked) by the Starlette app


def chunked(body):
    yield body


@pytest.fixture(scope="module")
def ingest(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    settings = {"trusted_proxies": "127.0.0.0/8", "country_header": "CF-IPCountry"}
    with running("ingest", data_dir, **settings) as ingest:
        ingest.data_dir = data_dir
        yield ingest


def stored(ingest, site):
    content = b"".join(path.read_bytes() for path in (ingest.data_dir / "spool").iterdir())
    return [line for line in content.splitlines() if b'"site_id":"%b"' % site.encode() in line]


def facts_of(ingest, site, event, headers):
    """What became of one event, by each of the two ways, less what is of the moment."""
    body = msgspec.json.encode({"site_id": site, "event_type": "page_view"} | event)
    for wrap in (bytes, chunked):
        url = ingest.url + "/event?visitor=daily"
        response = httpx2.post(url, content=wrap(body), headers=headers)
        assert response.status_code == 202, response.text
    lines = stored(ingest, site)
    moment = (b'"timestamp":"', b'"received_at":"')
    for mark in moment:
        lines = [
            before + mark + after[28:]
            for before, _, after in (line.partition(mark) for line in lines)
        ]
    one, other = lines
    assert one == other
    found = msgspec.json.decode(stored(ingest, site)[0])
    own = ("site_id", "event_type", "timestamp", "received_at", "user_id")
    return {name: value for name, value in found.items() if name not in own}


PERSON = {"browser": "Firefox", "os": "Linux", "device": "desktop"}


@pytest.mark.parametrize(
    "event, headers, facts",
    [
        pytest.param(
            BERLIN,
            {"user-agent": FIREFOX, "accept-language": "de-AT,de", "cf-ipcountry": "FR"},
            {**PERSON, "country": "DE", "language": "de"},
            id="a zone goes before a header",
        ),
        pytest.param(
            {"time_zone": "UTC"},
            {"user-agent": FIREFOX, "cf-ipcountry": "FR"},
            {**PERSON, "country": "FR"},
            id="a header where the zone is no place",
        ),
        pytest.param(
            {**BERLIN, "country": "AT", "language": "hr"},
            {"user-agent": FIREFOX, "accept-language": "de"},
            {**PERSON, "country": "AT", "language": "hr"},
            id="what the sender says goes first",
        ),
        pytest.param(
            {"browser": "Safari", "device": "mobile"},
            {"user-agent": "python-requests/2.32"},
            {"browser": "Safari", "device": "mobile"},
            id="who speaks of another agent is not taken for its own",
        ),
        pytest.param({}, {"user-agent": GPTBOT}, {"browser": "GPTBot", "bot": "ai"}, id="a robot"),
        pytest.param({}, {"user-agent": ""}, {"bot": "other"}, id="no agent"),
    ],
)
def test_both_ways_tell_the_same_of_a_visitor(ingest, request, event, headers, facts):
    site = str(abs(hash(request.node.name)))
    assert facts_of(ingest, site, event, headers) == facts


def test_a_batch_has_the_facts_of_its_request(ingest):
    events = [{"site_id": "batch", "event_type": "a"}, {"site_id": "batch", "event_type": "b"}]
    url = ingest.url + "/events?visitor=daily"
    headers = {"user-agent": FIREFOX, "accept-language": "fr"}
    assert httpx2.post(url, json=events, headers=headers).json()["accepted"] == 2
    lines = map(msgspec.json.decode, stored(ingest, "batch"))
    assert [(line["browser"], line["language"]) for line in lines] == [("Firefox", "fr")] * 2


def test_without_visitor_nothing_is_looked_at_but_a_time_zone_that_is_sent(ingest):
    event = {"site_id": "plain", "event_type": "page_view", **BERLIN}
    assert httpx2.post(ingest.url + "/event", json=event).status_code == 202
    (line,) = map(msgspec.json.decode, stored(ingest, "plain"))
    assert set(line) == {"site_id", "event_type", "timestamp", "received_at", "country"}
    assert line["country"] == "DE"


# Nobody is kept

AT_DEBUG = """
from ingest.__main__ import main
from ingest.http import serve
serve.LOGGING["root"]["level"] = "DEBUG"
main()
"""
SECRETS = {
    "peer": "127.0.0.77",
    "client": "203.0.113.99",
    "agent": "Unmistakable/7.7",
    "robot": "GPTBot/99.98.97",
    "zone": "Antarctica/Troll",
    "no zone": "Atlantis/Capital",
    "languages": "gsw-Unmistakable",
}


def test_nothing_of_a_visitor_is_left_in_files_logs_or_metrics(tmp_path):
    settings = {"trusted_proxies": "127.0.0.0/8", "segment_age_s_max": 0.1}
    with running("ingest", tmp_path, program=AT_DEBUG, **settings) as ingest:
        metrics = send_as_somebody(ingest.url)
        wait_for(lambda: list((tmp_path / "spool").glob("*.jsonl")), "a closed segment")
        shutil.copytree(tmp_path / "spool", tmp_path / "spool as it was")
        ingest.stop()
    (tmp_path / "compactor.log").write_text(compact_once(tmp_path))
    (tmp_path / "metrics").write_text(metrics)
    glob = f"{tmp_path}/lake/events/**/*.parquet"
    rows = duckdb_cli(f"SELECT * FROM read_parquet('{glob}')")
    assert "private" in rows and "GPTBot" in rows
    (tmp_path / "rows").write_text(rows)  # which are compressed in their files
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for what, secret in SECRETS.items():
            assert secret.encode() not in content, f"{what} in {path.name}"


def send_as_somebody(url):
    """Events that are kept and events that are refused, in every way; returns the metrics."""
    event = {"site_id": "private", "event_type": "page_view", "time_zone": SECRETS["zone"]}
    bad = [
        (422, {**event, "time_zone": SECRETS["no zone"] * 9}),
        (422, {**event, "scroll": 101}),
        (422, {**event, "unknown": 1}),
    ]
    transport = httpx2.HTTPTransport(local_address=SECRETS["peer"])
    with httpx2.Client(transport=transport) as client:
        client.headers |= {
            "accept-language": SECRETS["languages"],
            "x-forwarded-for": SECRETS["client"],
        }
        for agent in (SECRETS["agent"], SECRETS["robot"]):
            client.headers["user-agent"] = agent
            good = [event, {**event, "time_zone": SECRETS["no zone"]}]
            for status, sent in [(202, each) for each in good] + bad:
                body = msgspec.json.encode(sent)
                for wrap in (bytes, chunked):
                    answer = client.post(url + "/event?visitor=daily", content=wrap(body))
                    assert answer.status_code == status
            answer = client.post(url + "/events?visitor=daily", json=good)
            assert answer.json()["accepted"] == 2
            assert client.post(url + "/event?visitor=daily", content=b"{").status_code == 400
            assert client.get(url + "/nowhere").status_code == 404
        return client.get(url + "/metrics").text
