import pytest

from fxsim.policies.adapt.strategy import Strategy, adapt_strategy, average_lookback


def test_average_lookback_is_rounded_down() -> None:
    assert average_lookback([25, 26, 28]) == 26
    assert average_lookback([25]) == 25


@pytest.mark.parametrize(
    ("strategy", "loss", "new"),
    [
        ("min", 3.0, "mean"),
        ("mean", 3.0, "max"),
        ("max", 3.0, "max"),
        ("min", 2.0, "mean"),
        ("min", 1.9, "min"),
        ("mean", 1.9, "min"),
        ("max", 1.9, "min"),
    ],
)
def test_a_loss_at_or_above_the_average_moves_one_place_and_one_below_goes_back_to_min(
    strategy: Strategy, loss: float, new: Strategy
) -> None:
    """max with a loss that does not fall stays max; the paper's cases leave that out."""
    history = [9.0, 1.0, 3.0]
    assert adapt_strategy(strategy, history, loss, 2) == (new, (1.0, 3.0, loss))


def test_the_average_is_over_the_last_window_losses_as_many_as_it_is_divided_by() -> None:
    """The authors' code sums one more loss than it divides by; the paper's sum has that slip too."""
    history = [100.0, 1.0, 1.0]
    assert adapt_strategy("mean", history, 1.5, 2)[0] == "max"


@pytest.mark.parametrize("history", [[], [1.0], [1.0, 1.0]])
def test_nothing_changes_until_there_are_more_losses_than_the_window(history: list[float]) -> None:
    assert adapt_strategy("min", history, 9.0, 2) == ("min", (*history, 9.0))


def test_the_history_never_grows_beyond_the_window_and_one() -> None:
    strategy: Strategy = "min"
    history: tuple[float, ...] = ()
    for step in range(200):
        strategy, history = adapt_strategy(strategy, history, 1.0 / (step + 1), 25)
    assert len(history) == 26
    assert strategy == "min"


def test_magnitudes_are_compared() -> None:
    assert adapt_strategy("min", [-1.0, -1.0, -1.0], 0.5, 2)[0] == "min"
    assert adapt_strategy("min", [-1.0, -1.0, -1.0], -2.0, 2)[0] == "mean"
