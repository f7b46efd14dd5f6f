"""Words of docstrings and names: the first line of a docstring, and nouns instead of participles."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.plugins.distribution import GROUP
from docs.rooms import ROOT, tree

PACKAGES = ("client", "common", "consilium", "server", "simulations")
FIRST_WORDS = {
    *("what", "who", "whose", "which", "whoever", "whatever", "whichever", "wherever", "whenever"),
    *("as", "of", "that", "where", "how", "when", "why", "by", "in", "from"),
    *("it", "its", "they", "their", "this", "these", "those", "each", "any", "there"),
}
"""Words that begin a riddle: the sentence has no noun at its head, or speaks of a noun elsewhere."""
LONGEST = 90
RIDDLES = {"own", "told", "found", "known", "each", "one", "place"}
"""Names that hide a noun: cache, message, path, index, hospital."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def documented(path: Path) -> Iterator[tuple[int, str]]:
    """Line and first line of text of every docstring in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, DOCUMENTED):
            text = ast.get_docstring(node)
            if text is not None:
                yield getattr(node, "lineno", 1), text.partition("\n")[0]


def objection(line: str) -> str | None:
    """Name the fault of a docstring's first line; None for none."""
    word = re.match(r"[A-Za-z]+", line)
    if word and word[0].lower() in FIRST_WORDS:
        return f"begins with {word[0]}"
    if len(line) > LONGEST:
        return f"has {len(line)} characters, and {LONGEST} at most are read"
    return None if line.endswith(".") else "does not end with a period"


def assigned(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every variable and parameter that a file gives a value."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def public_classes(path: Path) -> Iterator[str]:
    """Names of the classes at the top of a file, without those for the file alone."""
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def named(path: Path) -> Iterator[str]:
    """Modules and files of ours that a document, or a docstring of a source file, names in backticks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        texts = (
            ast.get_docstring(node) or "" for node in ast.walk(tree(path)) if isinstance(node, DOCUMENTED)
        )
        text = "\n".join(texts)
    yield from re.findall(rf"`(?!server\.(?:crt|key|pem))((?:{'|'.join(PACKAGES)})[./][\w./]+)`", text)


def exists(name: str) -> bool:
    """Whether a name is that of a file, a folder, a module, or something that a module speaks of."""
    path = ROOT / name
    if path.exists() or path.with_suffix(".py").exists() or name == GROUP:
        return True
    if "/" in name:
        return False
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ROOT.joinpath(*parts[:length])
        file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if not file.exists():
            continue
        if length == len(parts):
            return True
        spoken_of = re.search(rf"\b{parts[length]}\b", file.read_text(encoding="utf-8")) is not None
        return spoken_of and (length == 1 or not module.is_dir())
    return False


def test_modules_that_texts_name_are_there() -> None:
    documents = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "deploy" / "README.md"]
    stale = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in [*documents, *FILES]
        for name in named(path)
        if not exists(name)
    ]
    assert not stale, "\n".join(stale)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_first_line_of_a_docstring_is_a_noun_phrase_or_an_imperative(package: str) -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{number} {why}: {line}"
        for path in FILES
        if path.relative_to(ROOT).parts[0] == package
        for number, line in documented(path)
        if (why := objection(line))
    ]
    assert not offenders, f"{len(offenders)} docstrings:\n" + "\n".join(offenders)


def test_variables_are_called_by_nouns() -> None:
    riddles = [
        f"{path.relative_to(ROOT)}:{number} {name}"
        for path in FILES
        for number, name in assigned(path)
        if name in RIDDLES
    ]
    assert not riddles, f"{len(riddles)} names:\n" + "\n".join(riddles)


def test_no_two_classes_share_a_name() -> None:
    files: dict[str, list[str]] = {}
    for path in FILES:
        for name in public_classes(path):
            files.setdefault(name, []).append(str(path.relative_to(ROOT)))
    homonyms = [f"{name}: {', '.join(paths)}" for name, paths in files.items() if len(paths) > 1]
    assert not homonyms, "\n".join(homonyms)


def test_docstrings_of_tests_begin_with_no_riddle() -> None:
    first = {"what", "who", "whose", "which", "as", "of", "that", "where", "how"}
    offenders = [
        f"{path.relative_to(ROOT)}:{number} {line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for number, line in documented(path)
        if line.partition(" ")[0].lower() in first
    ]
    assert not offenders, "\n".join(offenders)
