"""Facts about the model, its training and its privacy."""

from common.agreement.agreement import Agreement
from common.agreement.model_config import ModelConfig
from common.agreement.privacy_settings import Privacy
from common.counting import counted
from common.documents.facts.fact import Fact, Facts, Topic
from common.release.release import ModelRelease

_LEARNT = {"all": "all parameters", "linear": "the linear scores and the biases of the heads alone"}


def training_facts(release: ModelRelease) -> Facts:
    """Collect model, training and privacy."""
    agreement = release.agreement
    is_private = agreement.privacy is not None
    return {
        Topic.MODEL: _model(release),
        Topic.KNOWLEDGE: Fact("Prior knowledge", _knowledge(agreement)),
        Topic.TRAINING: _training(release),
        Topic.OVERFITTING: Fact("Against overfitting", _overfitting(agreement)),
        Topic.IMBALANCE: Fact("Class imbalance", ("No outcome was sampled or weighted up or down.",)),
        Topic.CLUSTERS: Fact(
            "Differences between hospitals",
            (
                "One model serves all hospitals, and has no term of any hospital; standardisation is by common means.",
                "Hospitals' updates were averaged "
                + ("alike." if is_private else f"by their numbers of {release.card.unit}."),
            ),
        ),
        Topic.PRIVACY: _privacy(agreement),
    }


def _model(release: ModelRelease) -> Fact:
    agreement, parameters = release.agreement, sum(array.size for array in release.weights.values())
    lines = [f"Network of {parameters:,} parameters."]
    model, settings = _config(agreement), None
    if model is not None:
        settings = {"kind": model.kind, **model.model_dump(mode="json")}
        if model.has_scores:
            lines.append(
                "Each modality's values pass graph layers and pathways, as far as there is prior knowledge of its"
                " columns, and attention over the modalities that a patient has; a linear score of all values is added."
            )
        else:
            lines.append(f"Its kind is {model.kind}.")
        lines.append(f"Tasks that share it, each with a head: {', '.join(agreement.task_names)}.")
    return Fact("Model", tuple(lines), {"parameters": parameters, "settings": settings})


def _config(agreement: Agreement) -> ModelConfig | None:
    """Return the settings of the model, of a kind of record that chooses among models."""
    model = getattr(agreement, "model", None)
    return model if isinstance(model, ModelConfig) else None


def _knowledge(agreement: Agreement) -> tuple[str, ...]:
    files = agreement.public_files
    if not files:
        return ("The network was given no prior graph or pathways.",)
    return tuple(f"{file.path} (SHA-256 {file.sha256})." for file in files)


def _training(release: ModelRelease) -> Fact:
    card, agreement = release.card, release.agreement
    training = agreement.training
    lines = [
        f"Federated training by {training.strategy} in {counted(card.rounds, 'round')} of"
        f" {training.rounds} planned, seed {training.seed}."
    ]
    if agreement.linear_rounds:
        lines.append(
            f"Its first {counted(agreement.linear_rounds, 'round')} fitted the linear scores alone, by a ridge penalty"
            f" of {training.linear_penalty:g}."
        )
    if agreement.privacy is None:
        lines.append(
            f"A round of the network is {counted(training.local_epochs, 'epoch')} of AdamW at each hospital, with"
            f" minibatches of {training.batch_size}, learning rate {training.learning_rate:g} and weight decay"
            f" {training.weight_decay:g}."
        )
    else:
        lines.append(
            f"A round is {counted(agreement.privacy.steps, 'private step')} at each hospital, with learning rate"
            f" {agreement.privacy.learning_rate:g}, of {_LEARNT[agreement.privacy.learn]}."
        )
    if card.kept_round is not None:
        lines.append(f"The weights are those of round {card.kept_round}.")
        if 0 < card.kept_round <= agreement.linear_rounds:
            lines += ["No later round did better: the network adds nothing to the linear scores."]
    if card.others:
        runs = "; ".join(f"{member.run}, seed {member.seed}" for member in card.others)
        lines.append(
            f"It is the first of {1 + len(card.others)} trainings whose mean is predicted; figures of one training are"
            f" about the first. The others: {runs}."
        )
    data = training.model_dump(mode="json") | {"rounds_done": card.rounds, "kept_round": card.kept_round}
    return Fact("Training", tuple(lines), data)


def _overfitting(agreement: Agreement) -> tuple[str, ...]:
    if agreement.privacy is not None:
        return ("Clipped and noised gradients limit what the model can learn of one patient.",)
    lines = ["The kept round is the latest whose validation loss is within one standard error of the lowest."]
    lines.append(
        f"Training ends early after {agreement.training.patience} rounds that are clearly above the lowest."
    )
    model = _config(agreement)
    if model is not None:
        shares = {name: getattr(model, name, None) for name in model.masks}
        masked = ", ".join(f"{name} {share:g}" for name, share in shares.items() if share)
        lines += [f"Masks drawn at random in training: {masked}."] if masked else []
    return tuple(lines)


def _privacy(agreement: Agreement) -> Fact:
    privacy = agreement.privacy
    if privacy is None:
        noise = agreement.statistics.loss_noise
        lines = [
            "No differential privacy: the weights can tell something about patients.",
            "Rows and identifiers stayed at the hospitals; weights, sums and losses left them.",
        ]
        if noise:
            lines.append(
                f"Losses and pairs left with normal noise of {noise:g} times the most that one patient adds."
            )
        return Fact("Privacy", tuple(lines), {"differential_privacy": None, "loss_noise": noise})
    return Fact("Privacy", _guarantee(privacy), {"differential_privacy": privacy.model_dump(mode="json")})


def _guarantee(privacy: Privacy) -> tuple[str, ...]:
    return (
        "Differential privacy of each patient: gradients clipped to a norm of"
        f" {privacy.clip_norm:g}, with noise of {privacy.noise_multiplier:g} times that, and patients drawn with"
        f" probability {privacy.sampling_rate:g}.",
        "Each hospital's ledger has its epsilon, as hospitals may add more noise than the federation file asks.",
    )
