"""Trained model, loaded from a finished run's folder or the file of a release."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.agreement.agreement import FILE_NAME
from common.agreement.loading import load_agreement
from common.errors import OptionError
from common.prediction.ensemble import require_ensemble
from common.prediction.network import Network, network_of, released_network
from common.release.members import STRUCTURE
from common.release.release import read_release
from common.release.signing import read_verifying_key
from server.records.assessment import assessed_members
from server.records.result import load_result

if TYPE_CHECKING:
    import pandas as pd

    from client.prediction.forecasts import Forecasts
    from client.site_folder.site_file import SiteFile

HERE = "here"
"""Name of a site without a site file, whose columns are named as in the federation file."""


@dataclass(frozen=True)
class LoadedModel(Network):
    """Trained model with all that its use needs.

    Attributes:
        federation: the agreement that it was trained under.
        preprocessing: to apply to patients before the model sees them.
        weights: parameter -> array, float32.
        model: the network with these weights, in evaluation mode on the CPU.
        version: of the release; None for a run that was not released.
        public: graphs and pathways of its public files.
        others: the other members of an ensemble, whose mean is predicted; none of a single model.
    """

    def __repr__(self) -> str:
        """The federation's name and the size of the model."""
        parameters = sum(array.size for array in self.weights.values())
        models = f"{len(self.members)} times " if self.others else ""
        return f"<model of {self.version or self.federation.name}: {models}{parameters:,} parameters>"

    def predict(
        self,
        table: "pd.DataFrame | Mapping[str, pd.DataFrame] | Path | str | Sequence[Path | str]",
        *,
        horizons: Sequence[float] = (),
        explain: bool = False,
        enrichment: bool = False,
        id: str = "patient",
        hospital: str | None = None,
    ) -> "Forecasts":
        """Predict for patients, of whom no outcome is needed.

        Args:
            table: the one table of a federation with one modality, or modality -> table; or files of modalities'
                tables, or a folder that holds them. Columns are named as in the federation file.
            horizons: times by which the risk is asked, in the unit of the outcome; years without any.
            explain: whether every patient's forecast comes with `explanations`: contributions of values by integrated
                gradients, of the risk by every horizon asked or else by the last.
            enrichment: whether the pathways are named in which the genes that matter most to ten explained patients or
                more lie; needs `explain` and the extra explain.
            id: name of the column of patient identifiers; a table in memory may have them as its index.
            hospital: whose levels of calibration are taken, by its name in the release; without it, and for a hospital
                that had no part in the run, those of all its hospitals together.

        Returns:
            The forecasts, in the order of the table's patients.

        Raises:
            InputError: if a table does not fit or is none, too little of a patient is observed, or a horizon is beyond
                the follow-up.

        Example:
            >>> model = consilium.load_model("lung-1.zip", key="ca.crt")
            >>> forecast = model.predict(patients, horizons=[12]).patients[0]
        """
        from client.prediction.predictor import predictor_of

        predictor, site = predictor_of(self.federation), _site(id, hospital)
        times, given = _times(horizons), [table] if isinstance(table, str | Path) else table
        if isinstance(given, Sequence) and given and all(isinstance(path, str | Path) for path in given):
            files = predictor.files([Path(path) for path in given], site, self.federation)
            return predictor.predict_files(self, files, site, times, explain, enrichment)
        frames = list(given.values()) if isinstance(given, Mapping) else [given]
        if not frames or not all(_is_frame(frame) for frame in frames):
            what = "is no pandas table, mapping of modality to table, or names of files"
            raise OptionError("table", what, "give one of these, with one table at least")
        return predictor.predict_frames(self, table, site, times, explain, enrichment)


def _site(id: str, hospital: str | None) -> "SiteFile":
    """Make a site file without tables, of a hospital or of nobody."""
    from pydantic import ValidationError

    from client.site_folder.site_file import SiteFile

    try:
        return SiteFile(name=HERE if hospital is None else hospital, id=id, tables={})
    except ValidationError as error:
        name = "hospital" if error.errors()[0]["loc"] == ("name",) else "id"
        raise OptionError(name, "is no such name", "write it as in the release or the table") from None


def _is_frame(table: object) -> bool:
    import pandas as pd

    return isinstance(table, pd.DataFrame)


def _times(horizons: Iterable[float]) -> list[float]:
    """Take times from a list, a tuple or an array."""
    try:
        return [float(horizon) for horizon in horizons]
    except (TypeError, ValueError):
        raise OptionError("horizons", "is no list of numbers", "give a list, such as [365]") from None


def load_model(path: Path | str | Sequence[Path | str], *, key: Path | str | None = None) -> LoadedModel:
    """Load a trained model, with its preprocessing and federation file.

    Args:
        path: folder of a simulation (`out`) or of a coordinator's run, or the file of a release. Three such folders or
            more, whose federation files differ in `training.seed` alone, are an ensemble, whose mean is predicted.
        key: the coordinator's ca.crt or public key, by which a release is verified. Without it, a damaged release is
            refused, and one of an unknown maker is not. A folder has no signature, and is refused with a key.

    Returns:
        The model, ready for prediction.

    Raises:
        InputError: if a file is missing or damaged, the files do not belong together, or a release is not signed by
            the key; or folders make no ensemble.

    Example:
        >>> loaded = consilium.load_model("out")
        >>> loaded.model, loaded.federation.digest
    """
    if not isinstance(path, str | Path):
        return _loaded(_ensemble([Path(folder) for folder in path], key))
    source = Path(path)
    if key is not None and source.is_dir():
        what = "is a folder, which has no signature that a key could verify"
        raise OptionError(str(source), what, "name the file of a release, or leave out the key")
    network = (
        _of_run(source)
        if source.is_dir() or (key is None and not source.is_file())
        else _released(source, key)
    )
    return _loaded(network)


def _loaded(network: Network) -> LoadedModel:
    return LoadedModel(**{field.name: getattr(network, field.name) for field in fields(network)})


def _ensemble(folders: Sequence[Path], key: Path | str | None) -> Network:
    if not folders:
        raise OptionError("path", "is an empty list", "name the folders of three runs or more")
    if key is not None or not all(folder.is_dir() for folder in folders):
        what = "is no list of folders, which have no signature that a key could verify"
        raise OptionError("path", what, "name folders of runs without a key, or the file of one release")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise OptionError("path", "names a folder twice", "name each run once")
    first, *others = map(_of_run, folders)
    require_ensemble(
        {str(folder): of.federation for folder, of in zip(folders, [first, *others], strict=True)}
    )
    return replace(first, others=tuple(sorted(others, key=lambda of: of.federation.training.seed)))


def _of_run(folder: Path) -> Network:
    federation, result = load_agreement(folder / FILE_NAME), load_result(folder)
    remedy = (
        f"put back the {FILE_NAME}, and the version of consilium, that the run was made with, or run it again"
    )
    network = network_of(federation, folder, result.weights, result.preprocessing, f"{folder}/", remedy)
    return replace(network, structure=assessed_members(folder, federation, result.weights).get(STRUCTURE))


def _released(file: Path, key: Path | str | None) -> Network:
    from client.prediction.predictor import require_usable

    public: Any = None if key is None else read_verifying_key(Path(key), "name the coordinator's ca.crt")
    release = read_release(file, public)
    network = released_network(release)
    require_usable(network, release.where)
    return network
