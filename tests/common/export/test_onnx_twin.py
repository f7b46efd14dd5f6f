"""The exported twin computes what the network computes, for any patients and any modalities."""

import importlib.util
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from common.agreement.federation import Federation
from common.errors import MissingDependencyError
from common.export.onnx_twin import PACKAGES, TOLERANCE, RawTwin, exported_program, onnx_content
from common.families.patients import FAMILY
from common.models.graphs import Prior
from common.patients.batch import PatientBatch, concatenate
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network


@pytest.fixture
def network(federation: Federation, prior: Prior, preprocessing: Preprocessing) -> Network:
    """A network with graphs, pathways and attention of random weights, and one node without a spread."""
    torch.manual_seed(3)
    model = FAMILY.model(federation, prior, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    preprocessing.center["rna"][:] = 2.0
    preprocessing.spread["rna"][3] = torch.inf
    return Network(federation, preprocessing, {}, model.eval())


def patients_of(network: Network, make_batch: Callable[..., PatientBatch], number: int) -> PatientBatch:
    batch = make_batch(max(number, 16))
    names = list(batch.observed)
    for row, lacking in enumerate(itertools.product([True, False], repeat=len(names))):
        for name, has in zip(names, lacking, strict=True):
            batch.observed[name][row] &= has
            batch.values[name][row] *= has
    return batch.select(torch.arange(number))


def largest_difference(
    network: Network, twin: Callable[..., tuple[torch.Tensor, ...]], batch: PatientBatch
) -> float:
    assert isinstance(network.preprocessing, Preprocessing)
    with torch.no_grad():
        expected = network.model(network.preprocessing.apply(batch))
        made = twin(list(batch.values.values()), list(batch.observed.values()))
    return max(
        float((logits - expected[name]).abs().max()) for name, logits in zip(expected, made, strict=True)
    )


@pytest.mark.parametrize("patients", [1, 7, 100])
def test_the_twin_equals_the_network_for_every_subset_of_modalities(
    network: Network, make_batch: Callable[..., PatientBatch], patients: int
) -> None:
    batch = patients_of(network, make_batch, patients)
    assert largest_difference(network, RawTwin(network).eval(), batch) < TOLERANCE


def test_without_demographics_or_graphs_it_is_the_same(
    federation: Federation,
    prior: Prior,
    preprocessing: Preprocessing,
    make_batch: Callable[..., PatientBatch],
) -> None:
    bare = federation.model_copy(
        update={"model": federation.model.model_copy(update={"gcn_layers": 0, "gat_layers": 0})}
    )
    torch.manual_seed(4)
    model = FAMILY.model(bare, prior, 4).eval()
    batch = concatenate([make_batch(6, seed=1)])
    assert (
        largest_difference(
            Network(bare, preprocessing, {}, model),
            RawTwin(Network(bare, preprocessing, {}, model)).eval(),
            batch,
        )
        < TOLERANCE
    )


def test_without_the_packages_the_extra_is_named(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.export.onnx_twin.PACKAGES", ("no_such_package",))
    with pytest.raises(MissingDependencyError):
        onnx_content(network)


@pytest.mark.slow
def test_the_exported_program_takes_any_number_of_patients(
    network: Network, make_batch: Callable[..., PatientBatch]
) -> None:
    program = exported_program(network).module()
    for patients in (1, 7, 100):
        batch = patients_of(network, make_batch, patients)
        assert largest_difference(network, program, batch) < TOLERANCE


@pytest.mark.slow
def test_onnx_runtime_computes_the_same_and_the_bytes_are_always_the_same(
    network: Network, make_batch: Callable[..., PatientBatch], tmp_path: Path
) -> None:
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        pytest.skip("ONNX is not installed; `pip install 'consilium[onnx]'` brings it")
    import onnxruntime

    content = onnx_content(network)
    assert content == onnx_content(network)
    assert str(Path(__file__).parents[3]).encode() not in content
    session = onnxruntime.InferenceSession(content)

    def run(values: list[torch.Tensor], observed: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        names = [part.name for part in session.get_inputs()]
        feed = {name: tensor.numpy() for name, tensor in zip(names, [*values, *observed], strict=True)}
        return tuple(map(torch.from_numpy, session.run(["survival", "response", "toxicity"], feed)))

    for patients in (1, 7, 100):
        batch = patients_of(network, make_batch, patients)
        assert largest_difference(network, run, batch) < TOLERANCE
