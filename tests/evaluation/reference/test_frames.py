"""The protocol between the pool and its workers: replies come from processes that are not trusted."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.reference import frames


@given(st.lists(st.dictionaries(st.text(), st.integers())), st.lists(st.binary(max_size=50)))
def test_a_reply_survives_the_trip(results, blobs):
    unpacked, views = frames.unpack_reply(frames.pack_reply(results, blobs))
    assert unpacked == results
    assert [bytes(view) for view in views] == blobs


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises(frames.FrameError):
        frames.unpack_reply(data)


@pytest.mark.parametrize(
    "header",
    [
        {"results": [], "sizes": [5]},
        {"results": [], "sizes": [-1, 1]},
        {"results": [], "sizes": [True]},
        {"results": {}, "sizes": []},
        {"results": []},
        {"results": [], "sizes": 3},
        {"results": [], "sizes": ["1"]},
        {"results": [], "sizes": [10**30]},
        [],
    ],
)
def test_lengths_that_do_not_add_up_are_refused(header):
    with pytest.raises(frames.FrameError):
        frames.unpack_reply(frames.frame(json.dumps(header).encode()))


def test_reading_stops_where_the_other_end_closes():
    reading, writing = os.pipe()
    frames.write_all(writing, frames.frame(b"abc"))
    os.close(writing)
    size = frames.length(frames.read_exactly(reading, frames.HEADER_BYTES))
    assert frames.read_exactly(reading, size) == b"abc"
    assert frames.read_exactly(reading, 1) is None
    os.close(reading)
