"""The command in a process of its own, in which what a plug-in registers is forgotten."""

import subprocess
import sys


def consilium(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command and return its exit code and output."""
    program = "from consilium.command import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
