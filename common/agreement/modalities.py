"""What a federation's tables hold: modalities with their columns, and the tasks with their labels."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_RESERVED = """
add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches eval
extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu items keys
load_state_dict modules mtia named_buffers named_children named_modules named_parameters outcomes parameters pop
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty
train training type update values xpu zero_grad
"""


RESERVED = frozenset(_RESERVED.split())
"""What no modality or task can be called: attributes of `torch.nn.ModuleDict`, and the table of outcomes."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is a reserved name, choose another")
    return name


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40), AfterValidator(_not_reserved)]


class Agreed(BaseModel):
    """A part of the agreement: fixed once made, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Plausible(Agreed):
    """Unit and plausible range of a numeric column; a value outside is taken for a wrong unit.

    `typical` is where about two thirds of patients lie, from public knowledge: it can stand in for the cohort's own
    mean and standard deviation, which then need not leave a hospital.
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    typical: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.typical is not None and not self.typical[0] < self.typical[1]:
            raise ValueError("typical must be a low and a higher end")
        return self


def distinct(what: str, names: tuple[str, ...]) -> None:
    """Raise a ValueError if a name occurs twice."""
    if len(set(names)) != len(names):
        raise ValueError(f"{what} has a name twice")


class Modality(Agreed):
    """One table of features, one row per patient; its nodes are the model's graph nodes.

    `columns` are numeric; `categories` maps a categorical column to its levels, each of which becomes
    one node. `transform` and then `clip` are applied to raw numeric values before any statistic is taken;
    `scale` says whether values are standardised by federated mean and standard deviation.
    """

    name: Name
    node: Literal["clinical", "gene", "protein", "imaging"]
    columns: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = {}
    plausible: Plausible = Plausible()
    ranges: dict[str, Plausible] = {}
    transform: Literal["none", "signed_log"] = "none"
    clip: tuple[float, float] | None = None
    scale: Literal["standard", "none"] = "standard"

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        names = [*self.columns, *self.categories]
        if not names:
            raise ValueError(f"modality {self.name} has no columns")
        if len(set(names)) != len(names):
            raise ValueError(f"modality {self.name} names a column twice")
        if unknown := set(self.ranges) - set(self.columns):
            raise ValueError(f"modality {self.name} gives a range for unknown column {min(unknown)}")
        for column, levels in self.categories.items():
            if len(levels) < 2:
                raise ValueError(f"categories.{column} needs two or more levels")
            distinct(f"categories.{column}", levels)
        return self

    @property
    def nodes(self) -> tuple[str, ...]:
        """Node names in model order: numeric columns, then `column=level` for each categorical level."""
        levels = (f"{column}={level}" for column, names in self.categories.items() for level in names)
        return (*self.columns, *levels)

    def plausible_for(self, column: str) -> Plausible:
        """The unit and range of one numeric column."""
        return self.ranges.get(column, self.plausible)
