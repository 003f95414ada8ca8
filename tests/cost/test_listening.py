"""Who hears a published record."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from fxsim.cost.counting import count
from fxsim.ops.details import Detail, Look
from fxsim.ops.records import (
    OpRecord,
    Pass,
    Told,
    listen,
    listen_later,
    listening,
    publish,
    publish_later,
    record_of,
    told_of,
)

RECORD = OpRecord(layer="fc", pass_=Pass.FWD, op="linear", m=1, n=1, k=1, a="<8,4>", b="<8,4>", macs=1, nz_macs=1)


def test_nobody_listens_outside_a_block() -> None:
    assert not listening()
    publish(RECORD)
    with count(floats=False) as counts:
        assert listening()
        publish(RECORD)
    assert not listening()
    publish(RECORD)
    assert counts.total.calls == 1


def test_nested_blocks_each_hear_what_is_inside_them() -> None:
    with count(floats=False) as outer:
        publish(RECORD)
        with count(floats=False) as inner:
            publish(RECORD)
        publish(RECORD)
    assert (outer.total.calls, inner.total.calls) == (3, 1)


def test_one_listener_may_listen_twice() -> None:
    heard: list[OpRecord] = []
    with listen(heard.append):
        with listen(heard.append):
            publish(RECORD)
        publish(RECORD)
    assert len(heard) == 3


def test_a_block_left_by_an_exception_stops_listening() -> None:
    with pytest.raises(KeyError), count():
        raise KeyError
    assert not listening()


def test_what_a_listener_raises_reaches_the_op() -> None:
    def refuse(record: OpRecord) -> None:
        raise RuntimeError(record.layer)

    with listen(refuse), pytest.raises(RuntimeError, match="fc"):
        publish(RECORD)
    assert not listening()


def test_other_threads_are_heard_and_nothing_is_lost() -> None:
    with count(floats=False) as counts:
        threads = [threading.Thread(target=lambda: [publish(RECORD) for _ in range(1000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts.total.calls == counts.total.macs == 4000
    counts.check()


DETAILED = dataclasses.replace(RECORD, detail=Detail(a_row_nnz=np.array([1]), b_column_nnz=np.array([1])))


@pytest.mark.parametrize("record", [RECORD, DETAILED], ids=["plain", "detailed"])
def test_records_are_heard_by_both_kinds_of_listener(record: OpRecord) -> None:
    heard: list[OpRecord] = []
    late: list[OpRecord] = []
    with listen(heard.append), listen_later(lambda tell, given: late.append(record_of(*tell(*given))), Look(1)):
        publish(record)
        publish_later(told_of, record)
    assert not listening()
    assert heard == late == [record, record]


def test_records_come_late_without_detail_to_whoever_asked_for_none() -> None:
    late: list[OpRecord] = []
    with listen_later(lambda tell, given: late.append(record_of(*tell(*given))), Look()):
        publish(DETAILED)
        publish_later(told_of, DETAILED)
    assert late == [RECORD, RECORD]


def test_nothing_is_told_before_somebody_wants_to_know() -> None:
    asked: list[str] = []

    def tell(layer: str) -> Told:
        asked.append(layer)
        return told_of(dataclasses.replace(RECORD, layer=layer))

    with count(floats=False) as counts:
        publish_later(tell, "conv1")
        publish_later(tell, "conv2")
        assert asked == []
        assert set(counts.by("layer")) == {"conv1", "conv2"}
    assert asked == ["conv1", "conv2"]


def test_counts_may_be_read_inside_the_block() -> None:
    with count(floats=False, keep_order=True) as counts:
        for number in range(1, 4):
            publish(RECORD)
            assert counts.total.calls == number
            assert counts.ordered == (RECORD,) * number
            counts.check()
