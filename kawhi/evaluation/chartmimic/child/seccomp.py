"""A seccomp filter against system calls that a chart does not need and that no other limit covers.

Sockets of every family; memory that neither RLIMIT_AS nor the folder's size counts (memfd, System V shared memory,
message queues); and what has opened kernels before (new namespaces, mounts, ptrace, keys, bpf, io_uring, userfaultfd).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# The architecture's audit number and the numbers of what is denied, from asm/unistd_64.h and asm-generic/unistd.h.
_CALLS = {
    "x86_64": (
        0xC000003E,
        [29, 41, 53, 64, 68, 101, 165, 240, 248, 249, 250, 272, 298, 308, 310, 311, 319, 321, 323, 447],
    ),
    "aarch64": (
        0xC00000B7,
        [194, 198, 199, 190, 186, 117, 40, 180, 217, 218, 219, 97, 241, 268, 270, 271, 279, 280, 282, 447],
    ),
}
_DENIED_EVERYWHERE = [425, 428, 429, 430, 432]  # io_uring_setup, open_tree, move_mount, fsopen, fsmount
_CLONE3 = 435  # its flags cannot be seen by a filter; without it the C library uses clone
_X32 = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_PR_SET_SECCOMP, _FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(libc: ctypes.CDLL) -> None:
    """From here on, for this process and all it starts.  Needs ``PR_SET_NO_NEW_PRIVS``.

    Raises:
        OSError: a machine whose numbers are not known, or a kernel that refuses.
    """
    if platform.machine() not in _CALLS:
        raise OSError(f"no seccomp filter is written for {platform.machine()}")
    architecture, denied = _CALLS[platform.machine()]
    steps = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    steps += [(_JUMP_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for number in [*denied, *_DENIED_EVERYWHERE]:
        steps += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    steps += [(_JUMP_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERROR | errno.ENOSYS), (_RETURN, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP): " + os.strerror(ctypes.get_errno()))
