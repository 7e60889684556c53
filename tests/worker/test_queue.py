"""The queue, with its ends in this process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from autotune.worker.queue import RECORD, end_queue, next_request, open_to_put, open_to_take, shared_queue

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_requests_come_in_order_and_then_the_end_for_every_instance() -> None:
    with shared_queue() as queue, open_to_put(queue.put) as put, open_to_take(queue.take) as take:
        for number in range(3):
            os.write(put, RECORD.pack(number))
        end_queue(put, instances=2)
        assert [next_request(take) for _ in range(5)] == [0, 1, 2, None, None]


def test_each_request_is_taken_by_one_instance() -> None:
    taken: list[list[int]] = [[], []]

    def serve(path: str, own: list[int]) -> None:
        with open_to_take(path) as take:
            while (number := next_request(take)) is not None:
                own.append(number)

    with shared_queue() as queue, open_to_put(queue.put) as put:
        threads = [threading.Thread(target=serve, args=(queue.take, own)) for own in taken]
        for thread in threads:
            thread.start()
        for number in range(1_000):
            os.write(put, RECORD.pack(number))
        end_queue(put, instances=2)
        for thread in threads:
            thread.join()
    assert sorted(taken[0] + taken[1]) == list(range(1_000))
    assert all(own == sorted(own) for own in taken)


def test_a_full_queue_makes_nobody_wait() -> None:
    with shared_queue() as queue, open_to_put(queue.put) as put:
        for _ in range(2):
            os.write(put, bytes(8 * 4_096))
        with pytest.raises(BlockingIOError):
            put_without_end(put)


def put_without_end(put: int) -> None:
    while True:
        os.write(put, RECORD.pack(0))


def test_a_queue_has_no_name_and_ends_with_its_maker() -> None:
    with shared_queue() as queue:
        assert Path(queue.take).exists()
    assert not Path(queue.take).exists()


def test_telling_the_end_to_nobody_is_no_error() -> None:
    with shared_queue() as queue:
        put = os.open(queue.put, os.O_WRONLY)
    end_queue(put, instances=1)
    os.close(put)
