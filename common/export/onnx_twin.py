"""ONNX form of a trained network of patients, checked against the network.

It leads from raw values to logits. Inputs are `MODALITY.values` [patients, nodes] float32, transformed and clipped as
the federation file says and 0 where nothing is observed, and `MODALITY.observed` [patients, nodes] bool; nodes are
numeric columns, then the levels of categories. Outputs are logits by the name of the task. Standardising is part of
the graph.
"""

import importlib.util
import itertools
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST
from common.errors import MachineError, MissingDependencyError
from common.models.static.dense_twin import DenseTwin
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


TOLERANCE = 1e-5
"""Largest difference of a logit from the network's."""


_MOST_MODALITIES = 7
"""Modalities of which the check takes all subsets."""


class RawTwin(nn.Module):
    """Dense twin with the standardising of a run before it; it takes raw values."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        federation, prepared = network.federation, network.preprocessing
        assert isinstance(federation, Federation)
        assert isinstance(prepared, Preprocessing)
        self.twin = DenseTwin(network.model)
        self.names = tuple(modality.name for modality in federation.modalities)
        for index, name in enumerate(self.names):
            used = prepared.spread[name].isfinite()
            self.register_buffer(f"used_{index}", used)
            self.register_buffer(f"center_{index}", prepared.center[name])
            self.register_buffer(f"spread_{index}", torch.where(used, prepared.spread[name], 1.0))

    def forward(self, values: list[Tensor], observed: list[Tensor]) -> tuple[Tensor, ...]:
        """Compute logits [B, outputs] by task."""
        scaled, seen = [], []
        for index, (numbers, mask) in enumerate(zip(values, observed, strict=True)):
            used = mask & getattr(self, f"used_{index}")
            numbers = (numbers - getattr(self, f"center_{index}")) / getattr(self, f"spread_{index}")
            scaled.append(numbers.clamp(-LARGEST, LARGEST) * used)
            seen.append(used)
        logits: tuple[Tensor, ...] = self.twin(scaled, seen)
        return logits


def exported_program(network: Network) -> torch.export.ExportedProgram:
    """Export the twin of a network for any number of patients."""
    twin = RawTwin(network).eval()
    patients = torch.export.Dim("patients", min=1, max=1_000_000)
    values, observed = _made_up(network, 3, seed=0)
    shapes = ([{0: patients}] * len(values), [{0: patients}] * len(observed))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own code
        return torch.export.export(twin, (values, observed), dynamic_shapes=shapes)


def onnx_content(network: Network) -> bytes:
    """Write a network as ONNX, the same bytes for the same network.

    Raises:
        InputError: if the packages are not installed, the model has no twin, or the twin computes something else.
    """
    if missing := [package for package in PACKAGES if importlib.util.find_spec(package) is None]:
        raise MissingDependencyError("--onnx", f"needs {', '.join(missing)}", "pip install 'consilium[onnx]'")
    names = [modality.name for modality in _federation(network).modalities]
    with _quiet():
        made: Any = torch.onnx.export(
            exported_program(network),
            dynamo=True,
            verbose=False,
            input_names=[f"{name}.{part}" for part in ("values", "observed") for name in names],
            output_names=[task.name for task in _federation(network).tasks],
        )
    content = _plain(made.model_proto)
    _require_the_same(network, content)
    return content


def _plain(model: Any) -> bytes:
    """Serialise a model without the places of source files that the exporter notes."""
    graphs = [model.graph, *model.functions]
    del model.metadata_props[:], model.graph.metadata_props[:]
    for part in itertools.chain(
        graphs[1:], *(graph.node for graph in graphs), *(graph.value_info for graph in graphs)
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _require_the_same(network: Network, content: bytes) -> None:
    """Compare twin and network on made-up patients with every subset of modalities."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for patients in (1, 7, 2 ** min(len(_federation(network).modalities), _MOST_MODALITIES)):
        values, observed = _made_up(network, patients, seed=patients)
        expected = _logits(network, values, observed)
        inputs = [part.name for part in session.get_inputs()]
        feed = {name: tensor.numpy() for name, tensor in zip(inputs, [*values, *observed], strict=True)}
        for name, logits in zip(expected, session.run(list(expected), feed), strict=True):
            if not torch.allclose(torch.from_numpy(logits), expected[name], rtol=0, atol=TOLERANCE):
                what = f"computes {name} otherwise than the network"
                raise MachineError("--onnx", f"the ONNX twin {what}", "release without --onnx")


def _logits(network: Network, values: list[Tensor], observed: list[Tensor]) -> dict[str, Tensor]:
    names = [modality.name for modality in _federation(network).modalities]
    batch = PatientBatch(
        dict(zip(names, values, strict=True)), dict(zip(names, observed, strict=True)), {}, {}
    )
    assert isinstance(network.preprocessing, Preprocessing)
    with torch.no_grad():
        logits: dict[str, Tensor] = network.model(network.preprocessing.apply(batch))
    return logits


def _made_up(network: Network, patients: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Make up raw values and masks; the modalities of patient i are the bits of i."""
    federation, prepared = _federation(network), network.preprocessing
    assert isinstance(prepared, Preprocessing)
    generator = torch.Generator().manual_seed(seed)
    values, observed = [], []
    for index, modality in enumerate(federation.modalities):
        shape = (patients, len(modality.nodes))
        has = (torch.arange(patients) >> index & 1 == 0)[:, None]
        seen = (torch.rand(shape, generator=generator) > 0.1) & has
        spread = prepared.spread[modality.name]
        raw = prepared.center[modality.name] + torch.randn(shape, generator=generator) * torch.where(
            spread.isfinite(), spread, 1.0
        )
        values.append(raw * seen)
        observed.append(seen)
    return values, observed


def _federation(network: Network) -> Federation:
    assert isinstance(network.federation, Federation)
    return network.federation


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes on its own packages from the person who releases a model."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
