"""Capture of a training step as a CUDA graph.

A GPU replays the graph without a launch per operation.

A step of the shipped model is some thousand small operations: a host takes longer to launch them than a GPU to compute
them. What cannot be captured is trained operation by operation as before, and the log says so.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

import torch
from torch import nn

from client.training.replay.step import StaticStep, StepTerms, cohort_rows, minibatch_rows
from client.training.round import Round
from common.models.shared import SharedModel, StaticForm
from common.records import Records, moved

log = logging.getLogger("consilium.capture")


WARM_UP = 3
"""Steps before a capture, in which libraries choose kernels and take their working memory."""


class CaptureFault(StrEnum):
    """Code in the log of why a step is not replayed."""

    NOT_CAPTURED = "step-not-captured"


@dataclass(frozen=True)
class ReplayedStep:
    """A static step and its replay.

    Attributes:
        step: whose tensors hold weights, minibatch and losses.
        run: takes the step.
    """

    step: StaticStep
    run: Callable[[], object]


_replayed: WeakKeyDictionary[nn.Module, dict[StepTerms, ReplayedStep | None]] = WeakKeyDictionary()


def captured_step(model: SharedModel, terms: StepTerms, round_: Round, batch: Records) -> ReplayedStep | None:
    """Return the step of a model on these terms, which is captured at first use.

    It is kept as long as the model.

    Args:
        model: on the GPU.
        terms: of the step.
        round_: with the GPU; its preprocessing and the model's weights are those of the steps before the capture.
        batch: records that those steps are taken on.

    Returns:
        None if the model has no static form, or the GPU cannot capture the step.
    """
    steps = _replayed.setdefault(model, {})
    if terms not in steps:
        form = model.static_form()
        steps[terms] = None if form is None else _captured(form, model, terms, round_, batch)
    return steps[terms]


def _captured(
    form: StaticForm, model: SharedModel, terms: StepTerms, round_: Round, batch: Records
) -> ReplayedStep | None:
    cohort = cohort_rows(form, batch.select(torch.arange(min(terms.units, len(batch)))), terms.device)
    table = minibatch_rows([torch.arange(len(cohort[0]) - 1)], terms.units, len(cohort[0]) - 1)
    fault = ""
    while True:
        try:
            step = StaticStep(form, terms, round_, cohort)
            step.begin(model, 0.0, round_)
            step.take(cohort, moved(table[0], terms.device.torch_device))
            return ReplayedStep(step, _graph(step).replay)
        except RuntimeError as error:  # of capture, of a library, or of memory
            fault = type(error).__name__
        if not form.without_sparse_products():
            break
    log.warning(
        "the GPU does not capture the training step (%s); its operations are launched one by one",
        fault,
        extra={"code": CaptureFault.NOT_CAPTURED},
    )
    return None


def _graph(step: StaticStep) -> torch.cuda.CUDAGraph:
    """Capture a step after some that warm up on the same stream."""
    device = step.terms.device
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(device.torch_device)
    with device.seeded(0):
        stream.wait_stream(torch.cuda.current_stream(device.torch_device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step.run()
        torch.cuda.synchronize(device.torch_device)
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            step.run()
    return graph
