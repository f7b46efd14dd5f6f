"""Generated pages of the documentation site: every command with its options, and the Python API.

They are written below `docs/reference/generated`, which is not kept: they are those of the installed version.
"""

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import typer

import consilium
from common.files import write_whole
from consilium.command import app

GENERATED = Path(__file__).parent / "reference" / "generated"


def generate() -> None:
    """Write all generated pages anew."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir(parents=True)
    for name, text in pages().items():
        write_whole(GENERATED / name, text.encode())


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    root = typer.main.get_command(app)
    assert isinstance(root, click.Group)
    context = click.Context(root, info_name="consilium")
    commands = {name: root.get_command(context, name) for name in root.list_commands(context)}
    texts = {
        f"{name}.md": "\n".join(_command(command, f"consilium {name}", 1))
        for name, command in commands.items()
        if command is not None
    }
    listed = "\n".join(name.removesuffix(".md") for name in texts)
    options = "\n".join(_table(root))
    contents = (
        f"# Commands\n\n{_sentence(root)}\n\n{options}\n\n```{{toctree}}\n:maxdepth: 2\n\n{listed}\n```\n"
    )
    return {"index.md": contents, **texts, "python-api.md": python_api()}


def python_api() -> str:
    """Return the page of the names of `import consilium`, each with its documentation."""
    parts = ["# Python API", "", "```python", "import consilium", "```", ""]
    for name in sorted(consilium.__all__, key=str.lower):
        made = getattr(consilium, name)
        directive = "autoclass" if inspect.isclass(made) else "autofunction"
        members = ["   :members:"] if inspect.isclass(made) else []
        path = f"{made.__module__}.{made.__qualname__}"
        parts += [
            f"## consilium.{name}",
            "",
            "```{eval-rst}",
            f".. {directive}:: {path}",
            *members,
            "```",
            "",
        ]
    return "\n".join(parts)


def commands_of(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands_of(below, f"{path} {name}")


def _command(command: click.Command, path: str, level: int) -> Iterator[str]:
    """Lines of a command, its arguments and options, and the commands below it."""
    yield from (f"{'#' * level} {path}", "", _sentence(command), "")
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    if not isinstance(command, click.Group):
        yield from ("```text", f"{path} {_usage(shown)}".rstrip(), "```", "")
    yield from _table(command)
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from _command(below, f"{path} {name}", level + 1)


def _table(command: click.Command) -> Iterator[str]:
    """Lines of a table of arguments and options."""
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    rows = [_row(parameter, command) for parameter in shown]
    if any(default for _, _, default in rows):
        yield from ("| argument or option | meaning | default |", "|---|---|---|")
        yield from (f"| {name} | {meaning} | {default} |" for name, meaning, default in rows)
    elif rows:
        yield from ("| argument or option | meaning |", "|---|---|")
        yield from (f"| {name} | {meaning} |" for name, meaning, _ in rows)
    yield ""


def _usage(parameters: list[click.Parameter]) -> str:
    words = []
    for parameter in parameters:
        if isinstance(parameter, click.Argument):
            name = (parameter.metavar or (parameter.name or "").upper()).strip("[]")
            words.append(name if parameter.required else f"[{name}]")
    return " ".join([*words, "[options]"] if len(words) < len(parameters) else words)


def _row(parameter: click.Parameter, command: click.Command) -> tuple[str, str, str]:
    """Name, meaning and default of an argument or option."""
    meaning = _plain(getattr(parameter, "help", None) or "")
    if isinstance(parameter, click.Argument):
        name = f"`{(parameter.metavar or (parameter.name or '').upper()).strip('[]')}`"
    else:
        assert isinstance(parameter, click.Option)
        name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
        if not parameter.is_flag and not parameter.count:
            metavar = parameter.make_metavar(click.Context(command)).removesuffix(" RANGE")
            name += f" {metavar}".replace("|", "\\|")
    default = parameter.default
    shown = (
        "" if default is None or default is False or callable(default) or default == () else f"`{default}`"
    )
    return name, meaning, shown


def _sentence(command: click.Command) -> str:
    return _plain(command.help or command.short_help or "")


def _plain(text: str) -> str:
    """Put a help text on one line, without markup of terminals."""
    line = " ".join(text.replace("\\[", "[").split())
    return line.replace("|", "\\|").replace("<", "&lt;")
