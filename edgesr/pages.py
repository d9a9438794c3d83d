"""Memory that stays with the process between two uses."""

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h
_MOST = 2**31 - 1


@cache
def keep_pages() -> None:
    """Let freed memory be taken again without the system's help, from now on; elsewhere than in glibc nothing happens.

    Every map of a network is so large that glibc asks the system for it and gives it back when it is freed, and the system clears
    it page by page: half of the time in which PyTorch evaluates ESC at 256×256. Not for a process whose memory is measured.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _MOST)
