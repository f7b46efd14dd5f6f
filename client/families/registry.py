"""The reader of an agreement's family, imported when first asked for."""

from client.families.reader import AnyReader
from common.agreement.agreement import Agreement
from common.agreement.kinds import kind_named, part


def reader_of(agreement: Agreement) -> AnyReader:
    """Return the reader of the agreement's kind of record.

    It takes agreements and holdings of that kind alone.
    """
    return reader_named(agreement.kind)


def reader_named(kind: str) -> AnyReader:
    """The reader of a kind of record.

    Raises:
        InputError: if there is no such kind.
    """
    reader: AnyReader = part(kind_named(kind).reader)
    return reader
