"""DVC's queue of experiments: fill it, work it off, stop it, and read what came of it."""

import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress

from taller.program.errors import Problem


def dvc(*arguments: str, capture: bool = False) -> str:
    """Run DVC and, where asked, return what it prints."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(
        command, check=True, encoding="utf-8", stdout=subprocess.PIPE if capture else None
    ).stdout


def states() -> dict[str, str]:
    """What became of each experiment on this commit: success, queued, running or failed."""
    found = {}
    for baseline in json.loads(dvc("exp", "show", "--json", capture=True)):
        for experiment in baseline.get("experiments") or []:
            executor = experiment.get("executor") or {}
            found[experiment["name"]] = executor.get("state", "success").lower()
    return found


def queue(experiments: Collection[str]) -> tuple[dict[str, list[str]], int]:
    """The experiments' tasks in DVC's queue, by state, and how many workers are there.

    Tasks are given by their revision: those of other commits have the same names.
    """
    *lines, workers = dvc("queue", "status", capture=True).splitlines()
    active, idle = re.fullmatch(r"Worker status: (\d+) active, (\d+) idle", workers).groups()
    tasks = defaultdict(list)
    for cells in filter(None, map(str.split, lines)):
        if cells[1] in experiments:
            tasks[cells[-1]].append(cells[0])
    return tasks, int(active) + int(idle)


def stop(experiments: Collection[str]) -> None:
    """Take the experiments out of DVC's queue, and wait until its worker has let go of them.

    In this order: a worker that is told to stop may still begin the next one in the queue.
    """
    killed: set[str] = set()
    tasks, workers = queue(experiments)
    while tasks["Queued"] or (tasks["Running"] and workers):
        # Either fails where a task began or ended since: then the next look finds it elsewhere.
        with suppress(subprocess.CalledProcessError):
            if tasks["Queued"]:
                dvc("queue", "remove", *tasks["Queued"])
            elif alive := set(tasks["Running"]) - killed:
                killed |= alive
                dvc("queue", "kill", *alive)
        time.sleep(1)
        tasks, workers = queue(experiments)


def settle(experiments: Collection[str]) -> None:
    """Wait for a worker that an earlier call left behind, and free what it left as running.

    The worker holds DVC's lock; and for a task whose worker was killed DVC would wait for ever.
    """
    tasks, workers = queue(experiments)
    if tasks["Running"] and workers:
        print("study: waiting for the worker of an earlier call; Ctrl-C stops it", flush=True)
    while workers and (tasks["Running"] or tasks["Queued"]):
        time.sleep(5)
        tasks, workers = queue(experiments)
    if tasks["Running"]:
        print("study: one experiment was left without its worker: it is queued again")
        dvc("queue", "kill", *tasks["Running"])


def run(experiments: dict[str, dict[str, object]]) -> None:
    """Queue what is not done yet, and work off the queue.

    Raises
    ------
    Problem
        Naming the experiments that failed.
    """
    settle(experiments)
    known = states()
    if failed := queue(experiments)[0]["Failed"]:
        dvc("queue", "remove", *failed)
    missing = [name for name in experiments if known.get(name, "failed") == "failed"]
    for name in missing:
        settings = [f"-S{key}={value}" for key, value in experiments[name].items()]
        dvc("exp", "run", "--quiet", "--queue", "--name", name, *settings)
    done = sum(known.get(name) == "success" for name in experiments)
    print(f"study: {done} of {len(experiments)} experiments are there")
    if done < len(experiments):
        dvc("exp", "run", "--run-all")
        known = states()
        # DVC shows for a failed experiment the metrics of the commit that it began with.
        if failed := [name for name in experiments if known.get(name) != "success"]:
            raise Problem(f"expected all experiments to succeed; see dvc queue logs {failed[0]}")


def finished() -> dict[str, dict]:
    """What `dvc exp show` knows of each experiment that succeeded, by its name.

    Returns
    -------
    dict
        ``rev`` (its commit), ``params`` and ``metrics`` (each as its file holds it).
    """
    found = {}
    for baseline in json.loads(dvc("exp", "show", "--json", capture=True)):
        for experiment in baseline.get("experiments") or []:
            executor = experiment.get("executor") or {}
            if executor.get("state", "success").lower() == "success":
                (shown,) = experiment["revs"]
                data = shown["data"]
                found[experiment["name"]] = {
                    "rev": shown["rev"],
                    "params": data["params"]["params.yaml"]["data"],
                    "metrics": data["metrics"]["resultados/metrics.json"]["data"],
                }
    return found
