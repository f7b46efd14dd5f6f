"""Registry of the kinds of task, by the `kind` of a federation file."""

from typing import Annotated, TypeVar

from pydantic import BeforeValidator, SerializeAsAny

from common.agreed import incoherent, nearest
from common.errors import RegistrationError
from common.tasks.regression import RegressionTask
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Metric, Task
from common.tasks.toxicity import ToxicityTask

Kind = TypeVar("Kind", bound=Task)
_kinds: dict[str, type[Task]] = {}
Task.by_kind = _kinds  # type: ignore[assignment]


def register(kind: type[Kind]) -> type[Kind]:
    """Add a kind of task; usable as a class decorator.

    Raises:
        RegistrationError: naming every part of `common.tasks.task.Task` that the kind misses; or if less of its
            headline is better, or another class has its name.
    """
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        raise RegistrationError(
            f"task {kind!r}", "is no subclass of Task", "derive it from common.tasks.task.Task"
        )
    missing = sorted(kind.__abstractmethods__)
    missing += [part for part in ("form", "metrics") if not getattr(kind, part, None)]
    name = kind.model_fields["kind"].default
    if not isinstance(name, str):
        missing.append("kind")
    if missing:
        what = f"is no kind of task: it misses {', '.join(missing)}"
        raise RegistrationError(f"task {kind.__name__}", what, "see common.tasks.task")
    headline = next(iter(kind.metrics))
    if kind.metrics[headline].lower_is_better:
        what = f"has the headline {headline}, of which less is better"
        raise RegistrationError(f"task {kind.__name__}", what, "put first a metric of which more is better")
    if _kinds.setdefault(name, kind) is not kind:
        what = f"is of the kind {name}, which is {_kinds[name].__name__} already"
        raise RegistrationError(f"task {kind.__name__}", what, "choose another name")
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
        what = f"kind must be one of {', '.join(sorted(_kinds))}, not {str(kind)[:40]}"
        raise incoherent(what, nearest(str(kind), _kinds, "use one of these names"))
    return data if isinstance(data, Task) else schema.model_validate(data)


AnyTask = Annotated[SerializeAsAny[Task], BeforeValidator(_of_its_kind)]
"""Task of any registered kind, as a field of the federation file."""

for _kind in (SurvivalTask, ResponseTask, ToxicityTask, RegressionTask):
    register(_kind)
