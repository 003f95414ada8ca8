"""Who hears a published record."""

from __future__ import annotations

import threading

import pytest

from fxsim.cost.counting import count
from fxsim.ops.records import OpRecord, Pass, listen, listening, publish

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
