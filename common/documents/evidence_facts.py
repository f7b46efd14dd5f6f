"""Facts about how well the model does, and where it does not."""

from common.documents.fact import Fact, Facts, Topic
from common.documents.structure_facts import abstention_fact
from common.release.card import Card
from common.release.release import ModelRelease


def evidence_facts(release: ModelRelease) -> Facts:
    """Collect performance, calibration, validation and limits."""
    card = release.card
    concordances = [task for task in card.tasks if task.concordance is not None]
    return {
        Topic.DISCRIMINATION: Fact(
            "Discrimination",
            _discrimination(card) if concordances else (),
            [task.model_dump() for task in concordances],
        ),
        Topic.LOSS: Fact(
            "Validation loss",
            () if card.validation_loss is None else (f"Mean loss per validation record: {card.said_loss}.",),
            {"value": card.validation_loss, "noise": card.validation_noise},
        ),
        Topic.CALIBRATION: Fact("Calibration"),
        Topic.INTERVALS: Fact("Intervals of predictions"),
        Topic.ABSTENTION: abstention_fact(release),
        Topic.VALIDATION: Fact("Validation on patients who chose nothing"),
        Topic.SUBGROUPS: Fact("Subgroups"),
        Topic.HETEROGENEITY: Fact("Performance by hospital"),
        Topic.NET_BENEFIT: Fact("Net benefit"),
        Topic.EXPLANATION: Fact(
            "Explanation of predictions",
            (
                "`consilium predict --explain` gives integrated gradients of a prediction, with the gap by which they"
                " miss it; how faithful they are is measured by `consilium bench explain`, and is not in the release.",
            ),
        ),
        Topic.LIMITS: Fact("Limits", _limits(release)),
    }


def _discrimination(card: Card) -> tuple[str, ...]:
    lines = []
    for task in card.tasks:
        pairs = f" ({task.pairs:,} pairs of validation {card.unit} within hospitals)" if task.pairs else ""
        lines.append(f"{task.name}: concordance {task.said}{pairs}.")
    if any(task.noise for task in card.tasks):
        lines.append(
            "± is one standard deviation of the noise that the federation file has hospitals add. It is no sampling"
            " error: there is no confidence interval."
        )
    return tuple(lines)


def _limits(release: ModelRelease) -> tuple[str, ...]:
    card = release.card
    lines = ["Probabilities are not calibrated: read predictions as an order of patients."]
    drowned = [task.name for task in card.tasks if task.is_drowned]
    if drowned:
        lines.append(
            f"How well the model predicts {', '.join(drowned)} cannot be told: there are so few validation"
            f" {card.unit} that the hospitals' noise covers the figure."
        )
    is_judged = card.validation_loss is not None or any(task.concordance is not None for task in card.tasks)
    lines += [
        f"Figures are of validation {card.unit}, who chose the kept round, and not of an independent test."
        if is_judged
        else "How well it predicts was not measured at all.",
        "Nobody has tested the model at a hospital that had no part in training, or on later patients, as far as this"
        " release says.",
        "A prediction says nothing about what a treatment would change.",
    ]
    return tuple(lines)
