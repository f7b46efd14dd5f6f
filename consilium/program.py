"""Start of a module of the four packages as a program, beside whatever folders a user has.

`python -P -m consilium.program client.runtime.launcher SITE` starts the launcher. With
`python -m client.runtime.launcher` a folder called `client` on PYTHONPATH would be started instead.
"""

import runpy
import sys


def main() -> None:
    """Run the module that the first argument names, with the other arguments."""
    module = sys.argv[1]
    del sys.argv[1]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
