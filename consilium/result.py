"""Result of a simulation: tables as pandas, figures as matplotlib."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from common.counting import counted
from common.errors import MissingFileError, OptionError
from common.reading.objections import invalid_content
from simulations.results.schema import SimulationResult as Record

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from consilium.comparison import Comparison
    from simulations.report.plots.drawing import Evidence
    from simulations.report.plots.style import Plot


class Result:
    """Figures over patients, and never a patient's row.

    Args:
        record: the figures, as in `result.json`.
        evidence: predictions of held-out patients for the curves; a result that was read from a file has none.

    Attributes:
        record: the figures with their full schema (docs/result-schema.md).

    Example:
        >>> result = consilium.Result.read("out/result.json")
        >>> result.table().loc["survival"]
    """

    def __init__(self, record: Record, evidence: "Evidence | None" = None) -> None:
        self.record = record
        self._evidence = evidence

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read a `result.json`, or that of a folder.

        Raises:
            InputError: if there is none, or it does not follow the schema.
        """
        file = Path(path)
        file = file / "result.json" if file.is_dir() else file
        try:
            return cls(Record.read(file))
        except FileNotFoundError:
            raise MissingFileError(
                str(file), "there is no such file", "name the result.json of a simulation"
            ) from None
        except ValidationError as error:
            raise invalid_content(str(file), error, "simulate again") from None

    def to_json(self, path: Path | str) -> None:
        """Write `result.json`, whole or not at all."""
        self.record.write(Path(path))

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks."""
        return list(self.record.tasks)

    @property
    def is_complete(self) -> bool:
        """Whether every round of every fold had its quorum of hospitals."""
        return all(fold.status == "completed" for fold in self.record.folds)

    def table(self) -> "pd.DataFrame":
        """Every arm's metrics on held-out patients, indexed by task, arm and metric.

        Columns: name of the arm; mean and standard deviation over folds; low and high end of the 95% interval; of the
        headline metric also federated minus arm, with its interval.
        """
        from consilium.frames import arms_frame

        return arms_frame(self.record)

    def private(self) -> "pd.DataFrame":
        """The private runs' metrics and costs, indexed by epsilon, task and metric."""
        from consilium.frames import private_frame

        return private_frame(self.record)

    def folds(self) -> "pd.DataFrame":
        """Every arm's metrics fold by fold, indexed by task, arm, metric and fold."""
        from consilium.frames import folds_frame

        return folds_frame(self.record)

    def sites(self) -> "pd.DataFrame":
        """Every hospital's model beside the federated and pooled ones, indexed by task and hospital."""
        from consilium.frames import sites_frame

        return sites_frame(self.record)

    def hospitals(self) -> "pd.DataFrame":
        """Size of every hospital: patients, patients with each modality, events of each task."""
        from consilium.frames import hospitals_frame

        return hospitals_frame(self.record)

    def history(self) -> "pd.DataFrame":
        """Losses and validation scores, indexed by fold and round."""
        from consilium.frames import history_frame

        return history_frame(self.record)

    def figures(self, task: str | None = None) -> dict[str, "Figure"]:
        """Figures of the report as matplotlib figures, without those that have nothing to show.

        Args:
            task: name of a task; the first one without it.

        Returns:
            name -> figure: "learning", "arms", "hospitals", "epsilon", and "calibration" where the simulation was run
            in this process.

        Raises:
            InputError: for a task that is not in the result.
        """
        name = self._task(task)
        return {kind: plot.figure for kind, draw in self._plots(name).items() if (plot := draw()) is not None}

    def _task(self, task: str | None) -> str:
        if task is not None and task not in self.record.tasks:
            raise OptionError(f"task {task}", "is not in this result", f"use one of {', '.join(self.tasks)}")
        return self.tasks[0] if task is None else task

    def _plots(self, task: str) -> dict[str, Callable[[], "Plot | None"]]:
        from simulations.report.plots.arm_plots import arm_plot, site_plot
        from simulations.report.plots.learning_plots import learning_curves
        from simulations.report.plots.privacy_plots import epsilon_plot

        record = self.record
        plots: dict[str, Callable[[], Plot | None]] = {
            "learning": lambda: learning_curves(record),
            "arms": lambda: arm_plot(record, task),
            "hospitals": lambda: site_plot(record, task),
            "epsilon": lambda: epsilon_plot(record, task),
        }
        return plots if self._evidence is None else {**plots, **self._evidence.plots(task)}

    def compare(self, other: "Result") -> "Comparison":
        """Compare with another result; differences are paired where both hold out the same patients.

        Args:
            other: is taken from this one in every difference.

        Returns:
            A table of differences; `is_paired` says whether folds match, `reasons` why not.

        Example:
            >>> short, long = (consilium.simulate("lung", fold=0, rounds=n) for n in (5, 20))
            >>> long.compare(short).table()
        """
        from consilium.comparison import compare

        return compare(self.record, other.record)

    def __repr__(self) -> str:
        """Cohort, folds, and the federated model's headline figures."""
        figures = []
        for task, outcome in self.record.outcomes.items():
            summary = self.record.headline(task, "federated")
            mean = "unknown" if summary is None or summary.mean is None else f"{summary.mean:.3f}"
            figures.append(f"{task} {outcome.metric} {mean}")
        return f"<result of {self.record.cohort}, {counted(len(self.record.folds), 'fold')}: {', '.join(figures)}>"

    def _repr_html_(self) -> str:
        """The table of arms, for a notebook."""
        return str(self.table().to_html(float_format="{:.3f}".format, na_rep="—"))
