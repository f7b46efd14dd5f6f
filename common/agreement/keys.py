"""Keys of a federation file, walked through the schema that describes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from common.agreement.model_config import DEFAULT, ModelConfig

KIND = "kind"
"""Key that chooses the schema of a task or a model."""

ANY = "*"
"""Part of a path that stands for any name or any position in a list."""


@dataclass(frozen=True)
class Key:
    """Key that a federation file can have.

    Attributes:
        path: names from the top, with `ANY` for names and positions that a file chooses.
        kind: of the task or model that the key belongs to; empty for any.
        field: its description in the schema.
        holds_keys: whether its value is a table of other keys.
    """

    path: tuple[str, ...]
    kind: str
    field: FieldInfo
    holds_keys: bool

    @property
    def name(self) -> str:
        """The last name of the path."""
        return next(part for part in reversed(self.path) if part != ANY)

    @property
    def section(self) -> str:
        """Heading of a file under which the key stands; empty for the top."""
        parts = self.path[:-1]
        if not parts:
            return ""
        dotted = ".".join(part for part in parts if part != ANY)
        return f"[[{dotted}]]" if parts[-1:] == (ANY,) and len(parts) == 2 else f"[{dotted}]"


def keys_of(schema: type[BaseModel]) -> Iterator[Key]:
    """Yield every key that files of a schema can have, in their order."""
    yield from _keys(schema, (), "")


def _keys(schema: type[BaseModel], path: tuple[str, ...], kind: str) -> Iterator[Key]:
    for name, field in schema.model_fields.items():
        inside = list(_inside(field.annotation))
        yield Key((*path, name), kind, field, bool(inside))
        for below, model in inside:
            for kind_name, variant in variants(model).items():
                yield from _keys(variant, (*path, name, *below), kind_name or kind)


def variants(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    """Return the schemas of a section by `kind`; one without a name where there is no choice."""
    kinds = vars(model).get("by_kind")
    return {"": model} if kinds is None else dict(kinds)


def _inside(annotation: Any) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield the schemas in a type, each with the path from the value to it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _inside(arguments[0])
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from () if argument is NoneType else _inside(argument)
    elif origin in (tuple, dict):
        for below, model in _inside(arguments[-1] if origin is dict else arguments[0]):
            yield (ANY, *below), model
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation


def schema_at(
    schema: type[BaseModel], data: object, location: Sequence[int | str]
) -> tuple[type[BaseModel] | None, int]:
    """Return the schema of the innermost section around a location, and its depth.

    Args:
        schema: of the whole file.
        data: content of the file, in which `kind` chooses schemas.
        location: keys and positions from the top.
    """
    inner, depth = _variant(schema, data), 0
    annotation: Any = inner
    for number, part in enumerate(location, 1):
        annotation = _below(annotation, part)
        data = _value(data, part)
        model = next((model for below, model in _inside(annotation) if not below), None)
        if model is not None:
            inner = annotation = _variant(model, data)
            depth = number
    return inner, depth


def _variant(model: type[BaseModel], data: object) -> type[BaseModel]:
    kinds = variants(model)
    if "" in kinds:
        return kinds[""]
    chosen = data.get(KIND, DEFAULT) if isinstance(data, Mapping) else None
    return kinds.get(chosen, model) if isinstance(chosen, str) else model


def _below(annotation: Any, part: int | str) -> Any:
    """Return the type of a value at a key or position of a type; None if it has none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _below(arguments[0], part)
    if origin in (Union, UnionType):
        return next((below for argument in arguments if (below := _below(argument, part)) is not None), None)
    if origin is dict:
        return arguments[-1]
    if origin is tuple:
        return arguments[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(part, str):
        field = annotation.model_fields.get(part)
        return None if field is None else field.annotation
    return None


def _value(data: object, part: int | str) -> object:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


def known_keys(schema: type[BaseModel]) -> list[str]:
    """Return the keys that a section can have."""
    names = list(schema.model_fields)
    return [KIND, *names] if issubclass(schema, ModelConfig) else names
