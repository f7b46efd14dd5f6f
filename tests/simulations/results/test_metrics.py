from simulations.results.metrics import lower_is_better, metric_name


def test_metrics_have_titles_and_strangers_keep_their_name() -> None:
    assert [metric_name(name) for name in ("c_index", "auroc", "f1")] == ["C-index", "AUROC", "F1"]
    assert metric_name("of_a_kind_elsewhere") == "of_a_kind_elsewhere"


def test_less_is_better_of_errors_alone() -> None:
    assert lower_is_better("integrated_brier")
    assert not lower_is_better("c_index")
    assert not lower_is_better("of_a_kind_elsewhere")
