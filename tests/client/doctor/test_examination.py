"""Findings about whatever could keep a site from taking part, with remedies."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client.doctor.examination import CHECKS, examine, findings_lines
from client.doctor.finding import Finding, FindingCode, run_checks
from client.receipts.book import append_receipt
from client.site_folder.keys import read_key
from client.site_folder.places import Home
from common.files import write_whole

if TYPE_CHECKING:
    from tests.client.conftest import Hospital
from tests.client.coordinator_stub import Authority, dial, serving
from tests.client.proxy import without_proxies
from tests.client.receipts.conftest import receipt


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def home(approved: Home, authority: Authority) -> Home:
    """A site that has approved its federation, and whose coordinator does not answer."""
    write_whole(approved.authority, authority.certificate.read_bytes())
    dial(approved, "127.0.0.1", 9)
    return approved


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def codes(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.code for finding in findings}


def test_a_site_that_is_ready_has_nothing_to_mend(home: Home, authority: Authority) -> None:
    with serving(authority) as port:
        dial(home, "127.0.0.1", port)
        findings = examine(home)
    assert {finding.check for finding in findings if finding.level == "fail"} == set()
    wanted = {
        "python",
        "torch",
        "gpu",
        "disk",
        "shared memory",
        "permissions",
        "cache",
        "launcher",
        "local port",
        "node key",
        "proxy",
    }
    wanted |= {"dns", "authority", "coordinator", "certificate", "clock", "version", "federation", "bundle"}
    assert wanted | {"data", "ledger", "receipts"} <= set(levels(findings))
    lines = findings_lines(findings)
    assert f"{len(findings)} findings" in lines[-1]
    assert [line for line in lines if line.startswith("fail")] == []
    assert "CANARY" not in "\n".join(lines)
    json.dumps([finding.model_dump() for finding in findings])


def test_every_failure_has_a_remedy(home: Home) -> None:
    home.key.unlink()
    home.approval.unlink()
    (home.folder / "clinical.csv").unlink()
    findings = examine(home)
    failed = [finding for finding in findings if finding.level == "fail"]
    assert {"node key", "federation", "coordinator"} <= {finding.check for finding in failed}
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    lines = findings_lines(findings)
    assert f"{len(failed)} " in lines[-1]
    assert {finding.remedy for finding in failed} <= {line.removeprefix("      -> ") for line in lines}


def test_other_files_than_those_approved(home: Home) -> None:
    approval = json.loads(home.approval.read_text())
    home.approval.write_text(json.dumps(approval | {"code": "0" * 64}))
    assert codes(run_checks([("federation", dict(CHECKS)["federation"])], home))["version"] == "code-changed"


def test_another_version_than_the_one_approved(home: Home) -> None:
    approval = json.loads(home.approval.read_text())
    home.approval.write_text(json.dumps(approval | {"version": "0.0.1"}))
    assert (
        codes(run_checks([("federation", dict(CHECKS)["federation"])], home))["version"] == "version-differs"
    )


def test_a_site_file_that_approves_another_hash(home: Home, hospital: "Hospital") -> None:
    hospital.site.site["approved"] = "0" * 64
    hospital.write()
    assert (
        codes(run_checks([("federation", dict(CHECKS)["federation"])], home))["federation"]
        == "approval-differs"
    )


def test_receipts_that_nothing_outside_confirms_keep_a_site_from_taking_part(
    approved: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_receipt(approved.receipts, receipt(), read_key(approved.key))
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "another-user"))
    (found,) = [finding for finding in examine(approved) if finding.check == "receipts"]
    assert (found.level, found.code) == ("fail", FindingCode.RECEIPTS_UNCOUNTED)
