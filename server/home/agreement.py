"""The federation file with its public files: copied, so that a run keeps what it was run on, and a first draft."""

import shutil
from pathlib import Path

from common.agreement.federation import FILE_NAME, Federation, load

SKELETON = """\
# The agreement of the federation: edit it, then send this folder to every hospital for approval.
# Whatever is left out has a default; `consilium cohort describe` checks a hospital's tables against it.
version = 1
name = "our-federation"

[[modalities]]
name = "clinical"
node = "clinical"
columns = ["age"]

[[tasks]]
kind = "survival"
name = "survival"
time = "months"
event = "died"
unit = "months"
longest = 120

[training]
rounds = 30

[rounds]
quorum = 0.5
deadline_s = 3600
assembly_s = 60

[[participants]]
name = "hospital 1"

[[participants]]
name = "hospital 2"
"""


def copy_agreement(source: Path, target: Path) -> Federation:
    """Copy the federation file and the public files it names into a folder, and read it there.

    Raises:
        InputError: if it cannot be read or a public file is not the one agreed on.
    """
    federation = load(source / FILE_NAME)
    prior = federation.prior
    for file in (prior.edges, prior.pathways, prior.hierarchy):
        if file is not None:
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file.path, target / file.path)
    shutil.copyfile(source / FILE_NAME, target / FILE_NAME)
    return load(target / FILE_NAME)
