"""Names of the engines, apart from the engines themselves, which take seconds to import."""

from typing import Literal

Engine = Literal["serial", "processes", "ray"]
