"""Questions of PROBAST+AI: quality of development, and risk of bias of evaluation."""

from common.documents.checklists.checklist import Checklist, Item
from common.documents.facts.fact import Topic


def _judged(number: str, asks: str, *topics: Topic) -> Item:
    """Make a question that facts inform, and an assessor answers."""
    return Item(number, asks, topics, "yes or no")


def _participants(part: str) -> tuple[Item, ...]:
    return (
        Item(f"{part} 1.1", "Were the data sources fit?", (Topic.HOSPITALS,), "whether they are fit"),
        Item(f"{part} 1.2", "Was the design of the study fit?"),
        Item(
            f"{part} 1.3",
            "Do those who were included and excluded leave data that represent the target population?",
        ),
    )


def _predictors(part: str) -> tuple[Item, ...]:
    return (
        Item(
            f"{part} 2.1",
            "Were predictors defined and measured alike for everybody?",
            (Topic.PREDICTORS,),
            "whether hospitals measured them alike",
        ),
        Item(
            f"{part} 2.2",
            "Were predictors prepared alike for everybody?",
            (Topic.PREPARATION,),
            "preparation before the tables came to the site folder",
        ),
        Item(f"{part} 2.3", "Were predictors measured by people who did not know the outcome?"),
        Item(f"{part} 2.4", "Is every predictor there at the time at which the model is to be used?"),
    )


def _outcome(part: str) -> tuple[Item, ...]:
    return (
        Item(
            f"{part} 3.1",
            "Was the outcome well defined and measured?",
            (Topic.OUTCOMES,),
            "how it was defined and measured",
        ),
        Item(f"{part} 3.2", "Was the outcome defined and measured alike for everybody?"),
        Item(f"{part} 3.3", "Was the outcome judged by people who did not use the predictors?"),
        Item(f"{part} 3.4", "Was the time between predictors and outcome fit?"),
    )


def _large_sample(number: str, topic: Topic, rest: str) -> Item:
    return Item(number, "Is there evidence that the sample was large enough?", (Topic.RECORDS, topic), rest)


def _missing(number: str) -> Item:
    return _judged(number, "Were missing and censored data dealt with well?", Topic.MISSING)


def _development_analysis() -> tuple[Item, ...]:
    return (
        _large_sample("D 4.1", Topic.MODEL, "numbers of events, and whether this is enough"),
        _judged("D 4.2", "Were numbers and categories dealt with well?", Topic.PREPARATION),
        _missing("D 4.3"),
        _judged(
            "D 4.4", "After methods against class imbalance: was the model recalibrated?", Topic.IMBALANCE
        ),
        _judged("D 4.5", "Was anything done against overfitting?", Topic.OVERFITTING, Topic.TRAINING),
    )


def _evaluation_analysis() -> tuple[Item, ...]:
    return (
        _judged(
            "E 4.1",
            "Is the evaluation about more than the patients that the model was fitted to?",
            *(Topic.SPLIT, Topic.VALIDATION),
        ),
        _large_sample("E 4.2", Topic.DISCRIMINATION, "whether this is enough"),
        _missing("E 4.3"),
        _judged(
            "E 4.4", "Was the evaluation on data that were not corrected for imbalance?", Topic.IMBALANCE
        ),
        Item(
            "E 4.5",
            "Where data were split: did nothing of the test data reach the training?",
            (Topic.SPLIT,),
            "whether a patient can be in the tables of two hospitals",
        ),
        Item("E 4.6", "Where data were resampled: were all steps of development repeated each time?"),
        _judged(
            "E 4.7",
            "Were discrimination, calibration and net benefit measured well?",
            *(Topic.DISCRIMINATION, Topic.CALIBRATION, Topic.NET_BENEFIT),
        ),
    )


def _ratings(part: str, concern: str) -> tuple[Item, ...]:
    domains = ("participants and data sources", "predictors", "outcome", "analysis")
    rated = [
        Item(f"{part} {number}, {concern}", f"Rating of {concern}: {domain}.")
        for number, domain in enumerate(domains, 1)
    ]
    applied = [
        Item(f"{part} {number}, applicability", f"Concern about applicability: {domain}.")
        for number, domain in enumerate(domains[:3], 1)
    ]
    return (*rated, *applied)


def _sections(part: str, analysis: tuple[Item, ...], concern: str) -> dict[str, tuple[Item, ...]]:
    letter = part[0]
    return {
        f"{part} 1: participants and data sources": _participants(letter),
        f"{part} 2: predictors": _predictors(letter),
        f"{part} 3: outcome": _outcome(letter),
        f"{part} 4: analysis": analysis,
        f"{part}: ratings": _ratings(letter, concern),
    }


PROBAST_AI = Checklist(
    name="PROBAST+AI",
    source="Moons et al., BMJ 2025;388:e082505.",
    note="Answers are the facts that a release has for a question: yes or no, and every rating, are the assessor's.",
    sections=_sections("Development", _development_analysis(), "quality")
    | _sections("Evaluation", _evaluation_analysis(), "risk of bias"),
)
