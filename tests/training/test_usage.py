import time

import pytest
import torch

from segaug.training._usage import Usage


def test_processor_time_and_memory():
    usage = Usage(torch.device("cpu"), cpu_seconds=5.0)
    start = time.process_time()
    while time.process_time() - start < 0.05:
        pass
    assert 5.03 <= usage.cpu_seconds < 10.0
    line = usage.line()
    assert line.keys() == {"cpu_seconds", "memory_mib"}
    held = torch.ones(2**25, dtype=torch.uint8).repeat(4)
    del held
    assert Usage(torch.device("cpu")).line()["memory_mib"] >= line["memory_mib"] > 50


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_memory_of_a_gpu():
    usage = Usage(torch.device("cuda"))
    held = torch.ones(2**26, dtype=torch.uint8, device="cuda")
    del held
    assert usage.line()["cuda_memory_mib"] >= 64
