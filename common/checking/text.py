"""Outcome of a check as lines for a person, and as plain data for a program."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from common.agreement.faults import FileFault
from common.checking.checking import FileCheck
from common.counting import counted


def lines(checked: FileCheck) -> Iterator[str]:
    """Write every fault, then every warning, each with what to do."""
    for fault in checked.faults:
        yield from _lines(fault, "")
    for warning in checked.warnings:
        yield from _lines(warning, "WARNING ")
    if checked.faults:
        faults = counted(len(checked.faults), "fault")
        yield f"consilium: {checked.path} has {faults}, and cannot be used."
        return
    beside = f", and {counted(len(checked.warnings), 'warning')}" if checked.warnings else ""
    yield f"{checked.path} can be used: no faults{beside}."


def _lines(fault: FileFault, before: str) -> Iterator[str]:
    yield f"{before}{fault.text}"
    if fault.allowed and fault.nearest:
        yield f"    keys that are known here: {', '.join(fault.allowed)}"


def as_data(checked: FileCheck) -> dict[str, Any]:
    """Give the outcome as plain data."""
    agreement = checked.agreement
    return {
        "file": str(checked.path),
        "usable": not checked.faults,
        "name": None if agreement is None else agreement.name,
        "digest": None if agreement is None else agreement.digest,
        "faults": [_data(fault) for fault in checked.faults],
        "warnings": [_data(warning) for warning in checked.warnings],
    }


def _data(fault: FileFault) -> dict[str, Any]:
    return {**asdict(fault), "code": fault.code.value, "allowed": list(fault.allowed)}
