"""Settings of a federation file that change nothing, because of others in it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from common.agreed import Problem
from common.agreement.agreement import Agreement

Idle = tuple[tuple[str, ...], Callable[[Agreement], bool], str, str]
"""Key, whether it changes nothing, why, and what to do."""


def _private(agreement: Agreement) -> bool:
    return agreement.privacy is not None


_UNDER_PRIVACY = (
    "patience",
    "validation_fraction",
    "calibration_fraction",
    "test_fraction",
    "local_epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "linear_rounds",
    "linear_penalty",
)
_IDLE: tuple[Idle, ...] = (
    *(
        (
            ("training", name),
            _private,
            "changes nothing under [privacy], which has steps of its own",
            "remove it",
        )
        for name in _UNDER_PRIVACY
    ),
    *(
        (
            ("statistics", name),
            _private,
            "changes nothing under [privacy], by which no such number leaves",
            "remove it",
        )
        for name in ("loss_noise",)
    ),
    (
        ("training", "proximal_mu"),
        lambda agreement: agreement.training.strategy != "fedprox",
        'is for strategy = "fedprox" alone, and changes nothing',
        'remove it, or write strategy = "fedprox"',
    ),
    (
        ("training", "server_learning_rate"),
        lambda agreement: agreement.training.strategy in ("fedavg", "fedprox"),
        'is for strategy = "fedadam" or "fedyogi" alone, and changes nothing',
        "remove it, or choose one of these strategies",
    ),
    (
        ("training", "linear_penalty"),
        lambda agreement: agreement.privacy is None and agreement.training.linear_rounds == 0,
        "is for linear rounds, of which the file has none, and changes nothing",
        "remove it, or write linear_rounds",
    ),
    (
        ("privacy", "statistics_noise_multiplier"),
        lambda agreement: agreement.privacy is not None and agreement.privacy.statistics != "noised",
        'is for statistics = "noised" alone, and changes nothing',
        "remove it",
    ),
    (
        ("training", "learn_task_weights"),
        lambda agreement: len(agreement.task_names) == 1 and agreement.training.learn_task_weights,
        "changes nothing with one task",
        "remove it",
    ),
)


def unused(agreement: Agreement, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings that a file has and that change nothing.

    Args:
        agreement: what the file says.
        data: content of the file, without defaults.
    """
    for key, is_idle, what, remedy in _IDLE:
        section = data.get(key[0])
        if not (isinstance(section, Mapping) and key[1] in section and is_idle(agreement)):
            continue
        default = type(getattr(agreement, key[0])).model_fields[key[1]].default
        if section[key[1]] != default:  # a default that is written out promises nothing
            yield Problem(key, what, remedy)
