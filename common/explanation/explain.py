"""Explanations of a prediction by values, pathways, modalities and edges.

Attention is no part of it: weights of attention say where a network looks, and not what its answer follows from.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.explanation.agreement import agreement_of, mean_attribution
from common.explanation.explanation import LEAST_BY_EDGES, Explanation
from common.explanation.path import SMALLEST_TOLERANCE, Attribution, Values
from common.explanation.patient import Patient
from common.explanation.reasons import pathway_reasons, value_reasons
from common.explanation.targets import Explained, likelihoods, targets
from common.models.graphs import Prior
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network

Noticed = Callable[[Sequence[Explained], Sequence[Attribution]], None]
"""Told of every explained number, by the members of an ensemble, for sums over patients."""


def explain(
    network: Network,
    patient: PatientBatch,
    horizons: Mapping[str, Sequence[float]],
    noticed: Noticed | None = None,
) -> tuple[Explanation, ...]:
    """Explain the prediction of a patient.

    Of an ensemble every number is the mean over its members.

    Args:
        network: the model.
        patient: one, with raw values.
        horizons: survival task -> times by which the risk is explained; other tasks have none.
        noticed: told of every explained number with its attributions.

    Returns:
        An explanation for every horizon, and for the likeliest class, the likeliest label and the number of the others.

    Raises:
        InvalidContentError: for a task that predicts something else.
    """
    federation = network.federation
    assert isinstance(federation, Federation)
    members = [Patient(member.model, _prepared(member).apply(patient)) for member in network.members]
    with torch.no_grad():
        shares = [likelihoods(federation, of.model(of.batch)) for of in members]
    likeliest = {name: torch.stack([share[name] for share in shares]).mean(0) for name in shares[0]}
    questions = [targets(federation, _prepared(member), horizons, likeliest) for member in network.members]
    made = []
    for asked in zip(*questions, strict=True):
        attributions = [of.attribution(target) for of, target in zip(members, asked, strict=True)]
        if noticed is not None:
            noticed(asked, attributions)
        made.append(_explanation(network, patient, members, asked, attributions))
    return tuple(made)


def _prepared(network: Network) -> Preprocessing:
    prepared = network.preprocessing
    assert isinstance(prepared, Preprocessing)
    return prepared


def _explanation(
    network: Network,
    raw: PatientBatch,
    members: Sequence[Patient],
    asked: Sequence[Explained],
    attributions: Sequence[Attribution],
) -> Explanation:
    federation, target, first = network.federation, asked[0], members[0]
    assert isinstance(federation, Federation)
    attribution = mean_attribution(attributions)
    mean, end = attribution.start, attribution.end

    def without(values: Mapping[str, Tensor], modality: str | None = None) -> Tensor:
        """Compute the number [rows] with some values [rows, nodes] set to the mean."""
        numbers = [
            of.at(which, {name: part * of.batch.values[name] for name, part in values.items()}, modality)
            for of, which in zip(members, asked, strict=True)
        ]
        return torch.stack(numbers).mean(0)

    higher, lower, rest = value_reasons(federation, _prepared(network), raw, attribution)
    membership = network.public.membership if isinstance(network.public, Prior) else {}
    pathways_higher, pathways_lower = pathway_reasons(
        membership, first.batch, attribution, lambda kept: end - without(kept)
    )
    seen = [name for name in first.batch.values if bool(first.batch.present(name))]
    everything = {name: torch.ones_like(part) for name, part in first.batch.values.items()}
    absent = {name: float(without(everything, name)) - end for name in seen if len(seen) > 1}
    return Explanation(
        task=target.task,
        outcome=target.outcome,
        horizon=target.horizon,
        unit=target.unit,
        scale=target.scale,
        patient=end,
        mean=mean,
        steps=attribution.steps,
        gap=attribution.gap,
        converged=all(of.converged for of in attributions),
        linear=None if any(of.parts is None for of in members) else _total(attribution.linear),
        modalities={name: float(attribution.values[name].sum()) for name in seen},
        absent=absent,
        edges=_by_edges(members, asked, end - mean),
        higher=higher,
        lower=lower,
        rest=rest,
        pathways_higher=pathways_higher,
        pathways_lower=pathways_lower,
        agreement=agreement_of(federation, raw, [of.values for of in attributions]),
    )


def _by_edges(members: Sequence[Patient], asked: Sequence[Explained], difference: float) -> float | None:
    """Return the share of a difference from the mean patient that is missing without edges."""
    if abs(difference) <= SMALLEST_TOLERANCE * asked[0].spread:
        return None
    bare = [of.without_edges(target) for of, target in zip(members, asked, strict=True)]
    differences = [number for number in bare if number is not None]
    if len(differences) < len(bare):
        return None
    share = abs(difference - sum(differences) / len(differences)) / abs(difference)
    return share if share >= LEAST_BY_EDGES else None


def _total(parts: Values) -> float:
    return float(sum(part.sum() for part in parts.values()))
