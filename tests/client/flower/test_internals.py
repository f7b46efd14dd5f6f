"""The names of Flower that the hospital replaces are still there, with the parameters they had."""

import argparse
import ast
import importlib
import inspect
import sys
from io import BufferedReader, BytesIO, TextIOWrapper
from pathlib import Path
from types import CodeType
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.task_identity import TaskIdentity

import client
from client.flower.internals import REPLACED, RUNTIME, _replacements, parser, read_options, weigh


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


class Doorkeeper:
    """Allows so many bytes."""

    def __init__(self, most: int) -> None:
        self.most = most

    def allowed(self) -> int:
        return self.most


def pulled(most: int, size: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Message, list[str]]:
    """A request with an array of so many bytes as it is pulled, and what was asked for and confirmed, in order."""
    monkeypatch.setattr(TaskIdentity, "_run_id", 5)
    monkeypatch.setattr(TaskIdentity, "_node_id", 1)
    monkeypatch.setattr(TaskIdentity, "_task_id", 9)
    arrays = ArrayRecord({"arrays": Array(np.zeros(size, np.uint8))})
    request = Message(RecordDict({"arrays": arrays}), dst_node_id=41, message_type="train")
    objects = {name: part.deflate() for name, part in get_all_nested_objects(request).items()}
    steps: list[str] = []

    def pull(name: str) -> bytes:
        steps.append(objects[name].split(b" ")[0].decode())
        return objects[name]

    replaced = _replacements(importlib.import_module(RUNTIME), cast(Any, Doorkeeper(most)), lambda _: None)
    message = replaced["pull_and_inflate_object_from_tree"](
        get_object_tree(request), pull, lambda name: steps.append("confirmed"), return_type=Message
    )
    assert isinstance(message, Message)
    return message, steps


def test_a_request_within_the_bound_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    message, steps = pulled(1 << 20, 1000, monkeypatch)
    arrays = message.content["arrays"]
    assert isinstance(arrays, ArrayRecord)
    assert arrays["arrays"].numpy().size == 1000
    assert steps.count("confirmed") == 1
    assert steps[-1] == "confirmed"


@pytest.mark.attack
@pytest.mark.parametrize(("most", "size"), [(1000, 1000), (12 << 20, 40 << 20)])
def test_a_request_beyond_it_comes_without_content_and_can_be_refused(
    most: int, size: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Pulled bytes and bytes that equal parts would inflate to; `train` without content is no valid request."""
    message, steps = pulled(most, size, monkeypatch)
    assert list(message.content) == []
    assert (message.metadata.dst_node_id, message.metadata.message_type) == (41, "train")
    assert steps[-2:] == ["Message", "confirmed"]
    assert str(most) in caplog.text
