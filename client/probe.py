"""What the process that trains would find: run as a process of its own, in the services' environment; prints JSON."""

import json
import os
import platform
import sys
from typing import Any


def found() -> dict[str, Any]:
    """Python, torch, and every GPU with whether a small product on it comes out right."""
    told: dict[str, Any] = {"python": platform.python_version(), "executable": sys.executable, "devices": []}
    import torch

    told |= {"torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
    told["arithmetic"] = _works("cpu")
    for index in range(torch.cuda.device_count()):
        device: dict[str, Any] = {"name": f"cuda:{index}", "works": False}
        try:
            properties = torch.cuda.get_device_properties(index)
            device |= {"model": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
            device["works"] = _works(f"cuda:{index}")
        except RuntimeError as error:
            device["error"] = type(error).__name__
        told["devices"].append(device)
    told["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return told


def _works(device: str) -> bool:
    import torch

    ones = torch.ones(64, 64, device=device)
    return bool((ones @ ones == 64).all())


if __name__ == "__main__":
    print(json.dumps(found()))
