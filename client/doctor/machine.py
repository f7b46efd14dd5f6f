"""The machine of a site as the process that trains would find it: Python, torch, GPU, disk, memory, permissions."""

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from client.doctor.finding import Finding, fail, ok, warn
from client.runtime import training_process as probe
from client.runtime.services import inherited
from client.site_folder.outside import STATE_VARIABLE, state_folder
from client.site_folder.places import Home
from client.site_folder.site_file import parse_site_file
from common.errors import InputError
from common.files import is_private

SHARED_MEMORY = "/dev/shm"


_GIB = 2**30


def python(home: Home) -> Iterator[Finding]:
    """The interpreter, torch, the GPUs, and the site's device, of a child with the services' environment."""
    try:
        found = probe.ask(home.folder, inherited(home))
    except InputError as error:
        yield fail(error.where, error.what, error.remedy)
        return
    yield ok("python", f"{found['python']} at {found['executable']}")
    if not found["arithmetic"]:
        yield fail(
            "torch", "a product of two matrices comes out wrong", "install torch again, then test the memory"
        )
    else:
        yield ok("torch", f"{found['torch']}, {found['threads']} threads")
    yield from _gpus(found)
    if found["objection"] is not None:
        where, what, remedy = (found["objection"][part] for part in ("where", "what", "remedy"))
        yield fail("device", f"{where}: {what}", remedy)
    elif found["device"] is not None:
        yield ok("device", f"the site trains on {found['device']}")


def _gpus(found: dict[str, object]) -> Iterator[Finding]:
    devices, driver = found["devices"], _driver()
    assert isinstance(devices, list)
    for device in devices:
        if device["works"]:
            yield ok("gpu", f"{device['name']} {device['model']}, {device['memory_gib']} GiB, computes")
        else:
            yield fail(
                "gpu", f"{device['name']} is there but does not compute", "restart the driver or the machine"
            )
    if devices:
        yield ok("driver", driver or "its tools are not installed")
    elif driver is None:
        yield ok("gpu", "none")
    elif found["cuda"] is None:
        yield warn(
            "gpu", f"there is one ({driver}), but torch is built without CUDA", "install torch for CUDA"
        )
    else:
        remedy = "give the service the device, unset CUDA_VISIBLE_DEVICES, or update the driver"
        yield warn("gpu", f"there is one ({driver}), but the training process does not see it", remedy)


def _driver() -> str | None:
    """Names and driver versions of the GPUs, from the driver's own tool; None if it finds none."""
    if (tool := shutil.which("nvidia-smi")) is None:
        return None
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        run = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return "; ".join(run.stdout.split("\n")).strip("; ") or None


def disk(home: Home) -> Iterator[Finding]:
    """Room for logs, receipts, the ledger and messages."""
    free = shutil.disk_usage(home.folder).free
    told, remedy = f"{free / _GIB:.1f} GiB free at {home.folder}", "make room"
    if free < 0.2 * _GIB:
        yield fail("disk", told, remedy)
    else:
        yield warn("disk", told, remedy) if free < 2 * _GIB else ok("disk", told)


def shared_memory(home: Home) -> Iterator[Finding]:
    """What torch's processes share; containers are given 64 MB unless asked for more."""
    if not os.path.isdir(SHARED_MEMORY):
        yield warn("shared memory", f"there is no {SHARED_MEMORY}", "mount a tmpfs there")
        return
    size = shutil.disk_usage(SHARED_MEMORY).total
    told = f"{size / 2**20:.0f} MiB at {SHARED_MEMORY}"
    small = size < 60 * 2**20
    yield (
        warn("shared memory", told, "give the container --shm-size=256m")
        if small
        else ok("shared memory", told)
    )


def permissions(home: Home) -> Iterator[Finding]:
    """What the site must write, and what nobody else may read."""
    places = [
        home.folder,
        *(path for path in (home.state, home.receipts.parent, home.folder / "ledger") if path.exists()),
    ]
    closed = [str(place) for place in places if not os.access(place, os.W_OK | os.X_OK)]
    if closed:
        yield fail("permissions", f"cannot write to {', '.join(closed)}", "give this user the folders")
    else:
        yield ok("permissions", "the site folder can be written")
    if home.key.exists() and stat.S_IMODE(home.key.stat().st_mode) & 0o077:
        yield fail("node key", f"{home.key} can be read by other users", f"chmod 600 {home.key}")


def others(home: Home) -> Iterator[Finding]:
    """What every user of this machine can get at, and that no hospital means them to."""
    try:
        tables = [home.folder / table for table in parse_site_file(home.folder).tables.values()]
    except InputError:  # told by other checks
        tables = []
    is_open = bool(_for_all(home.folder) & stat.S_IXOTH)
    seen = [home.folder] if _for_all(home.folder) & (stat.S_IROTH | stat.S_IWOTH) else []
    for table in tables:
        reachable = is_open or not table.resolve().is_relative_to(home.folder.resolve())
        if table.exists() and reachable and _for_all(table) & (stat.S_IROTH | stat.S_IWOTH):
            seen.append(table)
    if not seen:
        yield ok("other users", "cannot read the site folder or the tables")
        return
    told = f"can read or change {', '.join(map(str, seen))}"
    yield warn("other users", told, f"chmod o-rwx {' '.join(shlex.quote(str(place)) for place in seen)}")


def _for_all(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode) & 0o007


def outside(home: Home) -> Iterator[Finding]:
    """Where the heads of the ledger and of the receipts are kept a second time, and whether they can be."""
    told = "" if os.environ.get(STATE_VARIABLE) else f" ({STATE_VARIABLE} is not set)"
    remedy = f"set {STATE_VARIABLE} to a folder of this user, the same in every command"
    try:
        place = state_folder()
    except OSError as error:
        yield fail("outside", f"{error}", remedy)
        return
    there = place
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        yield fail("outside", f"{place} cannot be written{told}: {error.strerror}", remedy)
        return
    if place.resolve().is_relative_to(home.folder.resolve()):
        yield warn("outside", f"{place} is in the site folder and would be lost or put back with it", remedy)
    else:
        yield ok("outside", f"the ends of ledger and receipts are kept a second time in {place}{told}")


def noexec(home: Home) -> Iterator[Finding]:
    """Whether the site's own `flwr-clientapp`, a script in the state folder, could be executed where it lies."""
    place = home.launcher
    while not place.exists():
        place = place.parent
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        told = f"{place} is mounted noexec, and the script that starts training there could not be executed"
        yield fail("launcher", told, "mount it with exec, or make the site folder on another file system")
    else:
        yield ok("launcher", f"scripts in {home.launcher} can be executed")


def cache(home: Home) -> Iterator[Finding]:
    """What the site keeps of its tables, if it is there: not used unless it is this user's alone."""
    if not home.cache.exists():
        yield ok("cache", "nothing is kept of the tables yet")
        return
    closed = is_private(home.cache) and not stat.S_IMODE(home.state.stat().st_mode) & 0o022
    if closed and all(is_private(path) for path in home.cache.iterdir()):
        yield ok("cache", f"{home.cache} is this user's alone")
    else:
        told = f"{home.cache} has patients' values and is not this user's alone; it is not used"
        yield warn("cache", told, f"chmod 700 {home.state} and remove {home.cache}: it is made anew")
