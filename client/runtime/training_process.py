"""What the process that trains would find: looked at by a process of its own, in the services' environment."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import InputError, MachineError

LONGEST_S = 120.0
"""For such a process to answer: a driver in trouble may take for ever."""


def ask(folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What such a process finds for a site folder: see `found`.

    Raises:
        InputError: if it cannot start, or does not end.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "consilium.program",
        "client.runtime.training_process",
        str(folder),
    ]
    try:
        run = subprocess.run(
            command, env={**environment}, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        what = f"the training process says nothing for {LONGEST_S:g} seconds"
        raise MachineError(
            "python", what, "look at the load, and at the driver of a GPU if there is one"
        ) from None
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        what = f"the training process cannot start: {last[0]}"
        raise MachineError("python", what, "install consilium again in its venv")
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def require_device(folder: Path, environment: Mapping[str, str]) -> None:
    """See that the device which a site's `site.toml` asks for is there.

    Raises:
        InputError: if it is not, or if the process that trains cannot start.
    """
    if (objection := ask(folder, environment)["objection"]) is not None:
        raise MachineError(**objection)


def found(folder: Path) -> dict[str, Any]:
    """Python, torch, every GPU with whether a small product on it comes out right, and where this site would train.

    That is `device`, or else `objection`: where, what and remedy of the error. Both are None where `site.toml` cannot
    be read, which is told by other checks.
    """
    told: dict[str, Any] = {"python": platform.python_version(), "executable": sys.executable, "devices": []}
    import torch

    from client.training import device

    told |= {"torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
    told["arithmetic"] = device.computes(torch.device("cpu"))
    for index in range(torch.cuda.device_count()):
        gpu: dict[str, Any] = {"name": f"cuda:{index}", "works": False}
        try:
            properties = torch.cuda.get_device_properties(index)
            gpu |= {"model": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
            gpu["works"] = device.computes(torch.device("cuda", index))
        except RuntimeError as error:
            gpu["error"] = type(error).__name__
        told["devices"].append(gpu)
    told["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return told | _chosen(folder)


def _chosen(folder: Path) -> dict[str, Any]:
    from client.site_folder.site_file import SITE_FILE, parse_site_file
    from client.training.device import DeviceError, find_device

    try:
        asked = parse_site_file(folder).device
        return {"device": str(find_device(asked, f"{folder / SITE_FILE}, device")), "objection": None}
    except DeviceError as error:
        objection = {"where": error.where, "what": error.what, "remedy": error.remedy}
        return {"device": None, "objection": objection}
    except InputError:
        return {"device": None, "objection": None}


if __name__ == "__main__":
    print(json.dumps(found(Path(sys.argv[1]))))
