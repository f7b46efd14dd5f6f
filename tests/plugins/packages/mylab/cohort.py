"""Made-up tumours whose nodules follow two genes, as a named cohort."""

from pathlib import Path

from simulations.cohorts.registry import CohortRequest, register_source


def write(request: CohortRequest, out: Path) -> None:
    """Write three hospitals of 40 patients, and an agreement on the laboratory's task, model and strategy."""
    import numpy as np
    import pandas as pd

    from common.agreement.agreement import FILE_NAME, save
    from common.agreement.modalities import Modality, Plausible
    from common.plugins.distribution import find_plugin, plugin_of
    from mylab.count_kind import CountTask
    from mylab.plain_mlp import PlainMLPConfig
    from simulations.cohorts.patients import FOLD, SourcePatients, hold_out, write_patients

    rng = np.random.default_rng(request.seed)
    index = pd.Index([f"p{number}" for number in range(120)])
    genes = pd.DataFrame(rng.normal(size=(120, 6)), index, [f"G{number}" for number in range(6)])
    nodules = rng.poisson(np.exp(1 + 0.6 * genes["G0"] - 0.5 * genes["G1"])).clip(0, 60)
    site = pd.Series([f"site_{number % 3}" for number in range(120)], index=index)
    outcomes = pd.DataFrame({"nodules": nodules}, index).assign(**{FOLD: hold_out(list(site), 0)})
    usual = Plausible(unit="standard units", low=-8, high=8, typical=(-1, 1))
    rna = Modality(name="rna", node="gene", columns=tuple(genes), plausible=usual)
    task = CountTask(name="nodules", target="nodules", most=60, usual=3, unit="nodules")
    agreed = write_patients(out, "nodules", SourcePatients(site, outcomes, {"rna": genes}), [rna], [task])
    training = agreed.training.model_copy(update={"strategy": "trimmed-mean", "learning_rate": 0.02})
    changes = {"model": PlainMLPConfig(), "training": training, "plugins": (plugin_of(find_plugin("mylab")),)}
    save(agreed.model_copy(update=changes), out / FILE_NAME)


def register() -> None:
    """Offer the cohort by name."""
    register_source("mylab-nodules", write, summary="made-up tumours of a laboratory")
