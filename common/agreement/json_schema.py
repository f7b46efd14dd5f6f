"""JSON schema of federation files, by which editors complete and check them."""

from typing import Any

from pydantic import BaseModel

from common.agreement.agreement import Agreement
from common.agreement.keys import KIND, variants

DIALECT = "http://json-schema.org/draft-07/schema#"
"""Version of JSON schema that TOML editors know."""


def json_schema(schema: type[Agreement]) -> dict[str, Any]:
    """Return the schema of a federation file, with every registered kind of task and model."""
    whole = schema.model_json_schema(ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = whole.pop("$defs", {})
    for name, field in schema.model_fields.items():
        choice = _choice(field.annotation)
        if choice is None:
            continue
        options = []
        for kind, variant in variants(choice).items():
            option = variant.model_json_schema(ref_template="#/definitions/{model}")
            definitions |= option.pop("$defs", {})
            option.setdefault("properties", {})[KIND] = {"const": kind}
            definitions[variant.__name__] = option
            options.append({"$ref": f"#/definitions/{variant.__name__}"})
        described = {"description": field.description or ""}
        is_list = whole["properties"][name].get("type") == "array"
        section: dict[str, Any] = {"anyOf": options}
        whole["properties"][name] = described | ({"type": "array", "items": section} if is_list else section)
    return {"$schema": DIALECT, "title": "Federation file", **whole, "definitions": definitions}


def _choice(annotation: Any) -> type[BaseModel] | None:
    """Return the class whose subclasses `kind` chooses among, anywhere in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation if vars(annotation).get("by_kind") is not None else None
    inside = (_choice(argument) for argument in getattr(annotation, "__args__", ()))
    return next((choice for choice in inside if choice is not None), None)
