from common.release.interval_table import IntervalTable
from common.release.record import MemberRecord


def test_a_member_is_read_as_it_was_written() -> None:
    table = IntervalTable(tasks={})
    assert IntervalTable.read(table.content()) == table
    assert table.content().endswith(b"}\n")


def test_content_of_another_form_is_no_member() -> None:
    assert MemberRecord.read(b'{"more": 1}') is None
    assert MemberRecord.read(b"{") is None
