"""ValidationRecord of other packages for the patients of `cohort.py`, written to `oracle.json`.

Run with dcurves 1.1.7 and statsmodels 0.15 installed, which the tests do not need:
`python -m tests.common.validation.make_oracle`.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from common.validation.observed import Outcomes, censoring_weights
from common.validation.regression import LinkFunction, knots_of, spline
from tests.common.validation.cohort import HORIZON, made

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.97)


def main() -> None:
    import statsmodels.api as sm
    from dcurves import dca

    patients = made()
    frame = pd.DataFrame(
        {
            "risk": patients.risk,
            "time": patients.time,
            "event": patients.event.astype(int),
            "had": patients.had.astype(int),
        }
    )
    survival = dca(frame, "event", ["risk"], THRESHOLDS, time=HORIZON, time_to_outcome_col="time")
    binary = dca(frame, "had", ["risk"], THRESHOLDS)
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    weights = censoring_weights(outcomes)
    regressions: dict[str, dict[str, list[float]]] = {}
    for name, had, w, link, family in (
        ("binary", patients.had, np.ones(len(patients.had)), LinkFunction.LOGIT, sm.families.links.Logit()),
        ("censored", outcomes.had, weights, LinkFunction.CLOGLOG, sm.families.links.CLogLog()),
    ):
        x = link.of(patients.risk)
        kept = w > 0
        ones = np.ones((kept.sum(), 1))

        designs = {
            "slope": (np.column_stack([ones, x[kept]]), None),
            "level": (ones, x[kept]),
            "smooth": (spline(x[kept], knots_of(x, 3)), None),
        }
        regressions[name] = {}
        for what, (design, offset) in designs.items():
            family_here = sm.families.Binomial(family)
            model = sm.GLM(had[kept], design, family=family_here, var_weights=w[kept], offset=offset)
            fitted = model.fit(cov_type="HC0", tol=1e-12)
            regressions[name][what] = [*fitted.params, *fitted.bse]
    oracle = {
        "dcurves": {
            kind: {model: table[table.model == model].net_benefit.tolist() for model in ("risk", "all")}
            for kind, table in (("survival", survival), ("binary", binary))
        },
        "statsmodels": regressions,
    }
    Path(__file__).with_name("oracle.json").write_text(json.dumps(oracle, indent=1) + "\n")


if __name__ == "__main__":
    main()
