"""ClickHouse as a server process out of the npm library ``libchdb.so``.

The library is the real engine (``clickhouse local``) with its HTTP and native listeners. It is loaded into a
process of its own, so that it can be stopped and killed like a server; start with
``python clickhouse_server.py LIBRARY CONFIG_FILE``. A ``clickhouse`` binary on the PATH is the better server:
the launcher prefers it and does not come here.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

# The listeners live as long as the query that the process was started with, so that one sleeps for ever: a
# thousand million times 3 s, the longest single sleep that the function allows.
_SERVE = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; "
    "SELECT sleepEachRow(3) FROM numbers(1000000000) "
    "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0, max_execution_time = 0 FORMAT Null"
)


def serve(library: str, config_file: str) -> int:
    """Run ClickHouse with ``config_file`` until a signal ends the process; returns the engine's exit status.

    :raises OSError: when the library cannot be loaded.
    """
    # RTLD_DEEPBIND: the library brings its own allocator and C++ runtime, which must not be replaced by this process's.
    chdb = ctypes.CDLL(library, mode=os.RTLD_NOW | os.RTLD_DEEPBIND)
    arguments: Sequence[bytes] = [
        argument.encode() for argument in ("clickhouse", "--config-file", config_file, "--query", _SERVE)
    ]
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
    chdb.chdb_query_cmdline.restype = ctypes.c_void_p
    chdb.chdb_query_cmdline(ctypes.c_int(len(arguments)), argv)
    return 1


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], sys.argv[2]))
