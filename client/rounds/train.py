"""Answer to a training request: the update of one round."""

import torch
from flwr.app import RecordDict
from torch import Tensor

from client.privacy.dp_sgd import train_privately
from client.privacy.noise import NoisedSteps
from client.rounds.accounts import accounted
from client.rounds.evaluate import loss_release, validation_metrics
from client.rounds.exact import require_disclosed
from client.rounds.requests import asks_for_round, model_request, round_records, site_round, take_over
from client.rounds.site import Site
from client.site_folder.places import Home
from client.training.error_feedback import encoded_update
from client.training.linear import step_along_gradient
from client.training.local import train
from common.messages.exchange import ModelRequest, TrainReply, UpdateReply
from common.messages.validation import TRAINING_LOSS
from common.models.parameter_groups import AveragingWeights


def train_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Train one round and answer with the update."""
    request = model_request(site, content, site.federation.training.rounds)
    terms = site.terms
    preprocessing = take_over(site, request)  # before anything is paid for: it looks at no record
    round_ = site_round(site, request, preprocessing)
    decide = asks_for_round(run, site, "train", request)
    if terms.privacy is None or terms.privacy.statistics == "public":
        require_disclosed(site, terms, request.fold)  # scaling is held against these sums
    if terms.privacy is None:
        with accounted(site, terms, request.round, decide):
            training, validation = round_records(site, request, preprocessing)
            release, first = loss_release(site, terms, request), list[Tensor]()
            metrics = validation_metrics(site, terms, validation, round_, release)
            behind = site.family.behind(training, site.model.groups())
            if request.round <= site.federation.linear_rounds:
                first.append(step_along_gradient(site.model, training, behind, round_))
            else:
                train(site.model, training, round_, first)
            losses = torch.cat(first)
        if len(losses) >= terms.minimum_count:
            metrics = {TRAINING_LOSS: release.training(losses), **metrics}
        # The shared group is never below the minimum count, or the site would have refused.
        return _reply(run, site, request, behind.without_few(terms.minimum_count), metrics)
    with accounted(site, terms, request.round, decide):
        training, _ = round_records(site, request, preprocessing)
        train_privately(
            site.model, training, round_, terms.privacy, site.absent, site.gate_steps or NoisedSteps
        )
    # Neither a loss nor a number of patients leaves: either would be another release.
    return _reply(run, site, request, site.model.groups().hospitals_behind(site.absent), {})


def _reply(
    run: int, site: Site, request: ModelRequest, behind: AveragingWeights, metrics: dict[str, float]
) -> RecordDict:
    """Make the reply of the weights, or of their change as the agreement has it travel.

    Encoding comes last of all, so that under privacy it sees the noised update alone; the gate encodes what it noised.
    """
    groups, untrained = site.model.groups(), site.untrained
    weights = {
        name: tensor.cpu().numpy().copy()
        if behind[groups[name]] and name not in untrained
        else request.weights[name]
        for name, tensor in site.model.state_dict().items()
    }
    name, wire, patients = site.cohort.site, site.federation.wire, behind.to_numbers()
    noised_at_gate = site.federation.privacy is not None and site.gate_steps is not None
    if wire.update == "float32" or noised_at_gate:
        reply = TrainReply(
            site=name, round=request.round, weights=weights, patients=patients, metrics=metrics
        )
        return reply.to_record()
    learnable = groups.learnable(site.terms.privacy, site.absent)
    trained = {parameter for parameter in learnable if behind[groups[parameter]]}
    limit = site.policy.maximum_update_norm
    update = encoded_update(Home(site.folder).residual, run, request, weights, trained, wire, limit)
    return UpdateReply(
        site=name, round=request.round, update=update, patients=patients, metrics=metrics
    ).to_record()
