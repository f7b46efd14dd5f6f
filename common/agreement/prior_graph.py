"""Public files of a federation file: graphs of genes, proteins and pathways."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Self

from pydantic import Field

from common.agreed import Agreed, Problem, about


class PublicFile(Agreed):
    """A file beside the federation file or in a folder below, fixed by its content."""

    path: str = Field(
        description="Path of the file, relative to the folder of the federation file.",
        json_schema_extra=about(
            example="prior/edges.csv",
            change="Put the file below the folder: it travels with the federation file.",
        ),
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the file's bytes, by which every hospital knows that it has the same one.",
        json_schema_extra=about(
            example="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            change="Write anew what `sha256sum FILE` prints whenever the file changes.",
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """A path that leads out of the folder."""
        path = self.path
        parts = path.split("/")
        if (
            not path.isprintable()
            or "\\" in path
            or PureWindowsPath(path).anchor
            or {"", ".", ".."} & {*parts}
        ):
            what = "must be a relative path below the federation file, without .. or a backslash"
            yield Problem(("path",), what, "copy the file into the folder and name it from there")

    @classmethod
    def of(cls, folder: Path, path: str) -> Self:
        """Describe `folder / path` as it is now."""
        return cls(path=path, sha256=hashlib.sha256((folder / path).read_bytes()).hexdigest())


class PriorGraph(Agreed):
    """Public knowledge shared by all patients."""

    edges: PublicFile | None = Field(
        default=None,
        description="CSV with columns `a,b`: pairs of genes or proteins that the network joins, such as STRING's.",
        json_schema_extra=about(
            example={"path": "edges.csv", "sha256": "..."},
            change="Give it with a modality of genes or proteins; without it their values are joined by "
            "pathways alone.",
        ),
    )
    pathways: PublicFile | None = Field(
        default=None,
        description="CSV with columns `pathway,gene`: the pathways into which genes and proteins are pooled.",
        json_schema_extra=about(
            example={"path": "pathways.csv", "sha256": "..."},
            change="Give it to pool thousands of genes into some hundred pathways, by which explanations speak.",
        ),
    )
    hierarchy: PublicFile | None = Field(
        default=None,
        description="CSV with columns `parent,child`: how pathways contain one another.",
        json_schema_extra=about(
            example={"path": "hierarchy.csv", "sha256": "..."},
            change="Give it for pathways of a hierarchy, such as Reactome's.",
        ),
    )
