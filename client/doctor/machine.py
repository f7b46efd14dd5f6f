"""Checks of a site's machine: Python, torch, GPU, disk, memory, permissions."""

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from client.doctor.finding import Finding, FindingCode, fail, ok, warn
from client.runtime import training_process
from client.runtime.services import ROOT_REMEDY, ROOT_WARNING, inherited, runs_as_root
from client.site_folder.outside import STATE_VARIABLE, state_folder
from client.site_folder.places import Home
from client.site_folder.site_file import parse_site_file
from common.errors import InputCode, InputError
from common.files import is_private, is_shared

SHARED_MEMORY = "/dev/shm"


_GIB = 2**30


def python(home: Home) -> Iterator[Finding]:
    """Check the interpreter, torch, the GPUs and the site's device in a fresh process."""
    try:
        report = training_process.ask(home.folder, inherited(home))
    except InputError as error:
        yield fail(error.where, error.code, error.what, error.remedy)
        return
    yield ok("python", f"{report['python']} at {report['executable']}")
    if not report["arithmetic"]:
        yield fail(
            "torch",
            FindingCode.ARITHMETIC_WRONG,
            "a product of two matrices comes out wrong",
            "install torch again, then test the memory",
        )
    else:
        yield ok("torch", f"{report['torch']}, {report['threads']} threads")
    yield from _gpus(report)
    if report["objection"] is not None:
        where, what, remedy = (report["objection"][part] for part in ("where", "what", "remedy"))
        yield fail("device", InputCode.MACHINE_UNFIT, f"{where}: {what}", remedy)
    elif report["device"] is not None:
        yield ok("device", f"the site trains on {report['device']}")


def _gpus(report: dict[str, object]) -> Iterator[Finding]:
    devices, driver = report["devices"], _driver()
    assert isinstance(devices, list)
    for device in devices:
        if device["works"]:
            yield ok("gpu", f"{device['name']} {device['model']}, {device['memory_gib']} GiB, computes")
        else:
            message = f"{device['name']} is there but does not compute"
            yield fail("gpu", FindingCode.GPU_FAULTY, message, "restart the driver or the machine")
    if devices:
        yield ok("driver", driver or "its tools are not installed")
    elif driver is None:
        yield ok("gpu", "none")
    elif report["cuda"] is None:
        message = f"there is a GPU ({driver}), but torch is built without CUDA"
        yield warn("gpu", FindingCode.TORCH_WITHOUT_CUDA, message, "install torch for CUDA")
    else:
        remedy = "give the service the device, unset CUDA_VISIBLE_DEVICES, or update the driver"
        message = f"there is a GPU ({driver}), but the training process does not see it"
        yield warn("gpu", FindingCode.GPU_HIDDEN, message, remedy)


def _driver() -> str | None:
    """Names and driver versions of the GPUs by the driver's own tool; None without any."""
    if (tool := shutil.which("nvidia-smi")) is None:
        return None
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        process = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return "; ".join(process.stdout.split("\n")).strip("; ") or None


def disk(home: Home) -> Iterator[Finding]:
    """Check the room for logs, receipts, the ledger and messages."""
    free = shutil.disk_usage(home.folder).free
    message = f"{free / _GIB:.1f} GiB are free at {home.folder}"
    if free < 2 * _GIB:
        level = fail if free < 0.2 * _GIB else warn
        yield level("disk", FindingCode.DISK_SHORT, message, "make room")
    else:
        yield ok("disk", message)


def shared_memory(home: Home, folder: str = SHARED_MEMORY) -> Iterator[Finding]:
    """Check the memory that torch's processes share.

    A container has 64 MB unless asked for more.
    """
    code = FindingCode.SHARED_MEMORY_SHORT
    if not os.path.isdir(folder):
        yield warn("shared memory", code, f"there is no {folder}", "mount a tmpfs there")
        return
    size = shutil.disk_usage(folder).total
    message = f"{size / 2**20:.0f} MiB at {folder}"
    if size < 60 * 2**20:
        yield warn("shared memory", code, message, "give the container --shm-size=256m")
    else:
        yield ok("shared memory", message)


def permissions(home: Home) -> Iterator[Finding]:
    """Check that the site can write its folders, and that nobody else can read its key."""
    made_later = (home.state, home.receipts.parent, home.folder / "ledger")
    folders = [home.folder, *(path for path in made_later if path.exists())]
    closed = [str(folder) for folder in folders if not os.access(folder, os.W_OK | os.X_OK)]
    if closed:
        message = f"this user cannot write to {', '.join(closed)}"
        yield fail("permissions", FindingCode.FOLDER_CLOSED, message, "give this user the folders")
    else:
        yield ok("permissions", "the site folder can be written")
    if home.key.exists() and stat.S_IMODE(home.key.stat().st_mode) & 0o077:
        message = f"{home.key} can be read by other users"
        yield fail("node key", FindingCode.KEY_EXPOSED, message, f"chmod 600 {shlex.quote(str(home.key))}")


def other_users(home: Home) -> Iterator[Finding]:
    """Check that other users of this machine cannot read or change site folder and tables."""
    try:
        tables = [home.folder / table for table in parse_site_file(home.folder).tables.values()]
    except InputError:  # which other checks report
        tables = []
    is_open = bool(_for_all(home.folder) & stat.S_IXOTH)
    exposed = [home.folder] if _for_all(home.folder) & (stat.S_IROTH | stat.S_IWOTH) else []
    for table in tables:
        reachable = is_open or not table.resolve().is_relative_to(home.folder.resolve())
        if table.exists() and reachable and _for_all(table) & (stat.S_IROTH | stat.S_IWOTH):
            exposed.append(table)
    if not exposed:
        yield ok("other users", "they cannot read the site folder or the tables")
        return
    message = f"they can read or change {', '.join(map(str, exposed))}"
    remedy = f"chmod o-rwx {' '.join(shlex.quote(str(path)) for path in exposed)}"
    yield warn("other users", FindingCode.FILES_EXPOSED, message, remedy)


def user(home: Home) -> Iterator[Finding]:
    """Check that the site does not run as root, to whom no permission on the machine is a limit."""
    if runs_as_root():
        yield warn("user", FindingCode.RUNS_AS_ROOT, ROOT_WARNING, ROOT_REMEDY)
    else:
        yield ok("user", "the site runs as a user without root's privileges")


def _for_all(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode) & 0o007


def outside_copies(home: Home) -> Iterator[Finding]:
    """Check the folder outside with the second copies of the ends of ledger and receipts."""
    unset = "" if os.environ.get(STATE_VARIABLE) else f" ({STATE_VARIABLE} is not set)"
    remedy = f"set {STATE_VARIABLE} to a folder of this user, the same in every command"
    try:
        folder = state_folder()
    except OSError as error:
        yield fail("outside", FindingCode.STATE_FOLDER_UNKNOWN, f"{error}", remedy)
        return
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)):
            pass
    except OSError as error:
        message = f"{folder} cannot be written{unset}: {error.strerror}"
        yield fail("outside", FindingCode.STATE_FOLDER_CLOSED, message, remedy)
        return
    if folder.resolve().is_relative_to(home.folder.resolve()):
        message = f"{folder} is in the site folder and would be lost or put back with it"
        yield warn("outside", FindingCode.STATE_FOLDER_INSIDE, message, remedy)
    else:
        yield ok("outside", f"the ends of ledger and receipts are kept a second time in {folder}{unset}")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def launcher(home: Home) -> Iterator[Finding]:
    """Check that the site's own `flwr-clientapp`, a script in the state folder, can be executed."""
    folder = _existing(home.launcher)
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        message = (
            f"{folder} is mounted noexec, and the script that starts training there could not be executed"
        )
        remedy = "mount it with exec, or make the site folder on another file system"
        yield fail("launcher", FindingCode.LAUNCHER_NOT_EXECUTABLE, message, remedy)
    else:
        yield ok("launcher", f"scripts in {home.launcher} can be executed")


def cache(home: Home) -> Iterator[Finding]:
    """Check that no other user can get at the cache of the tables, which is not used otherwise."""
    if not home.cache.exists():
        yield ok("cache", "there is no cache of the tables yet")
        return
    if is_shared(home.cache):
        yield ok("cache", f"{home.cache} is for the accounts of gate and app alone")
        return
    closed = is_private(home.cache) and not stat.S_IMODE(home.state.stat().st_mode) & 0o022
    if closed and all(is_private(path) for path in home.cache.iterdir()):
        yield ok("cache", f"{home.cache} is this user's alone")
    else:
        message = f"{home.cache} has patients' values and is not this user's alone; it is not used"
        remedy = f"chmod 700 {shlex.quote(str(home.state))} and remove {home.cache}: it is made anew"
        yield warn("cache", FindingCode.CACHE_EXPOSED, message, remedy)
