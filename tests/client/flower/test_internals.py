"""The names of Flower that the hospital replaces are still there, with the parameters they had."""

import argparse
import ast
import importlib
import inspect
import sys
from io import BufferedReader, BytesIO, TextIOWrapper
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

import client
from client.flower.internals import REPLACED, RUNTIME, parser, read_options, weigh


@pytest.mark.parametrize("name", REPLACED)
def test_a_replaced_name_has_its_parameters(name: str) -> None:
    function = getattr(importlib.import_module(RUNTIME), name)
    assert tuple(inspect.signature(function).parameters) == REPLACED[name]


def test_the_replaced_names_are_looked_up_when_they_are_called() -> None:
    """Each is a global of the module that does the work, used by the function that does it."""
    runtime = importlib.import_module(RUNTIME)
    used = set(runtime.run_clientapp.__code__.co_names)
    for function in inspect.getclosurevars(runtime.run_clientapp).globals.values():
        used |= set(getattr(getattr(function, "__code__", None), "co_names", ()))
    nested = [part for part in runtime.run_clientapp.__code__.co_consts if isinstance(part, CodeType)]
    used |= {name for code in nested for name in code.co_names}
    assert set(REPLACED) <= used


COMMAND = "flwr.supernode.cli.flwr_clientapp"
"""Flower's own command, which a site does not import: it would bring the SuperNode and its database."""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--token", "t", "--insecure"],
        ["--runtime-api-address", "127.0.0.1:9", "--token", "t", "--insecure", "--parent-pid", "7"],
        ["--token", "t", "--insecure", "--allow-runtime-dependency-installation"],
    ],
)
def test_the_command_line_means_what_it_means_to_flower(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, told = importlib.import_module(COMMAND), dict[str, Any]()
    assert command.run_clientapp is importlib.import_module(RUNTIME).run_clientapp
    monkeypatch.setattr(command, "run_clientapp", lambda **given: told.update(given))
    monkeypatch.setattr(sys, "argv", ["flwr-clientapp", *arguments])
    command.flwr_clientapp()
    assert read_options(arguments) == told


def test_the_command_line_has_no_option_that_flowers_has_not() -> None:
    def options(parser: argparse.ArgumentParser) -> set[str]:
        return {name for action in parser._actions for name in action.option_strings}

    theirs = importlib.import_module(COMMAND)._parse_args_run_flwr_clientapp()
    assert options(parser()) == {*options(theirs), "--token-stdin"}


def test_a_token_comes_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    token = "ab" * 128
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BufferedReader(BytesIO(token.encode() + b"\n"))))
    assert read_options(["--token-stdin", "--insecure"])["token"] == token


def test_an_unusable_command_line_ends_the_process() -> None:
    with pytest.raises(SystemExit):
        read_options(["--insecure"])


def test_the_work_of_a_task_is_done_in_the_order_we_count_on() -> None:
    """Pull, then install, then load, then the app, then push: a task is admitted before anything is done with it."""
    source = inspect.getsource(importlib.import_module(RUNTIME).run_clientapp)
    steps = [
        "pull_task_input(",
        "install_from_fab(",
        "get_load_client_app_fn(",
        "client_app(message",
        "push_message(",
    ]
    places = [source.index(step) for step in steps]
    assert places == sorted(places)


def test_a_weight_fixes_every_byte() -> None:
    def record(last: float, name: str = "a") -> RecordDict:
        import numpy as np

        arrays = ArrayRecord({name: Array(np.array([1.0, last], dtype=np.float32))})
        return RecordDict({"header": ConfigRecord({"x": 1}), "weights": arrays})

    size, digest = weigh(record(2.0))
    assert size > 8
    assert weigh(record(2.0)) == (size, digest)
    assert digest not in {weigh(record(3.0))[1], weigh(record(2.0, "b"))[1]}
    assert record(2.0).object_id == digest


def test_no_other_module_of_the_hospital_knows_flowers_internals() -> None:
    public = ("flwr.app", "flwr.clientapp", "flwr.supernode.cli")
    for path in Path(client.__file__).parent.rglob("*.py"):
        if path.name == "internals.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("flwr") and not name.startswith(public)], (
                path
            )
