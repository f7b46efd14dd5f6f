"""Extras of the installation: packages that a hospital does without."""

import importlib.util
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from common.errors import MissingDependencyError

P = ParamSpec("P")


EXTRAS = {
    "simulate": ("lifelines", "matplotlib", "sklearn", "torchmetrics", "torchsurv"),
    "baselines": ("sksurv",),
    "ray": ("ray",),
    "explain": ("gseapy",),
    "excel": ("openpyxl",),
    "docs": ("sphinx", "myst_parser", "furo"),
    "coordinator": ("starlette", "uvicorn"),
    "mlflow": ("mlflow",),
    "tensorboard": ("tensorboard",),
    "prometheus": ("prometheus_client",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "dev": ("torch_geometric",),
}
"""Modules that an extra of the distribution brings, and by which it is recognised."""


class MissingExtra(MissingDependencyError):
    """Use of what needs an extra that is not installed.

    Attributes:
        extra: the name in brackets after `consilium` that pip installs.
    """

    def __init__(self, extra: str, user: str) -> None:
        super().__init__(user, f"needs the extra {extra}", f"pip install 'consilium[{extra}]'")
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.where} {self.what}: {self.remedy}"


def require_extra(extra: str, user: str) -> None:
    """Make sure that an extra is installed; `user` is the command or function that needs it.

    Raises:
        MissingExtra: if a module of it is missing.
    """
    if any(importlib.util.find_spec(module) is None for module in EXTRAS[extra]):
        raise MissingExtra(extra, user)


def needs(extra: str, user: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Have a command ask for an extra before it begins."""

    def wrap(command: Callable[P, None]) -> Callable[P, None]:
        @wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            require_extra(extra, user)
            command(*args, **kwargs)

        return run

    return wrap
