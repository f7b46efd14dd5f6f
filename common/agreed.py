"""Base class and names of all parts of a federation file."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

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
"""Names refused to modalities and tasks: attributes of `torch.nn.ModuleDict`, and the table of outcomes."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise incoherent(f"{name} is a reserved name", "choose another")
    return name


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40), AfterValidator(_not_reserved)]


_BLANKS = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""Signs that are seen as a blank; what commands a terminal is none, and is refused."""


def one_spelling(name: str) -> str:
    """Return the one spelling of a name that people read alike.

    Blanks at its ends do not count, nor whether an accent is saved with its letter (NFC) or after it (NFD).
    """
    return normalize("NFC", name).strip(_BLANKS)


HospitalName = Annotated[str, AfterValidator(one_spelling), Field(min_length=1, max_length=120)]
"""Name of a hospital, in its one spelling: files and commands write it in several."""


class NameOf(StrEnum):
    """Part of a federation file that is named by a registered name."""

    STRATEGY = "strategy"
    LAYER = "layer"
    NODE_KIND = "node kind"


@dataclass(frozen=True)
class Problem:
    """Thing in an agreement that contradicts another, or cannot be.

    Attributes:
        key: that it is about, as keys and positions below the section that says it.
        what: is wrong.
        remedy: what to do.
    """

    key: tuple[str | int, ...]
    what: str
    remedy: str


INCOHERENT = "incoherent"
"""Type of the errors by which pydantic hands problems on."""


class Agreed(BaseModel):
    """A part of the agreement: fixed once made, without unknown keys.

    A field has a description, and in `json_schema_extra` what `about` says: the pages and messages about a key are
    made of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by_kind: ClassVar["dict[str, type[Agreed]] | None"] = None
    """Schemas among which `kind` chooses, on the class that they derive from; None where there is no choice."""

    def registered_names(self) -> Iterator[tuple[NameOf, str]]:
        """Names in this part, and no part inside it, that a plug-in may have brought."""
        yield from ()

    def problems(self) -> Iterator[Problem]:
        """Contradictions between keys of this part, which are refused together."""
        yield from ()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        lines = [
            InitErrorDetails(
                type=incoherent(problem.what, problem.remedy),
                loc=problem.key,
                input=None,
            )
            for problem in self.problems()
        ]
        if lines:
            raise ValidationError.from_exception_data(type(self).__name__, lines)
        return self


def incoherent(what: str, remedy: str) -> PydanticCustomError:
    """Error that a validator of one value raises, with a remedy."""
    return PydanticCustomError(INCOHERENT, "{what}", {"what": what, "remedy": remedy})


def about(*, example: object, change: str, unit: str = "") -> dict[str, Any]:
    """Facts about a key beside its meaning, as `json_schema_extra`.

    Args:
        example: a value that could stand in a file.
        change: when to write another value than the default, or which value to write.
        unit: of the value.
    """
    return {"examples": [example], "change": change, **({"unit": unit} if unit else {})}


def repeated(names: Iterable[str]) -> list[str]:
    """Names that occur twice or more often."""
    return [name for name, times in Counter(names).items() if times > 1]


CLOSE = 0.7
"""Least likeness, of 1, from which on a name is taken for a misspelt one."""


def nearest(name: str, names: Iterable[str], otherwise: str) -> str:
    """Remedy for a name that is not there: the one that was meant, or another remedy."""
    close = get_close_matches(name, list(names), 1, CLOSE)
    return f"write {close[0]}" if close else otherwise
