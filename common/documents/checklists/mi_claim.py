"""Items of MI-CLAIM: minimum information about clinical artificial intelligence."""

from common.documents.checklists.checklist import Checklist, Item
from common.documents.facts.fact import Topic

MI_CLAIM = Checklist(
    name="MI-CLAIM",
    source="Norgeot et al., Nature Medicine 2020;26:1320-1324.",
    note="The publication numbers parts, and not items: the second number is ours.",
    sections={
        "1 Study design": (
            Item("1.1", "Clinical problem in which the model is to be used."),
            Item("1.2", "Question of the study."),
            Item(
                "1.3",
                "Characteristics of the cohorts for training and test.",
                (Topic.HOSPITALS, Topic.RECORDS),
                "characteristics of the patients",
            ),
            Item("1.4", "Evidence that the cohorts are like patients of ordinary care."),
            Item("1.5", "Best known solution, as the baseline of comparison."),
        ),
        "2 and 3 Data and optimization": (
            Item(
                "2.1",
                "Origin of the data, and their first form.",
                (Topic.HOSPITALS, Topic.PREDICTORS),
                "form in which the hospitals had them",
            ),
            Item(
                "2.2", "Changes of the data before they reach the model.", (Topic.PREPARATION, Topic.MISSING)
            ),
            Item("2.3", "Independence of training and test data.", (Topic.SPLIT, Topic.VALIDATION)),
            Item(
                "3.1",
                "Models that were compared, and the code that chose the best.",
                (Topic.TRAINING, Topic.OVERFITTING, Topic.SOFTWARE),
                "other models that were tried",
            ),
            Item("3.2", "Whether the input is structured.", (Topic.PREDICTORS,)),
        ),
        "4 Model performance": (
            Item(
                "4.1",
                "First measure of performance, and why this one.",
                (Topic.DISCRIMINATION, Topic.CALIBRATION),
                "why this one",
            ),
            Item("4.2", "First measure of clinical use, and why this one.", (Topic.NET_BENEFIT,)),
            Item("4.3", "Comparison with the baseline, with its uncertainty.", (Topic.VALIDATION,)),
        ),
        "5 Model examination": (
            Item("5.1", "First way of looking into the model.", (Topic.EXPLANATION,)),
            Item("5.2", "Second way of looking into the model.", (Topic.ABSTENTION,)),
            Item("5.3", "Meaning of what was seen for the performance."),
            Item(
                "5.4",
                "Whether single cases can be explained, where the model as a whole cannot.",
                (Topic.EXPLANATION,),
            ),
            Item(
                "5.5",
                "Reliability when patients change.",
                (Topic.HETEROGENEITY, Topic.ABSTENTION, Topic.LIMITS),
            ),
        ),
        "6 Reproducibility": (
            Item(
                "6.1",
                "Tier of sharing: all code, evaluation by a third party, a program that runs, or nothing.",
                (Topic.ACCESS, Topic.ORIGIN, Topic.SOFTWARE),
                "the tier",
            ),
        ),
    },
)
