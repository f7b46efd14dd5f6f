"""Items of TRIPOD+AI: reporting of studies that develop or evaluate a prediction model."""

from common.documents.checklists.checklist import Checklist, Item
from common.documents.facts.fact import Topic

TRIPOD_AI = Checklist(
    name="TRIPOD+AI",
    source="Collins et al., BMJ 2024;385:e078378.",
    note="They are about the report of a study: answers are sentences for it, to be checked and completed.",
    sections={
        "Title and abstract": (
            Item("1", "Title: development or evaluation, target population and outcome."),
            Item("2", "Abstract by the checklist for abstracts."),
        ),
        "Introduction": (
            Item("3a", "Clinical context, and why a model is needed beside those that exist."),
            Item(
                "3b",
                "Target population, purpose in the course of care, and intended users.",
                (Topic.USE,),
                "population, purpose and users",
            ),
            Item("3c", "Known inequalities in health between groups of people."),
            Item("4", "Aims, and whether a model is developed, evaluated, or both."),
        ),
        "Methods: data": (
            Item(
                "5a",
                "Sources of the data for development and for evaluation, why they were used, whom they represent.",
                (Topic.HOSPITALS, Topic.SPLIT),
                "why these sources, and whom they represent",
            ),
            Item("5b", "Dates of data collection and end of follow-up."),
            Item(
                "6a",
                "Setting of the study, and number and place of its centres.",
                (Topic.HOSPITALS,),
                "setting and places",
            ),
            Item("6b", "Who was eligible."),
            Item("6c", "Treatments that patients had, and how they were dealt with."),
            Item(
                "7",
                "Preparation and checks of the data, and whether they were alike for all groups.",
                (Topic.PREPARATION, Topic.INPUT_CHECKS),
                "preparation of the tables before they came to the hospital's site folder",
            ),
        ),
        "Methods: outcome and predictors": (
            Item(
                "8a",
                "Outcome with its horizon, and how and when it was measured, alike for all groups.",
                (Topic.OUTCOMES, Topic.OUTPUTS),
                "how and when it was measured",
            ),
            Item("8b", "Who judged an outcome that needs interpretation."),
            Item("8c", "Whether outcomes were assessed blind."),
            Item(
                "9a",
                "How the first predictors were chosen, and any selection before the model.",
                (Topic.PREDICTORS,),
                "why these were chosen",
            ),
            Item(
                "9b",
                "Every predictor, and how and when it was measured.",
                (Topic.PREDICTORS,),
                "how and when they were measured",
            ),
            Item("9c", "Who judged a predictor that needs interpretation."),
        ),
        "Methods: size and missing data": (
            Item(
                "10",
                "How the size of the study came about, and whether it is enough.",
                (Topic.RECORDS,),
                "whether this is enough, with the number of events",
            ),
            Item("11", "Missing data, and what was done about them.", (Topic.MISSING,)),
        ),
        "Methods: analysis": (
            Item("12a", "Use of the data for development and evaluation, with any division.", (Topic.SPLIT,)),
            Item("12b", "Form in which predictors enter the model.", (Topic.PREPARATION,)),
            Item(
                "12c",
                "Kind of model, all steps of its development, tuning, and internal validation.",
                (Topic.MODEL, Topic.KNOWLEDGE, Topic.TRAINING, Topic.OVERFITTING),
                "how the settings of the federation file were chosen",
            ),
            Item(
                "12d",
                "Differences between clusters such as hospitals.",
                (Topic.CLUSTERS, Topic.HETEROGENEITY),
            ),
            Item(
                "12e",
                "Measures and plots of performance, and why these.",
                (Topic.DISCRIMINATION, Topic.LOSS),
                "why these, and others that you took",
            ),
            Item(
                "12f",
                "Updating of the model after its evaluation, such as recalibration.",
                (Topic.CALIBRATION,),
            ),
            Item("12g", "How predictions were calculated for an evaluation.", (Topic.ACCESS,)),
            Item("13", "Methods against class imbalance, and recalibration after them.", (Topic.IMBALANCE,)),
            Item("14", "Methods for fairness, and why these.", (Topic.SUBGROUPS,)),
            Item("15", "Output of the model, and reasons for any classes and thresholds.", (Topic.OUTPUTS,)),
            Item("16", "Differences between the data of development and of evaluation."),
            Item("17", "Ethical approval, and consent or its waiver."),
        ),
        "Open science and involvement": (
            Item("18a", "Funding, and the funders' part in the study."),
            Item("18b", "Conflicts of interest."),
            Item("18c", "Where the protocol is."),
            Item("18d", "Registration of the study."),
            Item("18e", "Whether data are available."),
            Item(
                "18f",
                "Whether the code of the analysis is available.",
                (Topic.SOFTWARE,),
                "where the code is",
            ),
            Item("19", "Involvement of patients and the public."),
        ),
        "Results": (
            Item(
                "20a",
                "Flow of participants, those with and without the outcome, and follow-up.",
                (Topic.RECORDS,),
                "flow, outcomes and follow-up",
            ),
            Item(
                "20b",
                "Characteristics of participants, over all and by source, with events and missing values.",
            ),
            Item("20c", "Predictors in the data of an evaluation beside those of development."),
            Item(
                "21",
                "Participants and events in each analysis.",
                (Topic.RECORDS,),
                "numbers of events",
            ),
            Item(
                "22",
                "The whole model, such that others can compute predictions.",
                (Topic.ACCESS, Topic.ORIGIN),
            ),
            Item(
                "23a",
                "Performance with intervals, also in groups of people.",
                (
                    Topic.DISCRIMINATION,
                    Topic.CALIBRATION,
                    Topic.NET_BENEFIT,
                    Topic.VALIDATION,
                    Topic.SUBGROUPS,
                ),
            ),
            Item("23b", "Differences of performance between clusters.", (Topic.HETEROGENEITY,)),
            Item("24", "Results of updating, such as the recalibrated model.", (Topic.CALIBRATION,)),
        ),
        "Discussion": (
            Item("25", "Interpretation of the results, with fairness and earlier studies."),
            Item(
                "26",
                "Limits of the study, such as samples that represent nobody, or missing data.",
                (Topic.LIMITS,),
                "limits of the data",
            ),
            Item(
                "27a",
                "What is done at the bedside about input of poor quality, or none.",
                (Topic.INPUT_CHECKS, Topic.ABSTENTION),
            ),
            Item(
                "27b",
                "What users have to do with input and model, and how expert they have to be.",
                (Topic.ACCESS,),
                "expertise",
            ),
            Item("27c", "Next steps, and where the model may hold."),
        ),
    },
)
