"""A federation file of any kind of record, read with its public files."""

import tomllib
from pathlib import Path

from common.agreement.agreement import FILE_NAME, PATIENTS, Agreement, validated
from common.agreement.kinds import agreement_class
from common.agreement.settings import PublicFile
from common.errors import IntegrityError, MissingFileError, UnreadableFileError


def load_agreement(path: Path) -> Agreement:
    """Read a federation file and check the public files it names.

    Raises:
        InputError: if it cannot be read, is of an unknown kind, does not follow that kind's schema, or a named file
            has other content.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(
            str(path), "there is no such file", f"name a folder that holds {FILE_NAME}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableFileError(
            str(path), f"cannot be read as TOML ({type(error).__name__})", "correct it"
        ) from None
    kind = data.get("kind", PATIENTS)
    agreement = validated(agreement_class(kind if isinstance(kind, str) else "", str(path)), data, str(path))
    for file in agreement.public_files:
        if not (path.parent / file.path).is_file():
            raise MissingFileError(str(path.parent / file.path), "is missing", "copy it from the coordinator")
        if PublicFile.of(path.parent, file.path).sha256 != file.sha256:
            raise IntegrityError(
                str(path.parent / file.path),
                "is not the file agreed on",
                "copy it from the coordinator again",
            )
    return agreement
