"""What a training costs: processor time and memory."""

from typing import Any

import torch

from segaug._optional import require

__all__ = ["Usage"]


class Usage:
    """Processor time since the start, and memory. Needs the extra ``train`` (psutil).

    Args:
        device: Where the model is.
        cpu_seconds: Time that was used before the start.
    """

    def __init__(self, device: torch.device, *, cpu_seconds: float = 0.0) -> None:
        self._psutil = require("psutil", extra="train")
        self._device = device
        self._process = self._psutil.Process()
        self._start = self._total() - cpu_seconds
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of this process and of a loader's workers."""
        return max(0.0, self._total() - self._start)

    def line(self) -> dict[str, Any]:
        """For a log: ``cpu_seconds``, ``memory_mib`` (most that this process ever held) and ``cuda_memory_mib``."""
        values: dict[str, Any] = {"cpu_seconds": round(self.cpu_seconds, 2), "memory_mib": self._memory()}
        if self._device.type == "cuda":
            values["cuda_memory_mib"] = round(torch.cuda.max_memory_allocated(self._device) / 2**20)
        return values

    def _memory(self) -> int:
        info = self._process.memory_info()
        peak = getattr(info, "peak_wset", None)
        if peak is None:
            peak = info.rss
            try:
                # The peak is in the process's own status on Linux; elsewhere there is what is held now.
                with open(f"/proc/{self._process.pid}/status", encoding="ascii") as status:  # noqa: PTH123
                    peak = next(int(row.split()[1]) * 1024 for row in status if row.startswith("VmHWM"))
            except (OSError, StopIteration):
                pass
        return round(peak / 2**20)

    def _total(self) -> float:
        total = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except self._psutil.Error:
                continue
            total += times.user + times.system
        return total
