"""Runs of an ensemble's other members, read for a release."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.agreement.agreement import FILE_NAME, PATIENTS, Agreement
from common.agreement.loading import load_agreement
from common.errors import IntegrityError, OptionError, StateError
from common.prediction.ensemble import require_ensemble
from common.prediction.network import network_of
from common.release.card import CardMember
from common.release.members import MOST_MODELS, PREPROCESSING, WEIGHTS
from server.home.places import CoordinatorHome
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import UNFINISHED, JournalRecord, RunRecord, read_journal
from server.records.result import load_result
from server.records.submission import named_folder


@dataclass(frozen=True)
class EnsembleMember:
    """Other member of an ensemble.

    Attributes:
        card: its run.
        arrays: content of its weights and preprocessing.
    """

    card: CardMember
    arrays: tuple[bytes, bytes]


def read_members(
    home: CoordinatorHome, first: Path, agreement: Agreement, others: Sequence[str], onnx: bool
) -> list[EnsembleMember]:
    """Read the other members of an ensemble, in the order of their seeds.

    Args:
        home: the coordinator's folder.
        first: folder of the first member's run.
        agreement: its federation file.
        others: names of the other runs; none for a single model.
        onnx: whether an ONNX twin is asked for, which is of one network.

    Raises:
        InputError: if a run gave no model, or the runs make no ensemble.
    """
    if not others:
        return []
    if onnx:
        raise OptionError(
            "--onnx", "is a twin of one model, and --with asks for several", "leave out one of them"
        )
    if agreement.kind != PATIENTS:
        what = f"is about {agreement.kind}, for which there are no ensembles"
        raise OptionError(str(first), what, "release the run without --with")
    if len(others) >= MOST_MODELS:
        what = f"names {len(others)} runs, and an ensemble has {MOST_MODELS} members at the most"
        raise OptionError("--with", what, "name fewer")
    folders = [named_folder(home.runs, name) for name in others]
    if len({first, *folders}) <= len(folders):
        raise OptionError("--with", "names a run twice", "name each run once")
    agreements = {folder: load_agreement(folder / FILE_NAME) for folder in folders}
    require_ensemble({f"run {folder.name}": of for folder, of in [(first, agreement), *agreements.items()]})
    return [
        _member(folder, agreements[folder])
        for folder in sorted(folders, key=lambda folder: agreements[folder].training.seed)
    ]


def _member(folder: Path, agreement: Agreement) -> EnsembleMember:
    records = read_journal(folder) if (folder / JOURNAL).is_file() else []
    closing, result = closing_record(folder, records, agreement), load_result(folder)
    remedy = "put it back from a backup, or install the version of consilium that trained it"
    network_of(agreement, folder, result.weights, result.preprocessing, f"{folder}/", remedy)
    card = CardMember(
        run=folder.name,
        seed=agreement.training.seed,
        ended=closing.at,
        rounds=closing.rounds,
        kept_round=closing.best_round,
    )
    return EnsembleMember(card, ((folder / WEIGHTS).read_bytes(), (folder / PREPROCESSING).read_bytes()))


def closing_record(folder: Path, records: list[JournalRecord], agreement: Agreement) -> RunRecord:
    """Return the record of the end of a run that gave a model.

    Raises:
        InputError: if it gave none, or its federation file is another one now.
    """
    ends = [record for record in records if isinstance(record, RunRecord) and record.status not in UNFINISHED]
    if not ends or ends[-1].status == "failed":
        raise StateError(
            str(folder), "the run has no model", "wait for its end, or name a run that completed"
        )
    if ends[-1].digest != agreement.digest:
        what = f"is not the {FILE_NAME} that the run was made with"
        raise IntegrityError(str(folder / FILE_NAME), what, "put it back from a backup")
    return ends[-1]
