"""Area under the ROC curve by a horizon: patients with the event against those without.

Cumulative cases and dynamic controls; cases weigh by the inverse probability of being uncensored, and controls weigh
alike (Uno, Cai, Tian & Wei 2007; Hung & Chiang 2010). A patient censored before the horizon is neither.
"""

import numpy as np

from common.validation.observed import Array, Outcomes, censoring_weights


def timed_auc(outcomes: Outcomes, risk: Array) -> float:
    """Return the area for predicted risks [P]; NaN without a case or a control.

    A case and a control of equal risk count as half in order.
    """
    had, controls = outcomes.had, np.sort(risk[outcomes.spared])
    if not had.any() or not len(controls):
        return float("nan")
    below = np.searchsorted(controls, risk[had], side="left")
    up_to = np.searchsorted(controls, risk[had], side="right")
    share = (below + up_to) / 2 / len(controls)
    weights = censoring_weights(outcomes)[had]
    return float((weights * share).sum() / weights.sum())
