"""The federation file, read from Python."""

from pathlib import Path

from common.agreement.federation import FILE_NAME, Federation, load


def load_federation(path: Path | str) -> Federation:
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
    place = Path(path)
    return load(place / FILE_NAME if place.is_dir() else place)
