import subprocess
import sys

import killed_runs


def test_killed_at_twenty_moments_and_resumed_it_ends_with_the_same_weights(tmp_path):
    done = subprocess.run(
        [sys.executable, killed_runs.__file__, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20
