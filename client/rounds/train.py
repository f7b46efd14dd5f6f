"""Answer to a training request: the update of one round."""

from flwr.app import RecordDict

from client.privacy.dp_sgd import train_privately
from client.rounds.accounts import accounted
from client.rounds.evaluate import validation_metrics
from client.rounds.requests import model_request, round_patients, take_over
from client.rounds.site import Site
from client.site_folder.places import Home
from client.site_folder.policy import Terms
from client.training.error_feedback import encoded_update
from client.training.local import train
from common.messages.exchange import ModelRequest, TrainReply, UpdateReply
from common.models.parameters import averaging_group, hospitals_behind, learns, patients_behind


def train_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Train one round and answer with the update."""
    request = model_request(site, content, site.federation.training.rounds)
    terms = site.terms
    preprocessing = take_over(site, request)  # before anything is paid for: it looks at no patient
    if terms.privacy is None:
        with accounted(site, terms, request.round):
            training, validation = round_patients(site, request, preprocessing)
            metrics = validation_metrics(site, terms, validation, preprocessing)
            loss = train(
                site.model,
                training,
                site.federation,
                preprocessing.cuts,
                request.round,
                _round_seed(request),
                site.device,
            )
        patients = _enough(patients_behind(training, site.federation), terms)
        return _reply(run, site, request, patients, {"training_loss": loss, **metrics})
    with accounted(site, terms, request.round):
        training, _ = round_patients(site, request, preprocessing)
        train_privately(
            site.model,
            training,
            site.federation,
            terms.privacy,
            preprocessing.cuts,
            request.round,
            site.absent,
            site.device,
        )
    # Neither a loss nor a number of patients leaves: each would be a release of its own.
    return _reply(run, site, request, hospitals_behind(site.federation, site.absent), {})


def _reply(
    run: int, site: Site, request: ModelRequest, patients: dict[str, float], metrics: dict[str, float]
) -> RecordDict:
    """The weights, or their change as the agreement has it travel; last of all, so that it is of a noised update."""
    weights = {
        name: tensor.cpu().numpy().copy() if patients[averaging_group(name)] else request.weights[name]
        for name, tensor in site.model.state_dict().items()
    }
    name, wire = site.cohort.site, site.federation.wire
    if wire.update == "float32":
        reply = TrainReply(
            site=name, round=request.round, weights=weights, patients=patients, metrics=metrics
        )
        return reply.to_record()
    privacy = site.terms.privacy
    trained = {
        each
        for each in weights
        if patients[averaging_group(each)] and (privacy is None or learns(each, privacy, site.absent))
    }
    limit = site.policy.maximum_update_norm
    update = encoded_update(Home(site.folder).residual, run, request, weights, trained, wire, limit)
    return UpdateReply(
        site=name, round=request.round, update=update, patients=patients, metrics=metrics
    ).to_record()


def _round_seed(request: ModelRequest) -> int:
    return request.seed * 1_000_003 + request.round


def _enough(patients: dict[str, int], terms: Terms) -> dict[str, float]:
    """Averaging group -> its patients, 0 below the minimum count: what so few patients trained stays at the site.

    The group of all patients is never below it, or the site would have refused.
    """
    least = terms.minimum_count
    return {group: float(count) if count >= least else 0.0 for group, count in patients.items()}
