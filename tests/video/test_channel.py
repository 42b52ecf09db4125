"""The hand-over between threads."""

from __future__ import annotations

import threading

import pytest

from idrn_trt.video.channel import Channel

WAIT_S = 30


def test_order_and_bound() -> None:
    """Items arrive in order, and never more than the limit wait."""
    channel: Channel[int] = Channel(2)
    made: list[int] = []
    most = 0

    def produce() -> None:
        for number in range(500):
            channel.put(number)
            made.append(number)
        channel.finish()

    thread = threading.Thread(target=produce)
    thread.start()
    taken = []
    for number in channel:
        most = max(most, len(made) - len(taken))
        taken.append(number)
    thread.join(WAIT_S)
    assert taken == list(range(500))
    assert most <= 2 + 1  # and one that is being handed over


def test_a_stopped_consumer_frees_the_producer() -> None:
    """A put that waits for room returns False once nothing more is wanted."""
    channel: Channel[int] = Channel(1)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.extend(channel.put(k) for k in range(3)))
    thread.start()
    assert next(iter(channel)) == 0
    channel.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert answers[0]
    assert not answers[-1]


def test_an_error_comes_after_what_was_made() -> None:
    """The consumer gets the items made before an error, then the error."""
    channel: Channel[int] = Channel(4)
    channel.put(1)
    channel.fail(KeyError("lost"))
    items = iter(channel)
    assert next(items) == 1
    with pytest.raises(KeyError, match="lost"):
        next(items)
