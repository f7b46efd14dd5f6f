"""The federation file, read from Python."""

from pathlib import Path

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.loading import load_agreement


def load_federation(path: Path | str) -> Agreement:
    """Read a federation file and check the public files that it names.

    Args:
        path: the file, or the folder that holds it.

    Returns:
        The agreement; `federation.digest` is what a hospital approves.

    Raises:
        InputError: if it cannot be read, does not follow the schema, or a public file has other content.

    Example:
        >>> federation = consilium.load_federation("trial/federation.toml")
        >>> [task.name for task in federation.tasks]
    """
    file = Path(path)
    return load_agreement(file / FILE_NAME if file.is_dir() else file)
