"""Registry of the kinds of task, by the `kind` of a federation file."""

from typing import Annotated, TypeVar

from pydantic import BeforeValidator, SerializeAsAny

from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Metric, Task
from common.tasks.toxicity import ToxicityTask

Kind = TypeVar("Kind", bound=Task)
_kinds: dict[str, type[Task]] = {}


def register(kind: type[Kind]) -> type[Kind]:
    """Add a kind of task; usable as a class decorator.

    Raises:
        TypeError: naming every part of `common.tasks.task.Task` that the kind misses.
        ValueError: if another class has its name.
    """
    missing = sorted(kind.__abstractmethods__)
    missing += [part for part in ("form", "metrics") if not getattr(kind, part, None)]
    name = kind.model_fields["kind"].default
    if not isinstance(name, str):
        missing.append("kind")
    if missing:
        raise TypeError(f"{kind.__name__} is no kind of task: it misses {', '.join(missing)}")
    if _kinds.setdefault(name, kind) is not kind:
        raise ValueError(f"{kind.__name__}: {name} is the kind of {_kinds[name].__name__} already")
    return kind


def registered() -> dict[str, type[Task]]:
    """Return the registered kinds by name."""
    return dict(_kinds)


def metrics() -> dict[str, Metric]:
    """Return the metrics of all registered kinds by name."""
    return {name: metric for kind in _kinds.values() for name, metric in kind.metrics.items()}


def _of_its_kind(data: object) -> Task:
    """Validate a task by the schema of its kind."""
    kind = data.kind if isinstance(data, Task) else data.get("kind") if isinstance(data, dict) else None
    schema = _kinds.get(kind) if isinstance(kind, str) else None
    if schema is None or (isinstance(data, Task) and type(data) is not schema):
        raise ValueError(f"kind must be one of {', '.join(sorted(_kinds))}, not {str(kind)[:40]}")
    return data if isinstance(data, Task) else schema.model_validate(data)


AnyTask = Annotated[SerializeAsAny[Task], BeforeValidator(_of_its_kind)]
"""Task of any registered kind, as a field of the federation file."""

for _kind in (SurvivalTask, ResponseTask, ToxicityTask):
    register(_kind)
