from pathlib import Path

import pytest

from common.errors import MissingFileError, UnreadableFileError
from common.node_keys import fingerprint
from server.participants.enrolment import (
    Enrolment,
    Withdrawal,
    in_force,
    read_enrolled,
    read_node_key,
    read_withdrawn,
    write_enrolled,
    write_withdrawn,
)

KEY = (
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBAjIYM9qjWv+JZPx9vG3Nhg4k3WgOBTUsRsd"
    "dPMzWyjS6LFQ2Fp/sfcSqCBXzpTDVLDJX5vYcpuOMsTBYmkFLLQKHn7GPl2DqYWCkcAYx6pm//zFR0rN157452gE"
    "RsxU+A=="
)
PRINTED = "SHA256:gP/qbfidjLo/3hp6IsxAhgvkeWCSivhw/LNdg1/n8sA"  # by ssh-keygen -l


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"ecdsa-sha2-nistp384 {KEY} a comment\n")
    assert fingerprint(read_node_key(tmp_path / "key.pub")) == PRINTED


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "enrolled.json"
    with pytest.raises(MissingFileError):
        read_enrolled(path)
    write_enrolled(path, {"one": Enrolment(fingerprint="SHA256:x", node_id=2**63 + 5, since="now")})
    assert read_enrolled(path)["one"].node_id == 2**63 + 5
    path.write_text('{"one": {"node_id": "x"}}')
    with pytest.raises(UnreadableFileError) as damaged:
        read_enrolled(path)
    assert damaged.value.where == str(path)


def test_a_withdrawal_is_kept_and_outweighs_an_enrolment(tmp_path: Path) -> None:
    path = tmp_path / "withdrawn.json"
    assert read_withdrawn(path) == ()
    lost = Withdrawal(site="one", fingerprint="SHA256:x", node_id=2**63 + 5, since="then", until="now")
    write_withdrawn(path, (lost,))
    assert read_withdrawn(path) == (lost,)
    enrolled = {
        site: Enrolment(fingerprint=f"SHA256:{key}", node_id=1, since="then")
        for site, key in (("one", "x"), ("two", "y"))
    }
    assert set(in_force(enrolled, read_withdrawn(path))) == {"two"}
    path.write_text("[{}]")
    with pytest.raises(UnreadableFileError) as damaged:
        read_withdrawn(path)
    assert damaged.value.where == str(path)
