"""Questions of PROBAST+AI: quality of development, and risk of bias of evaluation."""

from common.documents.checklists.checklist import Checklist, Item
from common.documents.facts.fact import Topic

YES_OR_NO = "yes or no"


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


PROBAST_AI = Checklist(
    name="PROBAST+AI",
    source="Moons et al., BMJ 2025;388:e082505.",
    note="Answers are the facts that a release has for a question: yes or no, and every rating, are the assessor's.",
    sections={
        "Development 1: participants and data sources": _participants("D"),
        "Development 2: predictors": _predictors("D"),
        "Development 3: outcome": _outcome("D"),
        "Development 4: analysis": (
            Item(
                "D 4.1",
                "Is there evidence that the sample was large enough?",
                (Topic.RECORDS, Topic.MODEL),
                "numbers of events, and whether this is enough",
            ),
            Item("D 4.2", "Were numbers and categories dealt with well?", (Topic.PREPARATION,), YES_OR_NO),
            Item("D 4.3", "Were missing and censored data dealt with well?", (Topic.MISSING,), YES_OR_NO),
            Item(
                "D 4.4",
                "After methods against class imbalance: was the model recalibrated?",
                (Topic.IMBALANCE,),
                YES_OR_NO,
            ),
            Item(
                "D 4.5",
                "Was anything done against overfitting?",
                (Topic.OVERFITTING, Topic.TRAINING),
                YES_OR_NO,
            ),
        ),
        "Development: ratings": _ratings("D", "quality"),
        "Evaluation 1: participants and data sources": _participants("E"),
        "Evaluation 2: predictors": _predictors("E"),
        "Evaluation 3: outcome": _outcome("E"),
        "Evaluation 4: analysis": (
            Item(
                "E 4.1",
                "Is the evaluation about more than the patients that the model was fitted to?",
                (Topic.SPLIT, Topic.VALIDATION),
                YES_OR_NO,
            ),
            Item(
                "E 4.2",
                "Is there evidence that the sample was large enough?",
                (Topic.RECORDS, Topic.DISCRIMINATION),
                "whether this is enough",
            ),
            Item("E 4.3", "Were missing and censored data dealt with well?", (Topic.MISSING,), YES_OR_NO),
            Item(
                "E 4.4",
                "Was the evaluation on data that were not corrected for imbalance?",
                (Topic.IMBALANCE,),
                YES_OR_NO,
            ),
            Item(
                "E 4.5",
                "Where data were split: did nothing of the test data reach the training?",
                (Topic.SPLIT,),
                "whether a patient can be in the tables of two hospitals",
            ),
            Item("E 4.6", "Where data were resampled: were all steps of development repeated each time?"),
            Item(
                "E 4.7",
                "Were discrimination, calibration and net benefit measured well?",
                (Topic.DISCRIMINATION, Topic.CALIBRATION, Topic.NET_BENEFIT),
                YES_OR_NO,
            ),
        ),
        "Evaluation: ratings": _ratings("E", "risk of bias"),
    },
)
