"""Model card in XML: Applied Model Card of the Coalition for Health AI, version 0.2.

The schema is `https://mc.chai.org/v0.2/schema.xsd`; elements come in its order.
"""

import json
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from common.documents.facts.fact import FOR_YOU, Facts, Topic, texts
from common.release.release import ModelRelease

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"


def applied_card(release: ModelRelease, facts: Facts) -> bytes:
    """Write the card as XML."""
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.Element(f"{{{NAMESPACE}}}AppliedModelCard")
    _fill(root, _content(release, facts))
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _fill(element: ElementTree.Element, content: Mapping[str, Any]) -> None:
    """Add elements below one: a text, elements of its own, or as many of a name as a list has."""
    for name, inner in content.items():
        for part in inner if isinstance(inner, list) else [inner]:
            child = ElementTree.SubElement(element, f"{{{NAMESPACE}}}{name}")
            if isinstance(part, str):
                child.text = part
            else:
                _fill(child, part)


def _content(release: ModelRelease, facts: Facts) -> dict[str, Any]:
    card = release.card

    def say(*topics: Topic) -> str:
        return texts(facts, topics)

    return {
        "BasicInfo": {
            "ModelName": card.federation,
            "ModelDeveloper": FOR_YOU,
            "DeveloperContact": FOR_YOU,
        },
        "ReleaseInfo": {
            "ReleaseStage": card.use,
            "ReleaseDate": card.ended,
            "ReleaseVersion": release.version,
            "GlobalAvailability": FOR_YOU,
            "RegulatoryApproval": FOR_YOU,
        },
        "ModelSummary": {
            "Summary": say(Topic.NAME, Topic.OUTCOMES, Topic.MODEL, Topic.HOSPITALS),
            "Keywords": {
                "Keyword": ["federated learning", *card.inputs, *(task.name for task in card.tasks)]
            },
        },
        "UsesAndDirections": {
            "IntendedUseAndWorkflow": say(Topic.USE) + f" Place in the workflow: {FOR_YOU}.",
            "PrimaryIntendedUsers": FOR_YOU,
            "HowToUse": say(Topic.ACCESS, Topic.OUTPUTS, Topic.INPUT_CHECKS),
            "TargetedPatientPopulation": FOR_YOU,
            "CautionedOutOfScopeSettings": say(Topic.LIMITS),
        },
        "Warnings": {
            "KnownRisksAndLimitations": say(Topic.LIMITS, Topic.ABSTENTION, Topic.INTERVALS),
            "KnownBiasesOrEthicalConsiderations": say(Topic.SUBGROUPS, Topic.HETEROGENEITY)
            + f" Known inequalities: {FOR_YOU}.",
            "ClinicalRiskLevel": FOR_YOU,
        },
        "TrustIngredients": {
            "AISystemFacts": {
                "OutcomesAndOutputs": say(Topic.OUTCOMES, Topic.OUTPUTS),
                "ModelType": say(Topic.MODEL, Topic.KNOWLEDGE, Topic.TRAINING),
                "InputDataSource": say(Topic.PREDICTORS),
                "OutputAndInputDataTypes": say(Topic.PREPARATION, Topic.MISSING),
                "DevelopmentDataCharacterization": say(Topic.HOSPITALS, Topic.RECORDS, Topic.SPLIT),
                "BiasMitigationApproaches": say(Topic.CLUSTERS, Topic.IMBALANCE, Topic.OVERFITTING),
                "OngoingMaintenance": say(Topic.MAINTENANCE),
                "Security": say(Topic.PRIVACY),
                "Transparency": say(Topic.ORIGIN, Topic.SOFTWARE, Topic.EXPLANATION),
            },
            "TransparencyInformation": {
                "FundingSource": FOR_YOU,
                "StakeholdersConsulted": FOR_YOU,
            },
        },
        "KeyMetrics": {
            "UsefulnessUsabilityEfficacy": _metric(
                release,
                facts,
                "Patients with a higher risk come first, and decisions by the model do more good than harm.",
                (Topic.DISCRIMINATION, Topic.NET_BENEFIT),
            ),
            "FairnessEquity": _metric(
                release,
                facts,
                "Performance does not depend on the hospital or the group of a patient.",
                (Topic.HETEROGENEITY, Topic.SUBGROUPS),
            ),
            "SafetyReliability": _metric(
                release,
                facts,
                "Probabilities are those observed, and patients unlike those of training are noticed.",
                (Topic.CALIBRATION, Topic.INTERVALS, Topic.ABSTENTION),
            ),
        },
        "Resources": {
            "EvaluationReferences": say(Topic.VALIDATION),
            "PeerReviewedPublications": FOR_YOU,
            "PatientConsentOrDisclosure": FOR_YOU,
        },
        "Bibliography": FOR_YOU,
    }


def _metric(release: ModelRelease, facts: Facts, goal: str, topics: tuple[Topic, ...]) -> dict[str, Any]:
    chosen = [facts[topic] for topic in topics]
    return {
        "MetricGoal": goal,
        "Results": {
            "MetricResult": [
                {"Label": fact.title, "ValueJson": json.dumps(fact.data if fact.is_known else None)}
                for fact in chosen
            ]
        },
        "Interpretation": texts(facts, topics),
        "TestType": "internal, on validation records of the hospitals that trained the model",
        "TestingDataDescription": texts(facts, (Topic.RECORDS, Topic.SPLIT)),
        "ValidationProcessAndJustification": texts(facts, (Topic.VALIDATION,)),
    }
