"""The systemd units of deploy/: understood by systemd, and closed as far as it can tell."""

import os
import re
import shutil
import subprocess

import pytest

from tests.processes import PROJECT

UNITS = PROJECT / "deploy" / "systemd"
SERVICES = ("ingest", "compactor", "report")
EXPOSURE_MAX = 2.0  # of 10: systemd's own measure

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def analyze(*arguments, units):
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_little_that_could_be_abused(service):
    unit = f"footfall-{service}.service"
    done = analyze("security", "--offline=true", "--no-pager", unit, units=UNITS)
    level = re.search(r"Overall exposure level for [\w.-]+: ([\d.]+)", done.stdout)
    assert level, done.stderr
    print(f"{service}: {level[1]}")
    assert float(level[1]) <= EXPOSURE_MAX


def test_systemd_understands_every_line(tmp_path):
    units = shutil.copytree(UNITS, tmp_path / "units")
    for unit in units.glob("*.service"):  # whose program need not be here
        unit.write_text(unit.read_text().replace("/opt/footfall/bin/python", "/bin/true"))
    names = [str(path) for path in sorted(units.glob("footfall-*.*")) if path.is_file()]
    assert len(names) == len(SERVICES) + 1
    done = analyze("verify", "--man=no", *names, units=units)
    ours = [line for line in done.stderr.splitlines() if "footfall" in line]
    assert (done.returncode, ours) == (0, [])
