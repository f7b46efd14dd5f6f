import re
from collections.abc import Callable
from pkgutil import resolve_name

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity
from torch_geometric.nn import GATConv, GCNConv, SAGEConv
from torchsurv.loss.cox import neg_partial_log_likelihood

from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Statistics, Training
from common.errors import GuaranteeError
from common.models.contrastive import agreement_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.patients.guarantee import check_agreement, made_up_patients
from common.patients.objective import multitask_loss
from common.privacy.guarantee import check_model, check_objective

PRIVACY = Privacy(noise_multiplier=1.0, sampling_rate=0.1, expected_batch_size=10)
SMALL = {"node_width": 4, "pathway_width": 6, "width": 8, "heads": 2, "gat_layers": 1}
WITHOUT_MASKS = HierarchicalConfig(**SMALL, dropout=0, node_dropout=0, modality_dropout=0)


@pytest.fixture
def private(make_federation: Callable[..., Federation]) -> Callable[..., Federation]:
    def make(**changes: object) -> Federation:
        training = Training(learn_task_weights=False, contrastive_weight=0.5)
        return make_federation(
            **({"privacy": PRIVACY, "model": WITHOUT_MASKS, "training": training} | changes)
        )

    return make


def test_what_a_private_federation_should_be_is_accepted(private: Callable[..., Federation]) -> None:
    check_agreement(private())


def test_without_privacy_anything_goes(federation: Federation) -> None:
    assert HierarchicalConfig.of(federation.model).dropout > 0
    check_agreement(federation)


@pytest.mark.parametrize("rate", ["dropout", "node_dropout", "modality_dropout"])
def test_masks_drawn_by_place_in_the_batch_are_refused(private: Callable[..., Federation], rate: str) -> None:
    model = WITHOUT_MASKS.model_copy(update={rate: 0.1})
    with pytest.raises(GuaranteeError) as refused:
        check_agreement(private(model=model))
    assert refused.value.where == f"model.{rate}"
    assert "0" in refused.value.remedy


def test_explanations_and_their_noise_belong_together(private: Callable[..., Federation]) -> None:
    noised = PRIVACY.model_copy(update={"explanations_noise_multiplier": 10.0})
    asked = Statistics(explanations=True)
    for changes in ({"privacy": noised}, {"statistics": asked}):
        with pytest.raises(GuaranteeError) as refused:
            check_agreement(private(**changes))
        assert refused.value.where == "privacy.explanations_noise_multiplier"
    check_agreement(private(privacy=noised, statistics=asked))


def test_learnt_task_weights_are_refused_unless_there_is_one_task(
    private: Callable[..., Federation], federation: Federation
) -> None:
    learnt = Training(learn_task_weights=True)
    with pytest.raises(GuaranteeError) as refused:
        check_agreement(private(training=learnt))
    assert refused.value.where == "training.learn_task_weights"
    check_agreement(private(training=learnt, tasks=federation.tasks[:1]))


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, False),
        ({"plausible": Plausible(low=0)}, False),
        ({"plausible": Plausible(high=9)}, False),
        ({"plausible": Plausible(low=0, high=9)}, True),
        ({"plausible": Plausible(typical=(2, 4))}, True),
        ({"clip": (-5, 5)}, True),
        ({"scale": "none"}, True),
        ({"plausible": Plausible(low=0, high=9), "ranges": {"B": Plausible(unit="mg")}}, False),
    ],
)
def test_noised_statistics_need_an_end_to_every_column_they_sum(
    private: Callable[..., Federation], changes: dict[str, object], accepted: bool
) -> None:
    plain = {"name": "blood", "node": "clinical", "columns": ("A", "B"), "categories": {"sex": ("f", "m")}}
    modality = Modality.model_validate(plain | changes)
    noised = PRIVACY.model_copy(update={"statistics": "noised"})
    check_agreement(private(modalities=(modality,)))
    if accepted:
        check_agreement(private(modalities=(modality,), privacy=noised))
        return
    column = "B" if "ranges" in changes else "A"
    with pytest.raises(GuaranteeError) as refused:
        check_agreement(private(modalities=(modality,), privacy=noised))
    assert refused.value.where == "modalities.0.ranges"
    assert f"for {column}" in refused.value.what
    assert "declared" in refused.value.remedy


def test_the_shipped_model_is_accepted(private: Callable[..., Federation], prior: Prior) -> None:
    model = HierarchicalMultimodalGNN(private(), prior)
    assert model.predictor is not None
    check_model(model)


def test_the_shipped_model_with_learnt_task_weights_is_not(federation: Federation, prior: Prior) -> None:
    with pytest.raises(GuaranteeError) as refused:
        check_model(HierarchicalMultimodalGNN(federation, prior))
    assert refused.value.where == "model.log_variance (HierarchicalMultimodalGNN)"


class Bare(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(4))


class OwnLinear(nn.Linear):
    """Behaves in ways nobody has checked."""


@pytest.mark.parametrize(
    ("layer", "path"),
    [
        (nn.BatchNorm1d(4), "model.1.layer"),
        (nn.BatchNorm2d(4), "model.1.layer"),
        (nn.BatchNorm3d(4), "model.1.layer"),
        (nn.SyncBatchNorm(4), "model.1.layer"),
        (nn.BatchNorm1d(4, affine=False), "model.1.layer"),
        (nn.InstanceNorm1d(4, affine=True), "model.1.layer"),
        (nn.GroupNorm(2, 4), "model.1.layer"),
        (nn.MultiheadAttention(4, 2), "model.1.layer"),
        (nn.TransformerEncoderLayer(4, 2, 8), "model.1.layer"),
        (nn.Embedding(9, 4), "model.1.layer"),
        (nn.LSTM(4, 4), "model.1.layer"),
        (nn.GRU(4, 4), "model.1.layer"),
        (GCNConv(4, 4), "model.1.layer"),
        (GATConv(4, 4), "model.1.layer"),
        (SAGEConv(4, 4), "model.1.layer"),
        (Bare(), "model.1.layer.query"),
        (OwnLinear(4, 4), "model.1.layer.weight"),
        (nn.Conv1d(4, 4, 1), "model.1.layer.weight"),
        (nn.PReLU(), "model.1.layer.weight"),
        (nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)), None),
    ],
    ids=lambda part: type(part).__name__ if isinstance(part, nn.Module) else "",
)
def test_a_layer_is_refused_by_name(layer: nn.Module, path: str | None) -> None:
    with pytest.raises(GuaranteeError) as refused:
        check_model(nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"layer": layer})))
    assert type(layer).__name__.removeprefix("Parametrized") in refused.value.where
    if path is not None:
        assert refused.value.where == f"{path} ({type(layer).__name__})"
    for name in re.findall(r"common(?:\.[a-z_]+)+", f"{refused.value.what} {refused.value.remedy}"):
        resolve_name(name)  # a remedy that names a module of the product names one that there is


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_a_linear_layer_with_other_parameters_than_its_own_is_refused() -> None:
    with pytest.raises(GuaranteeError) as refused:
        check_model(nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 4))))
    assert refused.value.where == "model.0.weight_g (Linear)"


def test_layers_without_trainable_parameters_are_accepted() -> None:
    frozen = nn.Embedding(9, 4).requires_grad_(False)
    check_model(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU(), nn.Dropout(0.0), frozen))


Objective = Callable[[PatientBatch], Tensor]


class Linear(nn.Module):
    """One score per patient from the RNA, and what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.other = nn.Linear(12, 4), nn.Linear(12, 4)
        self.graph = GCNConv(12, 1)
        self.norm = nn.BatchNorm1d(4)

    def risk(self, batch: PatientBatch) -> Tensor:
        out: Tensor = self.score(batch.values["rna"])[:, 0]
        return out

    def cox_of_torchsurv(self, batch: PatientBatch) -> Tensor:
        time, event = batch.labels["survival"].unbind(1)
        loss: Tensor = neg_partial_log_likelihood(self.risk(batch), event > 0, time)
        return loss

    def cox_per_patient(self, batch: PatientBatch) -> Tensor:
        time, event = batch.labels["survival"].unbind(1)
        risk = self.risk(batch)
        at_risk = torch.where(time[None, :] >= time[:, None], risk[None, :], -torch.inf)
        return event * (at_risk.logsumexp(1) - risk)

    def cox_of_torchsurv_per_patient(self, batch: PatientBatch) -> Tensor:
        return self.cox_of_torchsurv(batch).expand(len(batch))

    def info_nce(self, batch: PatientBatch) -> Tensor:
        one, two = self.score(batch.values["rna"]), self.other(batch.values["rna"])
        alike = cosine_similarity(one[:, None], two[None, :], dim=2) / 0.1
        return -alike.log_softmax(1).diagonal()

    def population_graph(self, batch: PatientBatch) -> Tensor:
        edges = torch.combinations(torch.arange(len(batch))).t()
        out: Tensor = self.graph(batch.values["rna"], edges)[:, 0].square()
        return out

    def batch_normalised(self, batch: PatientBatch) -> Tensor:
        out: Tensor = self.norm(self.score(batch.values["rna"]))[:, 0].square()
        return out

    def gradient_alone(self, batch: PatientBatch) -> Tensor:
        """Every value is the patient's own, but not its gradient."""
        risk = self.risk(batch)
        return risk.detach() + risk.sum() - risk.sum().detach()

    def small_share(self, batch: PatientBatch) -> Tensor:
        risk = self.risk(batch)
        return risk.square() + 0.01 * risk.mean()


@pytest.mark.parametrize(
    ("objective", "name", "facts"),
    [
        ("cox_per_patient", "cox", ("hazard",)),
        ("cox_of_torchsurv", "neg_partial_log_likelihood", ("hazard",)),
        ("cox_of_torchsurv", "survival", ("()", "8 patients")),
        ("cox_of_torchsurv_per_patient", "survival", ()),
        ("cox_per_patient", "survival", ()),
        ("info_nce", "info_nce", ("two views",)),
        ("info_nce", "NT-Xent", ("two views",)),
        ("population_graph", "population graph", ("graph",)),
        ("population_graph", "mine", ()),
        ("batch_normalised", "mine", ()),
        ("gradient_alone", "mine", ()),
        ("small_share", "mine", ()),
    ],
)
@pytest.mark.filterwarnings("ignore:No events OR single sample")
def test_an_objective_that_couples_patients_is_refused(
    make_batch: Callable[..., PatientBatch], objective: str, name: str, facts: tuple[str, ...]
) -> None:
    model, refused = Linear(), {}
    for called in (name, "another"):
        with pytest.raises(GuaranteeError) as raised:
            check_objective(called, getattr(model, objective), labelled(make_batch(8)), model)
        assert raised.value.where == f"objective {called}"
        refused[called] = raised.value
    assert all(fact in f"{refused[name].what}; {refused[name].remedy}" for fact in facts)
    is_known = name not in (
        "survival",
        "mine",
    )  # a coupling that is known by its name has a remedy of its own
    assert (refused[name].remedy != refused["another"].remedy) == is_known


def labelled(batch: PatientBatch) -> PatientBatch:
    """Everybody's survival known, every other patient with an event."""
    time = torch.arange(1.0, len(batch) + 1)
    survival = torch.stack([time, torch.arange(len(batch)) % 2], dim=1)
    return PatientBatch(batch.values, batch.observed, batch.labels | {"survival": survival}, batch.labelled)


@pytest.mark.parametrize("name", ["cox", "multitask"])
def test_the_shipped_objectives_are_accepted_whatever_they_are_called(
    private: Callable[..., Federation],
    prior: Prior,
    make_batch: Callable[..., PatientBatch],
    cuts: dict[str, Tensor],
    name: str,
) -> None:
    """All tasks together, each alone, and the agreement of two views."""
    federation, batch = private(), make_batch(7)
    for modality in federation.modalities:
        batch.observed[modality.name][0] = False  # a patient with nothing
        batch.values[modality.name][0] = 0
    model = HierarchicalMultimodalGNN(federation, prior).train()

    def agreement(part: PatientBatch) -> Tensor:
        assert model.predictor is not None
        fused = model.encode(part).fused
        return agreement_loss(model.predictor(fused), fused)

    check_objective(name, agreement, batch, model)
    for tasks in (federation.tasks, *((task,) for task in federation.tasks)):

        def loss(part: PatientBatch, tasks: tuple[object, ...] = tasks) -> Tensor:
            return multitask_loss(tasks, model(part), part, cuts, None)  # type: ignore[arg-type]

        check_objective(name, loss, batch, model)


def test_the_shipped_model_with_batch_normalisation_is_refused(
    private: Callable[..., Federation],
    prior: Prior,
    make_batch: Callable[..., PatientBatch],
    cuts: dict[str, Tensor],
) -> None:
    federation = private()
    model = HierarchicalMultimodalGNN(federation, prior).train()
    model.branches["rna"].norm = nn.BatchNorm1d(HierarchicalConfig.of(federation.model).width)
    with pytest.raises(GuaranteeError) as refused:
        check_model(model)
    assert refused.value.where == "model.branches.rna.norm (BatchNorm1d)"

    def loss(part: PatientBatch) -> Tensor:
        return multitask_loss(federation.tasks, model(part), part, cuts, None)

    with pytest.raises(GuaranteeError) as coupled:
        check_objective("multitask", loss, make_batch(7), model)
    assert coupled.value.where == "objective multitask"


def test_a_probe_has_every_label_and_a_patient_who_lacks_modalities(federation: Federation) -> None:
    patients = made_up_patients(federation)
    assert all(bool(known.all()) for known in patients.labelled.values())
    present = {modality.name: patients.present(modality.name) for modality in federation.modalities}
    assert [bool(here[-1]) for here in present.values()] == [True, False, True, False]
    assert patients.labels["response"].max() <= 2
    assert patients.labels["survival"][:, 0].max() <= 100
