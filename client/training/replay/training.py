"""Local training by steps that are replayed, for GPUs."""

import math

from torch import Tensor

from client.training.memory import RESIDENT
from client.training.minibatches import draw_minibatches
from client.training.replay.capture import ReplayedStep, captured_step
from client.training.replay.step import StepTerms, cohort_rows, minibatch_rows
from client.training.round import Round
from common.models.shared import SharedModel
from common.records import Records, moved


def replayed_step(model: SharedModel, batch: Records, round_: Round, at_once: int) -> ReplayedStep | None:
    """Return the step that a GPU replays on the records.

    None if device, model or memory are not for replay.

    Args:
        model: on the round's device.
        batch: on the CPU.
        round_: agreement and device.
        at_once: units that a step has room for.
    """
    device, size = round_.device, round_.federation.training.batch_size
    if device.torch_device.type != "cuda" or batch.size > RESIDENT * device.free_bytes():
        return None
    terms = StepTerms.of(model, round_, math.ceil(len(batch) / math.ceil(len(batch) / size)))
    if terms.units > at_once:
        return None
    with device.repeatable():
        return captured_step(model, terms, round_, batch)


def train_by_replay(
    replayed: ReplayedStep,
    model: SharedModel,
    batch: Records,
    round_: Round,
    rate: float,
    first: list[Tensor] | None = None,
) -> Tensor:
    """Fit the model in place as `client.training.local.train` does.

    Minibatches of the first epoch are those of training without replay. Masks of dropout are drawn by the GPU, so
    that they are others.

    Args:
        replayed: step of the model.
        model: on the round's device.
        batch: on the CPU.
        round_: agreement, seed and device.
        rate: learning rate.
        first: gets the losses of the first minibatch.

    Returns:
        [] float64 on the device: the sum of the units' losses in the last epoch.
    """
    step, settings, device = replayed.step, round_.federation.training, round_.device
    step.begin(model, rate, round_)
    cohort = cohort_rows(step.form, batch, device)
    with device.seeded(round_.seed), device.repeatable():
        for epoch in range(settings.local_epochs):
            minibatches = draw_minibatches(len(batch), settings.batch_size)
            table = minibatch_rows(minibatches, step.terms.units, len(batch))
            step.total.zero_()
            for number, units in enumerate(moved(table, device.torch_device)):
                step.take(cohort, units)
                replayed.run()
                if first is not None and epoch == number == 0:
                    first.append(step.losses[: len(minibatches[0])].clone())
    step.finish(model)
    return step.total
