"""Report of Python, torch and GPUs by a fresh process with the services' environment."""

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


def ask(folder: Path, environment: Mapping[str, str], longest_s: float = LONGEST_S) -> dict[str, Any]:
    """Ask a fresh process for its report on a site folder.

    Args:
        folder: the site folder.
        environment: of the process.
        longest_s: seconds after which it is ended.

    Raises:
        MachineError: if it cannot start, or does not end.
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
            command, env={**environment}, capture_output=True, text=True, timeout=longest_s, check=False
        )
    except subprocess.TimeoutExpired:
        what = f"the training process does not answer for {longest_s:g} seconds"
        raise MachineError(
            "python", what, "look at the load, and at the driver of a GPU if there is one"
        ) from None
    if run.returncode:
        last = run.stderr.strip().splitlines()[-1:] or ["without a message"]
        what = f"the training process cannot start: {last[0]}"
        raise MachineError("python", what, "install consilium again in its venv")
    report: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return report


def require_device(folder: Path, environment: Mapping[str, str]) -> None:
    """See that the device which a site's `site.toml` asks for is there.

    Raises:
        InputError: if it is not, or if the process that trains cannot start.
    """
    if (objection := ask(folder, environment)["objection"]) is not None:
        raise MachineError(objection["where"], objection["what"], objection["remedy"])


def make_report(folder: Path) -> dict[str, Any]:
    """Report Python, torch, every GPU with a small product on it, and the site's device.

    The device is `device`, or else `objection`: where, what, remedy and fault of the error. Both are None where
    `site.toml` cannot be read, which other checks report.
    """
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "devices": [],
    }
    import torch

    from client.training import device

    report |= {"torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
    report["arithmetic"] = device.computes(torch.device("cpu"))
    for index in range(torch.cuda.device_count()):
        gpu: dict[str, Any] = {"name": f"cuda:{index}", "works": False}
        try:
            properties = torch.cuda.get_device_properties(index)
            gpu |= {"model": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1)}
            gpu["works"] = device.computes(torch.device("cuda", index))
        except RuntimeError as error:
            gpu["error"] = type(error).__name__
        report["devices"].append(gpu)
    report["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    return report | _chosen(folder)


def _chosen(folder: Path) -> dict[str, Any]:
    from client.site_folder.site_file import SITE_FILE, parse_site_file
    from client.training.device import DeviceError, find_device

    try:
        asked = parse_site_file(folder).device
        return {"device": str(find_device(asked, f"{folder / SITE_FILE}, device")), "objection": None}
    except DeviceError as error:
        objection = {
            "where": error.where,
            "what": error.what,
            "remedy": error.remedy,
            "fault": error.fault,
        }
        return {"device": None, "objection": objection}
    except InputError:
        return {"device": None, "objection": None}


if __name__ == "__main__":
    print(json.dumps(make_report(Path(sys.argv[1]))))
