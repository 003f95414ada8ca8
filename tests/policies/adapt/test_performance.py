"""Numbers that can be derived again from the paper's own; those that do not agree are named so.

SU1, SU2, AdaPT's MEM, SZ, sparsities and accuracies need the authors' training logs and are no tests here.
"""

import math

import pytest

from fxsim.policies.adapt import performance
from fxsim.policies.adapt.performance import LayerStep

TABLE_SU1 = {"alexnet10": 1.42, "resnet10": 1.20, "alexnet100": 1.32, "resnet100": 1.13}
ACCS = {"alexnet10": 4, "resnet10": 4, "alexnet100": 4, "resnet100": 2}
BATCH = 512

MUPPET_EPOCHS = {
    "alexnet": ((8, 16), (12, 10), (14, 14), (16, 14), (32, 45)),
    "resnet": ((8, 22), (12, 22), (14, 10), (16, 15), (32, 45)),
}


def su3(su1: float, accs: int) -> float:
    share = performance.quantized_share_of(su1)
    return performance.speedup_against_longer_training(share, accs=accs, batch=BATCH)


@pytest.mark.parametrize(
    ("network", "derived", "printed", "consistent"),
    [
        ("alexnet10", 6.37, 6.42, True),
        ("resnet10", 4.11, 4.01, False),
        ("alexnet100", 5.19, 5.23, True),
        ("resnet100", 3.35, 3.36, True),
    ],
)
def test_section_11_su3_follows_from_su1_except_resnet20_on_cifar10_printed_4_01_derived_4_11(
    network: str, derived: float, printed: float, consistent: bool
) -> None:
    """SU1 is printed to two digits, so a printed SU3 is consistent if it lies in the range those leave."""
    su1, accs = TABLE_SU1[network], ACCS[network]
    assert round(su3(su1, accs), 2) == derived
    assert (round(su3(su1 - 0.005, accs), 2) <= printed <= round(su3(su1 + 0.005, accs), 2)) is consistent


@pytest.mark.parametrize(
    ("network", "literal"), [("alexnet10", 4.56), ("resnet10", 3.27), ("alexnet100", 3.92), ("resnet100", 2.36)]
)
def test_section_11_equation_8_read_literally_does_not_give_the_tables(network: str, literal: float) -> None:
    share = performance.quantized_share_of(TABLE_SU1[network])
    assert round(performance.speedup_by_equation_8(share, accs=ACCS[network]), 2) == literal


def test_section_11_average_speedup_is_1_2675_printed_1_27() -> None:
    average = sum(TABLE_SU1.values()) / 4
    assert round(average, 4) == 1.2675
    assert round(average, 2) == 1.27


@pytest.mark.parametrize(
    ("network", "mem", "printed", "epochs"), [("alexnet", 1.6654, 1.66, 99), ("resnet", 1.6195, 1.61, 114)]
)
def test_section_11_muppet_mem_is_one_plus_mean_word_length_over_32_printed_truncated(
    network: str, mem: float, printed: float, epochs: int
) -> None:
    bits = [float(wl) for wl, count in MUPPET_EPOCHS[network] for _ in range(count)]
    assert len(bits) == epochs
    assert round(performance.memory_table(bits), 4) == mem
    assert math.floor(performance.memory_table(bits) * 100) / 100 == printed


@pytest.mark.parametrize(
    ("network", "derived", "printed", "agrees"), [("alexnet", 1.2009, 1.20, True), ("resnet", 1.2349, 1.25, False)]
)
def test_section_11_muppet_su1_from_its_schedule_resnet20_printed_1_25_derived_1_23(
    network: str, derived: float, printed: float, agrees: bool
) -> None:
    bits = [wl for wl, count in MUPPET_EPOCHS[network] for _ in range(count)]
    speedup = performance.speedup_table(sum(bits) / len(bits) / 32)
    assert round(speedup, 4) == derived
    assert (round(speedup, 2) == printed) is agrees


def layer(**changes: float) -> LayerStep:
    given = {"operations": 1000.0, "elements": 10, "density": 0.5, "wl": 16, "resolution": 50, "lookback": 25}
    return LayerStep(**{**given, **changes})  # type: ignore[arg-type]


def test_equations_6_and_7() -> None:
    assert performance.push_down_operations(50, 10) == 2 * math.log2(24) * 50 * 3 * 10
    assert performance.push_up_operations(25, 10) == 26 * 10 + 1


def test_equation_8_has_a_forward_part_by_word_length_and_density_and_a_float32_backward_part() -> None:
    assert performance.training_cost([[layer()], [layer(wl=8)]], 4) == 1000 * (0.5 * 16 + 8) + 1000 * (0.5 * 8 + 8)
    deciding = 0.5 * performance.push_down_operations(50, 10) + performance.push_up_operations(25, 10)
    assert performance.adapt_cost([[layer()]], 4) == 32 * deciding / (4 * 25)


def test_float32_training_compared_with_itself_is_no_speedup_but_for_the_cost_of_deciding() -> None:
    dense = [[layer(density=1.0, wl=32, operations=1e12)]]
    for profile in ("eq", "tables"):
        result = performance.costs(dense, accs=4, profile=profile)
        assert math.isclose(result.speedup.better_above_one, 1.0, rel_tol=1e-6)
        assert result.inference_speedup.better_above_one == 1.0
        assert result.size.better_above_one == 1.0


def test_a_float32_backward_pass_caps_the_speedup_at_2_without_accumulation() -> None:
    nothing = [[layer(density=1e-12, operations=1e12)]]
    assert math.isclose(performance.costs(nothing).speedup.better_above_one, 2.0, rel_tol=1e-6)
    assert math.isclose(performance.costs(nothing, profile="tables").speedup.better_above_one, 2.0, rel_tol=1e-6)


def test_section_11_sizes_and_memory_are_tabulated_as_ours_over_other_though_printed_the_other_way() -> None:
    result = performance.costs([[layer()]], profile="tables")
    assert result.size.paper_orientation == 0.25
    assert result.size.better_above_one == 4.0
    assert result.memory.paper_orientation == 1.25
    assert result.memory.better_above_one == 0.8


def test_equation_9_and_sz() -> None:
    trace = [[layer(), layer(wl=8)], [layer(), layer()]]
    assert performance.memory(trace) == ((8 + 32 + 4 + 32) + (8 + 32) * 2) / 2
    assert performance.model_size(trace[-1]) == 16.0


@pytest.mark.parametrize(("su1", "with_both"), [(1.42, 1.25), (1.20, 1.125), (1.32, 1.19), (1.13, 1.08)])
def test_tables_1_and_2_su1_with_both_products_of_the_backward_pass(su1: float, with_both: float) -> None:
    share = performance.quantized_share_of(su1)
    assert abs(performance.speedup_of_three_products(share) - with_both) <= 0.005
    assert performance.speedup_of_three_products(0.0) == 1.5


def test_su2_is_su1_over_the_share_of_training_needed() -> None:
    assert performance.speedup_to_accuracy(1.5, 0.75) == 2.0


def test_refuses_an_empty_trace_and_no_accumulation() -> None:
    with pytest.raises(ValueError, match="the trace is empty; give at least one step with at least one layer"):
        performance.costs([])
    with pytest.raises(ValueError, match="accs is 0; give 1 or more"):
        performance.costs([[layer()]], accs=0)
