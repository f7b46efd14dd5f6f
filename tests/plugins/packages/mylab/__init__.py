"""Task, model, strategy and cohort of a laboratory in one distribution, with the sources of three other tests."""


def register() -> None:
    """Register the four; each import registers, or has a function that does."""
    import mylab.count_kind  # noqa: F401 (its decorator registers)
    from mylab import cohort, plain_mlp, trimmed_mean

    plain_mlp.register()
    trimmed_mean.register()
    cohort.register()
