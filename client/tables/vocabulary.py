"""Words by which exports write what is unknown, and whether an event happened.

They are for messages and proposals; nothing is read by them: a hospital declares what its words mean.
"""

UNKNOWN = frozenset(
    {
        *("unk", "unknown", "not known", "nk", "n.k.", "na", "n.a.", "nr", "not reported", "not available"),
        *("[not available]", "[not evaluated]", "[unknown]", "missing", "not done", "nd", "n.d."),
        *("k.a.", "k. a.", "ka", "keine angabe", "unbekannt", "fehlt", "inconnu", "nc", "non connu", "nsp"),
        *("-", "--", "---", "'--", "?", ".", "x", "tx", "nx", "mx", "ptx", "pnx", "pmx", "ctx", "cnx"),
    }
)
"""Texts for an unknown cell, in small letters."""

UNKNOWN_NUMBERS = frozenset({-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0})
"""Numbers for an unknown cell, where they lie outside the plausible range."""

HAPPENED = frozenset(
    {
        *("dead", "deceased", "died", "death", "verstorben", "gestorben", "tot", "décédé", "decede", "décès"),
        *("muerto", "fallecido", "yes", "y", "ja", "j", "oui", "o", "si", "sí", "true", "t", "event", "1"),
        *("1:deceased", "1:recurred", "1:progression", "1:dead", "relapsed", "progressed"),
    }
)
"""Texts for an event, in small letters."""

NOT_HAPPENED = frozenset(
    {
        *("alive", "living", "lebt", "lebend", "am leben", "vivant", "vivante", "vivo", "no", "n", "nein"),
        *("non", "false", "f", "censored", "none", "0", "0:living", "0:alive", "0:diseasefree", "0:censored"),
    }
)
"""Texts for none, in small letters."""


def event_of(text: str) -> int | None:
    """Return 1 for a word of an event and 0 for one of none; None for any other."""
    small = text.casefold()
    return 1 if small in HAPPENED else 0 if small in NOT_HAPPENED else None
