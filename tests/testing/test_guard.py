"""Foreign code is run with a deadline, and what it prints and raises is kept apart."""

import contextlib
import sys
import threading
import time

import pytest

from segaug.testing._errors import NotApplicable, TransformFailed
from segaug.testing._guard import run_guarded


@pytest.mark.parametrize("deadline", [None, 5.0])
class TestRunGuarded:
    def test_returns_what_the_call_returns_and_what_it_printed(self, deadline, capsys):
        def call():
            print("out")
            print("err", file=sys.stderr)
            return 7

        finished = run_guarded(call, name="it", deadline=deadline)
        assert (finished.value, finished.printed) == (7, "out\nerr\n")
        assert capsys.readouterr() == ("", "")

    def test_names_what_was_raised(self, deadline):
        with pytest.raises(TransformFailed, match="it raised ZeroDivisionError: division by zero") as caught:
            run_guarded(lambda: 1 / 0, name="it", deadline=deadline)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_lets_the_kits_own_words_through(self, deadline):
        def call():
            raise NotApplicable("no")

        with pytest.raises(NotApplicable, match="no"):
            run_guarded(call, name="it", deadline=deadline)


class TestDeadline:
    @pytest.mark.parametrize("wait", [lambda: time.sleep(60), lambda: threading.Event().wait(60)])
    def test_is_named_where_a_call_sleeps(self, wait):
        with pytest.raises(TransformFailed, match=r"it did not return within the deadline of 0\.05 s"):
            run_guarded(wait, name="it", deadline=0.05)

    def test_ends_a_loop(self):
        turns = []

        def loop():
            while True:
                turns.append(0)
                # A broad handler of the foreign code must not keep it alive.
                with contextlib.suppress(Exception):
                    time.sleep(0.001)

        with pytest.raises(TransformFailed, match="deadline"):
            run_guarded(loop, name="it", deadline=0.05)
        time.sleep(0.05)
        count = len(turns)
        time.sleep(0.05)
        assert len(turns) == count
