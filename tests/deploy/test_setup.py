"""What a stranger types, and what deploy/ says, against what there is: the long commands do it."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.server import commands
from tests.processes import PROJECT

STAGES = ("ingest", "compactor", "report")
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
DEPLOY = [path for path in (PROJECT / "deploy").rglob("*") if path.is_file()]
PAGES = [("README.md", "server"), ("docs/operating.md", "backup"), ("docs/operating.md", "restore")]


def settings():
    modules = (__import__(f"{stage}.settings").settings for stage in STAGES)
    return {name for each in modules for name in each.Settings.__struct_encode_fields__}


@pytest.mark.parametrize(("page", "which"), PAGES)
def test_each_line_to_type_is_a_line_of_shell_about_files_that_there_are(page, which, tmp_path):
    lines = commands(page, which)
    for line in lines:
        assert subprocess.run(["bash", "-n", "-c", line]).returncode == 0
        for name in re.findall(r"(?<![\w/.])(?:deploy|requirements)/[\w./*-]+", line):
            assert list(PROJECT.glob(name)), name
        for unit in re.findall(r"footfall-\w+(?:\.socket)?(?![\w*-])", line.partition("/")[0]):
            name = unit if unit.endswith(".socket") else f"{unit}.service"
            assert (PROJECT / "deploy" / "systemd" / name).exists(), name
        if command := re.search(r"python -m (\w+)(?: (\w+))?", line):
            assert command[1] in STAGES and command[2] in (None, "backup", "restore")


@pytest.mark.parametrize("path", DEPLOY, ids=lambda path: path.name)
def test_a_setting_that_a_file_of_deploy_names_exists(path):
    named = set(re.findall(r"\b(?:INGEST|COMPACTOR|REPORT)_[A-Z_]+\b", path.read_text()))
    assert named <= settings()


def test_what_the_image_copies_is_not_kept_from_it():
    text = (PROJECT / "deploy" / "Containerfile").read_text()
    let_in = (PROJECT / ".dockerignore").read_text()
    for sources in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M):
        for source in sources.split():
            assert (PROJECT / source).exists() and f"!{source}" in let_in


def pinned(which):
    text = (PROJECT / "requirements" / f"{which}.txt").read_text()
    assert not re.search(r"^--|https?:", text, re.M), "no index is named"
    lines = re.findall(
        r"^([\w.-]+)==([^\s;]+)(?: ; (.*?))? \\\n((?: +--hash=\S+.*\n)+)", text, re.M
    )
    assert len(lines) == text.count("==") - sum(
        len(re.findall("==", m or "")) for *_, m, _ in lines
    )
    return {canonicalize_name(name): version for name, version, _, _ in lines}


@pytest.mark.parametrize(("which", "extras"), [("run", ()), ("test", ("dev", "country"))])
def test_the_pinned_versions_are_those_that_the_project_asks_for(which, extras):
    project = PYPROJECT["project"]
    asked = [*PYPROJECT["build-system"]["requires"], *project["dependencies"]]
    asked += [each for extra in extras for each in project["optional-dependencies"][extra]]
    versions = pinned(which)
    for requirement in map(Requirement, asked):
        if requirement.name != project["name"]:
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), requirement


def test_the_supported_versions_of_python_are_told_to_the_index():
    told = [line for line in PYPROJECT["project"]["classifiers"] if line.startswith("Programming")]
    assert [line.rpartition(" ")[2] for line in told] == ["3.11", "3.12", "3.13", "3.14"]
