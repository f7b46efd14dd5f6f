"""Model card of a release as Markdown and as JSON."""

import json

from common.documents.facts.fact import FOR_YOU, Facts, Topic
from common.documents.markdown import paragraph, plain
from common.release.release import ModelRelease

SECTIONS: dict[str, tuple[Topic, ...]] = {
    "What it is": (Topic.NAME, Topic.USE, Topic.OUTPUTS, Topic.LIMITS),
    "How well it does": (
        Topic.DISCRIMINATION,
        Topic.CALIBRATION,
        Topic.NET_BENEFIT,
        Topic.INTERVALS,
        Topic.VALIDATION,
        Topic.HETEROGENEITY,
        Topic.SUBGROUPS,
        Topic.ABSTENTION,
        Topic.EXPLANATION,
        Topic.LOSS,
    ),
    "Data": (Topic.HOSPITALS, Topic.RECORDS, Topic.PARTICIPATION, Topic.SPLIT),
    "Outcomes and predictors": (
        Topic.OUTCOMES,
        Topic.PREDICTORS,
        Topic.PREPARATION,
        Topic.MISSING,
        Topic.INPUT_CHECKS,
    ),
    "Model and training": (
        Topic.MODEL,
        Topic.KNOWLEDGE,
        Topic.TRAINING,
        Topic.OVERFITTING,
        Topic.IMBALANCE,
        Topic.CLUSTERS,
        Topic.PRIVACY,
    ),
    "Origin and upkeep": (Topic.ORIGIN, Topic.SOFTWARE, Topic.ACCESS, Topic.MAINTENANCE),
}
"""Sections of the card in their order; every topic is in one."""

QUESTIONS = (
    "Who developed the model, and who answers questions about it",
    "Intended use: for whom, by whom, at what moment of care, and what follows from a prediction",
    "Patients: setting, dates, criteria of inclusion and exclusion, treatments, length of follow-up",
    "How and when predictors and outcomes were measured, and by whom",
    "Known inequalities between groups of patients, and what was done about them",
    "Ethical approval, consent, funding, conflicts of interest, registration, data sharing",
)
"""Questions that no release can answer."""


def card_markdown(release: ModelRelease, facts: Facts) -> bytes:
    """Write the card as Markdown."""
    card = release.card
    parts = [
        f"# Model card: {plain(release.version)}",
        f"Written by `consilium release card` from the release alone. It is for {card.use}."
        " What nobody measured says so; what the release cannot know is at the end.",
    ]
    for section, topics in SECTIONS.items():
        parts += [f"## {section}", *(paragraph(facts[topic]) for topic in topics)]
    parts += ["## What people have to add", "\n".join(f"- {asked}: {FOR_YOU}" for asked in QUESTIONS)]
    return ("\n\n".join(parts) + "\n").encode()


def card_json(release: ModelRelease, facts: Facts) -> bytes:
    """Write the card as JSON, with all columns and figures."""
    data = {
        "format": 1,
        "release": release.version,
        "facts": {
            topic.value: {
                "title": fact.title,
                "known": fact.is_known,
                "text": list(fact.lines),
                "data": fact.data,
            }
            for topic, fact in facts.items()
        },
        "for_you_to_say": list(QUESTIONS),
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
