"""Federated learning across hospitals, from Python; start with simulation.py, or command.py.

Everything is imported when it is first used: `import consilium` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from consilium.packages import pin

pin()

from common.lifetime.system import unfit_system  # noqa: E402 - of the packages that were pinned

if TYPE_CHECKING:
    from common.agreement.federation import Federation
    from common.agreement.node_kinds import NodeKind, register_node_kind
    from common.errors import InputError
    from common.models.layer_kinds import register_layer
    from common.models.registry import register_model
    from common.tasks.registry import register as register_task
    from consilium.agreement import load_federation
    from consilium.attacks import audit
    from consilium.comparison import Comparison
    from consilium.model import LoadedModel, load_model
    from consilium.planning import plan_privacy
    from consilium.result import Result
    from consilium.simulation import cohort, resume, simulate
    from server.aggregation.registry import register_strategy
    from server.runs.coordination import RunFailed
    from simulations.cohorts.cohort_folder import CohortFolder
    from simulations.cohorts.registry import register_source
    from simulations.experiment.options import Options

_HOMES = {
    "CohortFolder": "simulations.cohorts.cohort_folder",
    "Comparison": "consilium.comparison",
    "Federation": "common.agreement.federation",
    "InputError": "common.errors",
    "LoadedModel": "consilium.model",
    "NodeKind": "common.agreement.node_kinds",
    "Options": "simulations.experiment.options",
    "Result": "consilium.result",
    "RunFailed": "server.runs.coordination",
    "audit": "consilium.attacks",
    "cohort": "consilium.simulation",
    "load_federation": "consilium.agreement",
    "load_model": "consilium.model",
    "plan_privacy": "consilium.planning",
    "register_layer": "common.models.layer_kinds",
    "register_model": "common.models.registry",
    "register_node_kind": "common.agreement.node_kinds",
    "register_source": "simulations.cohorts.registry",
    "register_strategy": "server.aggregation.registry",
    "register_task": "common.tasks.registry",
    "resume": "consilium.simulation",
    "simulate": "consilium.simulation",
}
"""Public name -> the module that defines it."""

_NAMES = {"register_task": "register"}
"""Public name -> the name in its module, where that is another."""

_SIMULATING = {"consilium.attacks", "consilium.comparison", "consilium.result", "consilium.simulation"}
"""Modules that need the extra `simulate`."""

__all__ = [
    "CohortFolder",
    "Comparison",
    "Federation",
    "InputError",
    "LoadedModel",
    "NodeKind",
    "Options",
    "Result",
    "RunFailed",
    "audit",
    "cohort",
    "load_federation",
    "load_model",
    "plan_privacy",
    "register_layer",
    "register_model",
    "register_node_kind",
    "register_source",
    "register_strategy",
    "register_task",
    "resume",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if (sentence := unfit_system()) is not None:
        raise ImportError(sentence)
    if _HOMES[name] in _SIMULATING:
        from common.extras import require_extra

        require_extra("simulate", f"consilium.{name}")
    value = getattr(import_module(_HOMES[name]), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, also before they are imported."""
    return sorted({*globals(), *__all__})
