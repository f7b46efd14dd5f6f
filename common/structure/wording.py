"""Sentences on what a check found, with the likely cause; none has a value of a patient."""

from common.counting import counted
from common.structure.limits import Check, FigureLimit


def sentence(limit: FigureLimit, figure: float, together: int = 0) -> str:
    """Say what a figure beyond its limit looks like.

    Args:
        limit: of the figure.
        figure: of a patient, or the mean over a table.
        together: patients of the table; 0 for one patient.
    """
    over = f" of {counted(together, 'patient')} together" if together else ""
    first = limit.modalities[0]
    if limit.check is Check.STRUCTURE:
        return (
            f"{first}: the values{over} do not go together as they did in training; check that no columns are in "
            "another order or under another name"
        )
    if limit.check is Check.AGREEMENT:
        return _disagreement(limit, figure, over)
    if limit.check is Check.SIZE:
        size = "farther from the mean" if figure > limit.mean else "nearer to the mean"
        return (
            f"{first}: the values{over} are {size} than any in training; check their unit, and whether they are "
            "transformed as the federation file says"
        )
    return f"{first}: far fewer columns have a value than in training; check that the table is whole"


def _disagreement(limit: FigureLimit, figure: float, over: str) -> str:
    """Tell turned signs from other patients.

    Turned ones disagree by as much more than 1/2 as ordinary ones by less.
    """
    both = " and ".join(limit.modalities)
    if figure > (0.5 + 1 - limit.mean) / 2:
        what, check = "contradict each other", "the sign of one of them is not turned"
    else:
        what, check = "do not fit each other", "both tables are of the same patient"
    return f"{both}: values of the same columns{over} {what}; check that {check}"


def extreme(modality: str, number: int) -> str:
    """Say that values are at the limit of what is standardised."""
    values = counted(number, "value")
    return f"{modality}: {values} eight standard deviations or more from the mean; check the unit"
