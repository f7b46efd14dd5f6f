"""Reference page of the federation file, made from the schema's own descriptions."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic_core import PydanticUndefined

from common.agreement.federation import Federation
from common.agreement.keys import ANY, Key, keys_of

PAGE = Path(__file__).parent / "federation-file.md"
HEAD = """\
# The federation file

Every key of `federation.toml`, made from the schema by `python -m docs.describe_federation_file`. A key that a file
leaves out has its default. `consilium federation check FOLDER` finds all faults of a file at once, `explain` says it in
words, `diff OLD NEW` compares two, and `schema` prints the JSON schema by which editors complete it.
"""


def page() -> str:
    """Write the page, section by section."""
    lines = [HEAD]
    sections: dict[tuple[str, str], list[Key]] = {}
    for key in keys_of(Federation):
        sections.setdefault((heading(key), key.kind), []).append(key)
    for (section, kind), keys in sections.items():
        title = section or "Top of the file"
        lines += ["", f"## {title}{f', kind {kind}' if kind else ''}", ""]
        lines += [
            "| key | meaning | unit | default | example | when to change it |",
            "|---|---|---|---|---|---|",
        ]
        lines += [row(key) for key in keys]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def heading(key: Key) -> str:
    """Name the section of a key as a file begins it."""
    parts = key.path[:-1]
    if not parts:
        return ""
    names = [("NAME" if part == ANY else part) for part in parts]
    if names[-1] == "NAME" and len(names) == 2:
        return f"`[[{names[0]}]]`"
    is_list = len(names) > 1 and names[1] == "NAME"
    return f"`[{'.'.join([names[0], *names[2:]] if is_list else names)}]`"


def row(key: Key) -> str:
    """Write a key as a row of a table."""
    extra = key.field.json_schema_extra
    facts = extra if isinstance(extra, dict) else {}
    examples = facts.get("examples")
    example = examples[0] if isinstance(examples, list) else ""
    cells = (
        f"`{key.name}`",
        key.field.description or "",
        str(facts.get("unit", "")),
        default(key),
        f"`{written(example)}`",
        str(facts.get("change", "")),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def default(key: Key) -> str:
    """Write the default of a key, or that there is none."""
    if key.field.is_required():
        return "none: it has to be given"
    value = key.field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or key.holds_keys or value in ((), {}):
        return "left out"
    return f"`{written(value)}`"


def written(value: object) -> str:
    """Write a value as a TOML file has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {written(part)}" for name, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def undocumented() -> Iterator[str]:
    """Yield the keys without a meaning, an example or advice."""
    for key in keys_of(Federation):
        extra = key.field.json_schema_extra
        facts = extra if isinstance(extra, dict) else {}
        if not (key.field.description and facts.get("examples") is not None and facts.get("change")):
            yield ".".join(key.path)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
