"""Number with its noun, in the singular or the plural."""


def counted(number: int, singular: str, plural: str = "") -> str:
    """Write a number of things, such as `1 entry` and `2 entries`.

    Args:
        number: how many.
        singular: the noun for one.
        plural: the noun for any other number; without it, the singular with an s.
    """
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def are(number: int) -> str:
    """Choose the verb that agrees with a number."""
    return "is" if number == 1 else "are"


def written(number: float) -> str:
    """Write a number with six digits, or with all where that would be another number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))
