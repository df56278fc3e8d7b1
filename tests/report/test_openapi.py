"""The OpenAPI document is true: whatever it lets one ask, what comes back is in it."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks

from report.app import RESOURCES
from tests.processes import PROJECT, running
from tests.report.holding import Folder, event

load_all_checks()
# Not positive_data_acceptance: that from is not after to, JSON Schema cannot say.
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]
API = (PROJECT / "docs" / "api.md").read_text()


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("data"))
    folder.holds(event(path="/", user_id="ann"), event(referrer="https://a.example/"))
    folder.holds(event(props={"plan": "pro"}), where="open")
    with running("report", folder.path) as report:
        yield schemathesis.openapi.from_url(report.url + "/openapi.json")


def operations(document):
    found = (each.ok() for each in document.get_all_operations())
    return {(each.method.upper(), each.path): each for each in found}


ASKED = [(method, each.path) for each in RESOURCES for method in each.methods]


# Schemathesis leaves out the path from which it has the document
@pytest.mark.parametrize(("method", "path"), [one for one in ASKED if one[1] != "/openapi.json"])
def test_no_answer_is_undocumented(document, method, path):
    operation = operations(document)[method, path]

    @given(case=operation.as_strategy())
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    def conforms(case):
        case.call_and_validate(checks=CHECKS)

    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    def refuses(case):
        case.call_and_validate(checks=CHECKS)

    conforms()
    if len(operation.query) or method == "POST":  # else nothing can be wrong
        refuses()


def test_every_path_is_in_the_readme_and_every_path_of_the_readme_is_documented(document):
    table = re.search(r"\| question \| what \|\n(.*?)\n\n", API, re.S)[1]
    told = set(re.findall(r"(/[a-z0-9/.]+)`", table)) | {"/health", "/ready"}
    assert told == set(document.raw_schema["paths"])
