"""Facts about how well the model does, and where it does not."""

from common.documents.facts.fact import Fact, Facts, Topic, joined
from common.documents.facts.members import (
    calibrated_tasks,
    calibration_fact,
    heterogeneity_fact,
    intervals_fact,
)
from common.documents.facts.structure import abstention_fact
from common.documents.facts.validation import validation_facts
from common.release.card import Card
from common.release.release import ModelRelease


def evidence_facts(release: ModelRelease) -> Facts:
    """Collect performance, calibration, validation and limits."""
    card, validated = release.card, validation_facts(release)

    def held_out(topic: Topic, title: str) -> Fact:
        return validated.get(topic, Fact(title))

    judged = held_out(Topic.DISCRIMINATION, "Discrimination")
    tasks = [task for task in card.tasks if task.concordance is not None]
    by_pairs = Fact(
        "Discrimination", _discrimination(card, _tasks(judged)), [task.model_dump() for task in tasks] or None
    )
    return {
        Topic.DISCRIMINATION: joined({"validation": judged, "run": by_pairs}),
        Topic.LOSS: Fact(
            "Validation loss",
            () if card.validation_loss is None else (f"Mean loss per validation record: {card.said_loss}.",),
            {"value": card.validation_loss, "noise": card.validation_noise},
        ),
        Topic.CALIBRATION: joined(
            {
                "validation": held_out(Topic.CALIBRATION, "Calibration"),
                "calibration": calibration_fact(release.calibration, card.unit),
            }
        ),
        Topic.INTERVALS: intervals_fact(release.intervals, card.unit),
        Topic.ABSTENTION: abstention_fact(release),
        Topic.VALIDATION: held_out(Topic.VALIDATION, "Validation on held-out patients"),
        Topic.SUBGROUPS: held_out(Topic.SUBGROUPS, "Subgroups"),
        Topic.HETEROGENEITY: joined(
            {
                "validation": held_out(Topic.HETEROGENEITY, "Performance by hospital"),
                "calibration": heterogeneity_fact(release.calibration),
            }
        ),
        Topic.NET_BENEFIT: held_out(Topic.NET_BENEFIT, "Net benefit"),
        Topic.EXPLANATION: Fact(
            "Explanation of predictions",
            (
                "`consilium predict --explain` gives integrated gradients of a prediction, with the gap by which they"
                " miss it; how faithful they are is measured by `consilium bench explain`, and is not in the release.",
            ),
        ),
        Topic.LIMITS: Fact("Limits", _limits(release, _tasks(judged))),
    }


def _tasks(judged: Fact) -> set[str]:
    """Name the tasks of which held-out patients tell the concordance."""
    figures = judged.data or {}
    return {name.partition(", ")[0] for name, figure in figures.items() if figure["value"] is not None}


def _discrimination(card: Card, validated: set[str]) -> tuple[str, ...]:
    """Say what the noised pairs of the run tell of the tasks that have no better figure."""
    tasks = [task for task in card.tasks if task.name not in validated]
    if not any(task.concordance is not None for task in tasks):
        return ()
    lines = []
    for task in tasks:
        pairs = f" ({task.pairs:,} pairs of validation {card.unit} within hospitals)" if task.pairs else ""
        lines.append(f"{task.name}: concordance {task.said}{pairs}.")
    if any(task.noise for task in tasks):
        lines.append(
            "± is one standard deviation of the noise that the federation file has hospitals add. It is no sampling"
            " error: there is no confidence interval."
        )
    return tuple(lines)


def _limits(release: ModelRelease, validated: set[str]) -> tuple[str, ...]:
    card = release.card
    calibrated = calibrated_tasks(release.calibration)
    without = [task.name for task in card.tasks if task.name not in calibrated]
    lines = []
    if without:
        which = f" of {', '.join(without)}" if calibrated else ""
        lines.append(f"Predictions{which} are not calibrated: read them as an order of patients.")
    drowned = [task.name for task in card.tasks if task.is_drowned and task.name not in validated]
    if drowned:
        lines.append(
            f"How well the model predicts {', '.join(drowned)} cannot be told: there are so few validation"
            f" {card.unit} that the hospitals' noise covers the figure."
        )
    is_judged = card.validation_loss is not None or any(task.concordance is not None for task in card.tasks)
    lines += [
        f"Figures are of held-out {card.unit} of the hospitals that trained the model, of whom most or all helped to"
        " choose the kept round: they are not those of an independent test."
        if is_judged or validated
        else "How well it predicts was not measured at all.",
        "Nobody has tested the model at a hospital that had no part in training, or on later patients, as far as this"
        " release says.",
        "A prediction says nothing about what a treatment would change.",
    ]
    return tuple(lines)
