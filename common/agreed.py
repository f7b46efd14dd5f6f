"""Base class and names of all parts of a federation file."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
        raise ValueError(f"{name} is a reserved name, choose another")
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


class Agreed(BaseModel):
    """A part of the agreement: fixed once made, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def registered_names(self) -> Iterator[tuple[NameOf, str]]:
        """Names in this part, and no part inside it, that a plug-in may have brought."""
        yield from ()


def distinct(what: str, names: tuple[str, ...]) -> None:
    """Raise a ValueError if a name occurs twice."""
    if len(set(names)) != len(names):
        raise ValueError(f"{what} has a name twice")
