from pathlib import Path

import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.errors import InvalidContentError
from common.prediction.network import network_of, released_network
from common.release.release import read_release
from tests.released import Coordinator


def test_a_released_network_has_the_weights_that_were_released(
    federation: Federation, tmp_path: Path
) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    release = read_release(coordinator.write(seed=3), coordinator.key.public_key())
    network = released_network(release)
    assert not network.model.training
    assert network.version == "test-1"
    for name, tensor in network.model.state_dict().items():
        assert torch.equal(tensor, torch.from_numpy(release.weights[name]))


def test_arrays_of_another_federation_file_are_refused(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    release = read_release(coordinator.write(), coordinator.key.public_key())
    first = min(release.weights)
    weights, prepared = dict(release.weights), dict(release.preprocessing)
    for spoilt in (
        {name: array for name, array in weights.items() if name != first},
        weights | {"more": np.zeros(1, np.float32)},
        weights | {first: weights[first][..., None]},
        weights | {first: weights[first].astype(np.float64)},
        weights | {first: np.full_like(weights[first], np.inf)},
    ):
        with pytest.raises(InvalidContentError):
            network_of(federation, coordinator.folder, spoilt, prepared, "run/", "do it again")
    wider = federation.changed({"model.width": "16"})
    with pytest.raises(InvalidContentError):
        network_of(wider, coordinator.folder, weights, prepared, "run/", "do it again")


def test_a_released_ensemble_has_all_its_networks(federation: Federation, tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    (tmp_path / "file.zip").write_bytes(coordinator.made(members=coordinator.ensemble((4, 0, 9)))[1])
    network = released_network(read_release(tmp_path / "file.zip", coordinator.key.public_key()))
    assert len(network.members) == 3
    for seed, member in zip((4, 0, 9), network.members, strict=True):
        alone = released_network(read_release(coordinator.write(seed=seed), None))
        assert alone.others == ()
        for name, array in alone.weights.items():
            assert np.array_equal(array, member.weights[name])
