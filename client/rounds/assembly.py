"""Assembly of a site from its folder, its tables or their cache, and a shared agreement."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from flwr.app import Context

from client.families.cache import SiteData, read_or_restore
from client.families.played import read_played
from client.rounds.site import Site
from client.rounds.site_pool import SitePool
from client.site_folder.played_site import read_played_site
from client.site_folder.policy import Policy
from client.site_folder.site_file import SITE_FILE, SiteFile, read_site_file
from client.site_folder.site_key import NO_SECRET, read_or_make_key
from client.training.device import Device, DeviceError, open_device
from common.agreement.agreement import Agreement
from common.agreement.loading import load_agreement
from common.agreement.settings import LARGEST_COHORT, MOST_LINEAR_ROUNDS
from common.checking.guarantee import guaranteed_model
from common.errors import GuaranteeError, InputError, InvalidContentError, Refusal, RefusalCode
from common.families.family import Public
from common.families.registry import family_of
from common.messages.packing import Arrays
from common.models.shared import SharedModel

"""Made-up records on which a loss is tried."""


@dataclass(frozen=True)
class SiteSources:
    """Places and choices that a site is assembled from.

    Attributes:
        folder: the site folder.
        agreement: the hospital's copy of the federation file, the public files beside it.
        cache: folder of the on-disk cache (`client.families.cache`); None for none.
        device: where to train, in place of what `site.toml` names.
        sharing: processes that train beside one another on this machine, this one included.
        simulated: the site is played by somebody who has all of its data: nothing is disclosed, and no secret kept.
    """

    folder: Path
    agreement: Path
    cache: Path | None = None
    device: str | None = None
    sharing: int = 1
    simulated: bool = False

    @classmethod
    def of_node(cls, context: Context) -> "SiteSources":
        """Read a node's configuration.

        It has `site` and `federation`; the others are optional. A hospital's own process makes it, and says `simulated`
        of no site.
        """
        node = context.node_config
        return cls(
            folder=Path(str(node["site"])),
            agreement=Path(str(node["federation"])),
            cache=Path(str(node["cache"])) if "cache" in node else None,
            device=str(node["device"]) if "device" in node else None,
            sharing=int(node.get("sharing", 1)),
            simulated=bool(node.get("simulated", False)),
        )

    @property
    def version(self) -> tuple[int, ...]:
        """Times of change of the files.

        Raises:
            OSError: if a file is not there.
        """
        files = sorted(path for path in self.folder.iterdir() if path.is_file())
        return tuple(path.stat().st_mtime_ns for path in (*files, self.agreement))


class SharedAgreement:
    """A federation file with its graphs and models, shared by the sites of a process.

    A digest is over all participants: taken for every message, it would make a round of many sites quadratic in them.

    Args:
        path: the federation file, the public files beside it.

    Raises:
        InputError: if the file or a public file is not usable.
    """

    def __init__(self, path: Path) -> None:
        self.federation: Agreement = load_agreement(path)
        self.digest: str = self.federation.digest
        self._folder = path.parent
        self._models: dict[torch.device, tuple[SharedModel, Arrays]] = {}

    @cached_property
    def public(self) -> Public:
        """Public knowledge, read from the public files."""
        return family_of(self.federation).public(self.federation, self._folder)

    def model(self, public: Public, device: torch.device) -> tuple[SharedModel, Arrays]:
        """Return the model on a device and its initial weights, built and checked on first use.

        Raises:
            Refusal: under privacy, if the guarantee does not hold for it.
        """
        if device not in self._models:
            model = checked_model(self.federation, public)
            initial = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
            self._models[device] = model.to(device), initial
        return self._models[device]


def checked_model(federation: Agreement, public: Public) -> SharedModel:
    """Build the model of the agreement's seed, checked for the guarantee under privacy.

    Raises:
        Refusal: GUARANTEE_BROKEN.
    """
    try:
        return guaranteed_model(federation, public)
    except GuaranteeError as error:
        raise Refusal(RefusalCode.GUARANTEE_BROKEN) from error


def assemble_site(sources: SiteSources, agreement: SharedAgreement) -> Site:
    """Make a site, whole, from its sources.

    Raises:
        InputError: if the site folder does not satisfy the federation file, or the device is not there.
        Refusal: if privacy is asked for with a model that breaks its guarantee.
    """
    device, policy, key, data = (_played if sources.simulated else _opened)(sources, agreement)
    model, initial = agreement.model(data.public, device.torch_device)
    return Site(
        sources.folder,
        agreement.federation,
        agreement.digest,
        policy,
        device,
        data.holding,
        model,
        initial,
        key,
        data.public,
        sources.simulated,
    )


def _opened(sources: SiteSources, agreement: SharedAgreement) -> tuple[Device, Policy, bytes, SiteData]:
    """Device, policy, key and data of a hospital."""
    folder, federation = sources.folder, agreement.federation
    file = read_site_file(folder, federation)
    _require_no_folds_with_privacy(file, folder)
    device = _device(file, sources, folder)
    key = read_or_make_key(folder)  # the tables' marks need it
    data = read_or_restore(
        folder, sources.agreement, file, federation, lambda: agreement.public, sources.cache
    )
    return device, file.policy, key, data


def _played(sources: SiteSources, agreement: SharedAgreement) -> tuple[Device, Policy, bytes, SiteData]:
    """Device, policy, key and data of a simulated site."""
    folder, federation = sources.folder, agreement.federation
    file = read_played_site(folder, federation)
    device = _device(file, sources, Path(file.origin or folder))
    data = SiteData(agreement.public, read_played(folder, federation))
    return device, _without_floors(file.policy), NO_SECRET, data


def _without_floors(policy: Policy) -> Policy:
    """Return the policy of a simulated site, which only its own player asks anything."""
    loosened: dict[str, Any] = {
        "minimum_loss_noise": 0.0,
        "maximum_reach": math.inf,
        "largest_hospital": LARGEST_COHORT,
        "maximum_linear_rounds": MOST_LINEAR_ROUNDS,
    }
    if "minimum_count" not in policy.model_fields_set:
        loosened["minimum_count"] = 1
    return policy.model_copy(update=loosened)


def _require_no_folds_with_privacy(file: SiteFile, folder: Path) -> None:
    if file.policy.demands_privacy and file.fold is not None:
        what = "names a column of folds, by which a coordinator could choose patients, and the policy demands privacy"
        raise InvalidContentError(
            f"{folder / SITE_FILE}, fold", what, "remove the key fold, which is for simulations"
        )


def _device(file: SiteFile, sources: SiteSources, folder: Path) -> Device:
    if sources.device is None:
        asked, where = file.device, f"{folder / SITE_FILE}, device"
    else:
        asked, where = sources.device, "--device"
    return open_device(asked, where, file.precision, file.deterministic, sources.sharing)


@lru_cache(maxsize=2)
def _shared_agreement(path: Path, changed: int) -> SharedAgreement:
    return SharedAgreement(path)


_pool = SitePool[Site](size=lambda site: site.cohort.records.size)


def open_site(context: Context) -> Site:
    """Return the site that a node speaks for.

    It is assembled anew only if a file changed or memory was short.

    Raises:
        Refusal: if its tables do not satisfy the federation file, or its device is not there.
    """
    sources = SiteSources.of_node(context)
    try:
        agreed = sources.agreement.stat().st_mtime_ns
        key = tuple(
            str(part or "") for part in (sources.folder, sources.agreement, sources.cache, sources.device)
        )
        return _pool.get(
            key, sources.version, lambda: assemble_site(sources, _shared_agreement(sources.agreement, agreed))
        )
    except DeviceError as error:
        raise Refusal(RefusalCode.DEVICE_UNAVAILABLE) from error
    except (InputError, OSError) as error:
        raise Refusal(RefusalCode.COHORT_INVALID) from error


def close_sites() -> None:
    """Forget all sites that this process has opened, as after the end of a run."""
    _pool.close()
