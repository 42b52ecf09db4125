"""The one-slot hand-over."""

from __future__ import annotations

import threading

from players import WAIT_S, wait_until

from idrn_trt.streaming.mailbox import Mailbox


def test_the_newest_replaces_the_older() -> None:
    """Of items that need not wait the last is taken, and each lost one is told to its producer."""
    mailbox: Mailbox[int] = Mailbox(1)
    assert [mailbox.put(0, number, wait=False) for number in range(3)] == [False, True, True]
    assert mailbox.take() == [2]


def test_what_waits_is_not_lost() -> None:
    """A producer that waits delivers everything, in order."""
    mailbox: Mailbox[int] = Mailbox(1)

    def produce() -> None:
        for number in range(300):
            assert mailbox.put(0, number, wait=True) is False
        mailbox.finish(0)

    thread = threading.Thread(target=produce)
    thread.start()
    taken = []
    while items := mailbox.take():
        taken += items
    thread.join(WAIT_S)
    assert taken == list(range(300))


def test_no_producer_crowds_out_another() -> None:
    """Each round takes at most one item of each, however fast one of them is."""
    mailbox: Mailbox[str] = Mailbox(3)
    for number in range(10):
        mailbox.put(1, f"fast {number}", wait=False)
    mailbox.put(2, "slow", wait=False)
    assert mailbox.take() == ["fast 9", "slow"]


def test_it_ends_when_all_have_finished_or_one_orders_it() -> None:
    """What lies there is taken before the end; finish_all ends for producers that never say so."""
    mailbox: Mailbox[int] = Mailbox(2)
    mailbox.put(0, 7, wait=False)
    mailbox.finish(0)
    mailbox.finish_all()
    assert mailbox.take() == [7]
    assert mailbox.take() == []


def test_a_consumer_that_stops_frees_its_producers() -> None:
    """A producer that waits for an empty slot is told that its item is lost."""
    mailbox: Mailbox[int] = Mailbox(1)
    answers: list[bool] = []
    mailbox.put(0, 1, wait=True)
    thread = threading.Thread(target=lambda: answers.append(mailbox.put(0, 2, wait=True)))
    thread.start()
    mailbox.stop()
    thread.join(WAIT_S)
    assert answers == [True]
    assert mailbox.take() == []


def test_others_are_waited_for_no_longer_than_said() -> None:
    """With a linger both items come in one round; without the second, the first comes all the same."""
    mailbox: Mailbox[int] = Mailbox(2)
    mailbox.put(0, 1, wait=False)
    assert mailbox.take(0.01) == [1]
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.extend(mailbox.take(WAIT_S)))
    thread.start()
    mailbox.put(0, 1, wait=False)
    mailbox.put(1, 2, wait=False)
    wait_until(lambda: taken == [1, 2], "both items at once")
    thread.join(WAIT_S)
