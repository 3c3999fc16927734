"""Start workers of a Dask scheduler that compute as the pipeline does: pinned, one fit at a time.

A process per core, in this checkout, which must be that of whoever runs the pipeline. What else
`dask worker` knows may follow the address: --nworkers 4, --host, --tls-cert, ...
"""

import argparse
import os
import sys

import joblib


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.worker", description=__doc__)
    parser.add_argument("scheduler", help="its address: tcp://HOST:8786")
    chosen, others = parser.parse_known_args()
    # Without a limit of memory Dask writes nothing to the disk, and stops no worker for its size.
    own = {"nworkers": joblib.cpu_count(), "nthreads": 1, "memory-limit": 0}
    options = [word for name, value in own.items() for word in (f"--{name}", str(value))]
    command = [*("-m", "distributed.cli.dask_worker"), chosen.scheduler, *options, "--no-dashboard"]
    os.execv(sys.executable, [sys.executable, *command, *others])


if __name__ == "__main__":
    main()
