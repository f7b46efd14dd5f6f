"""Operating systems that the programs run on: those with POSIX's locks, accounts and limits."""

import sys
from importlib import import_module

SYSTEMS = "Linux or macOS"


def unfit_system() -> str | None:
    """Return a sentence if this system lacks what the programs need, and None if it has it."""
    if sys.platform == "win32":
        remedy = "use it under Linux, for instance in WSL 2 (`wsl --install`) or in a container"
        return f"consilium does not run on Windows itself: it needs {SYSTEMS}; {remedy}."
    try:
        for module in ("fcntl", "pwd", "resource"):
            import_module(module)
    except ImportError:
        return f"consilium needs {SYSTEMS}, and this Python has no {module}; use one of a POSIX system."
    return None


def require_system() -> None:
    """End the process with a sentence and exit code 2 on a system that lacks what is needed."""
    if (sentence := unfit_system()) is not None:
        if sys.stderr is not None:
            print(f"consilium: {sentence}", file=sys.stderr)
        raise SystemExit(2)
