"""A hospital as its apps see it: its cohort under its own copy of the federation file, and the terms of its policy."""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context

from client.data.cache import built_or_kept
from client.data.cohort import Cohort, split
from client.data.inspection import read_cohort
from client.ledger.heads import HEAD_FILE
from client.rounds.site_pool import Opened
from client.site_folder.policy import Terms, agree
from client.site_folder.site_file import SITE_FILE, read_site_file
from client.training.device import DeviceError, open_device
from client.training.loss import patient_loss
from common.agreement.federation import Federation, load
from common.errors import InputError, Refusal, RefusalCode
from common.messages.exchange import ModelRequest, unpack_preprocessing
from common.models.graphs import Prior, load_prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, declared
from common.privacy.guarantee import check_agreement, check_model, check_objective, made_up_patients


class Site:
    """A hospital's cohort under a federation file, read once per process.

    Args:
        folder: the site folder.
        agreement: the hospital's own copy of the federation file, its public files beside it.
        cache: where to keep what is built of them for the next process (`client.cache`); None keeps nothing.
        device: where to train, instead of where `site.toml` says.
        sharing: processes that train beside one another on this machine, this one included.

    Attributes:
        cohort: on the CPU.
        model: on the device.
    """

    def __init__(
        self,
        folder: Path,
        agreement: Path,
        cache: Path | None = None,
        device: str | None = None,
        sharing: int = 1,
    ) -> None:
        self.folder = folder
        if cache is None:
            self.federation, self.digest = _agreement(agreement, agreement.stat().st_mtime_ns)
        else:
            self.federation = load(agreement)
            self.digest = self.federation.digest
        file = read_site_file(folder, self.federation)
        if file.policy.demands_privacy and file.fold is not None:
            what = (
                "lets a coordinator choose patients, which the policy's demand for privacy does not go with"
            )
            raise InputError(f"{folder / SITE_FILE}, fold", what, "remove it: folds are for simulations")
        self.policy = file.policy
        asked, where = (
            (file.device, f"{folder / SITE_FILE}, device") if device is None else (device, "--device")
        )
        self.device = open_device(asked, where, file.precision, file.deterministic, sharing)
        self.cohort: Cohort
        if cache is None:
            self.model = _model(agreement, agreement.stat().st_mtime_ns, self.device.place)
            self.cohort = read_cohort(folder, self.federation)
        else:
            built = built_or_kept(cache, folder, agreement, file, self.federation)
            self.model, self.cohort = _checked(self.federation, built.prior), built.cohort
            self.model.to(self.device.place)

    @property
    def terms(self) -> Terms:
        """What holds here.

        Raises:
            Refusal: if the hospital's policy does not allow taking part.
        """
        return agree(self.policy, self.federation, len(self.cohort.batch))

    @property
    def absent(self) -> frozenset[str]:
        """Modalities that this hospital has no table of."""
        return frozenset(modality.name for modality in self.federation.modalities) - set(
            self.cohort.unmatched
        )

    def patients(self, fold: int) -> tuple[PatientBatch, PatientBatch]:
        """(training, validation) patients: neither of the held-out `fold`; with privacy all are for training.

        The split follows the agreement alone. If a request could choose it, the sums over many different splits would
        give away every patient's values.

        Raises:
            Refusal: without privacy, if there are too few to train on, or fewer than the minimum count.
        """
        mine = (self.cohort.fold != fold) | (self.cohort.fold < 0)
        batch = self.cohort.batch.select(mine)
        if (
            self.federation.privacy is not None
        ):  # a refusal would tell of numbers, and an empty sample is safe
            return batch, batch.select(torch.arange(0))
        if len(batch) < 2:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        training, validation = split(
            len(batch), self.federation.training.validation_fraction, self.federation.training.seed
        )
        if len(training) < self.terms.minimum_count:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        return batch.select(training), batch.select(validation)

    def preprocessing(self, request: ModelRequest) -> Preprocessing:
        """The request's preprocessing.

        Raises:
            Refusal: if it is not for exactly this federation's nodes and hazard intervals, or has a NaN.
        """
        sizes = {modality.name: len(modality.nodes) for modality in self.federation.modalities}
        expected = {
            f"{kind}:{name}": (size,) for kind in ("center", "spread") for name, size in sizes.items()
        }
        expected |= {f"cuts:{task.name}": (task.bins,) for task in self.federation.survival_tasks()}
        given = {
            name: array.shape
            for name, array in request.preprocessing.items()
            if array.dtype == np.float32 and not np.isnan(array).any()
        }
        if given != expected or len(given) != len(request.preprocessing):
            raise Refusal(RefusalCode.REQUEST_INVALID)
        return unpack_preprocessing(request.preprocessing)

    def load_weights(self, request: ModelRequest) -> None:
        """Take over the request's weights.

        Raises:
            Refusal: if they are not exactly this model's, or not finite.
        """
        own = self.model.state_dict()
        given = {name: torch.from_numpy(array.copy()) for name, array in request.weights.items()}
        if {n: (t.shape, t.dtype) for n, t in own.items()} != {
            n: (t.shape, t.dtype) for n, t in given.items()
        }:
            raise Refusal(RefusalCode.REQUEST_INVALID)
        if not all(bool(tensor.isfinite().all()) for tensor in given.values()):
            raise Refusal(RefusalCode.REQUEST_INVALID)
        self.model.load_state_dict(given)


@lru_cache(maxsize=2)
def _agreement(path: Path, changed: int) -> tuple[Federation, str]:
    """The federation and its digest, shared by the sites of a process.

    A digest is over all participants: taken for every message, it would make a round of many sites quadratic in them.
    """
    federation = load(path)
    return federation, federation.digest


@lru_cache(maxsize=2)
def _model(path: Path, changed: int, place: torch.device) -> HierarchicalMultimodalGNN:
    """The agreement's model on a device, shared by the sites of a process: each message brings all weights anew."""
    federation, _ = _agreement(path, changed)
    return _checked(federation, load_prior(federation, path.parent)).to(place)


def _checked(federation: Federation, prior: Prior) -> HierarchicalMultimodalGNN:
    """The federation's model; under privacy held against everything that the guarantee rests on."""
    model = initial_model(federation, prior, seed=0)
    if federation.privacy is not None:
        try:
            check_agreement(federation)
            check_model(model)
            loss = partial(patient_loss, model, federation=federation, cuts=declared(federation).cuts)
            check_objective("of training", loss, made_up_patients(federation), model)
        except InputError as error:
            raise Refusal(RefusalCode.GUARANTEE_BROKEN) from error
    return model


_opened = Opened[Site](size=lambda site: site.cohort.batch.size)


def open_site(context: Context) -> Site:
    """The site this node speaks for, from its node configuration: `site` and `federation`, and what is optional.

    That is `cache` if it keeps one, and in a simulation `device` and `sharing`: see `Site`.

    Raises:
        Refusal: if its tables do not satisfy the federation file, or its device is not there.
    """
    folder, agreement = str(context.node_config["site"]), str(context.node_config["federation"])
    cache = str(context.node_config["cache"]) if "cache" in context.node_config else None
    device = str(context.node_config["device"]) if "device" in context.node_config else None
    sharing = int(context.node_config.get("sharing", 1))
    try:
        files = sorted(each for each in Path(folder).iterdir() if each.is_file() and each.name != HEAD_FILE)
        changed = tuple(path.stat().st_mtime_ns for path in (*files, Path(agreement)))
        place = None if cache is None else Path(cache)
        key = (folder, agreement, cache or "", device or "")
        return _opened.get(key, changed, lambda: Site(Path(folder), Path(agreement), place, device, sharing))
    except DeviceError as error:
        raise Refusal(RefusalCode.DEVICE_UNAVAILABLE) from error
    except (InputError, OSError) as error:
        raise Refusal(RefusalCode.COHORT_INVALID) from error


def close_sites() -> None:
    """Forget all sites that this process has opened, with their models: a run is over that had them to itself."""
    _opened.close()
