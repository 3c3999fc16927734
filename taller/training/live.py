"""What fits do right now, in files that DVC shows and never hashes.

DVCLive writes a table for each number of a fit, with a line for each epoch. The files last while a
stage trains: later, beside results of other params, of another branch or from the run cache, they
would be wrong numbers. What has ended is in the stage's outputs.
"""

import atexit
import functools
import gc
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from taller.common import files
from taller.common.errors import UserError

if TYPE_CHECKING:
    from dvclive import Live

FOLDER = Path("dvclive")  # dvc.yaml lists its plots and its metrics
NOW = "metrics/live.json"


def log(fit: str, rows: list[dict[str, float]]) -> None:
    """Add epochs of a fit, rows of `engine.Fit.history`, to what DVC shows of this folder.

    A folder that is no clone, as that of a cell of the study, has nowhere to show them.
    """
    if not (FOLDER / "plots").is_dir():
        return
    logger = _logger(FOLDER.absolute())
    for row in rows:
        logger.step = row["epoch"]
        for name, value in row.items():
            if name != "epoch":
                logger.log_metric(f"{fit}/{name}", value)
    files.write_json(FOLDER / NOW, {"live": {"fit": fit, **rows[-1]}})


@functools.cache
def _logger(folder: Path) -> "Live":
    from scmrepo.exceptions import SCMError

    from dvclive import Live  # with DVC, a second of this process, while others train

    atexit.register(end, folder)
    try:
        return Live(str(folder), dvcyaml=None, save_dvc_exp=False)
    except SCMError as error:
        remedy = "run git add --all && git commit --message start"
        raise UserError(f".git: expected a commit, found: {error}; {remedy}") from None


def end(folder: Path) -> None:
    """Remove what `log` wrote; a stage does when it ends, however, but for ``kill -9``."""
    shutil.rmtree(folder / "plots/metrics", ignore_errors=True)
    (folder / NOW).unlink(missing_ok=True)
    _logger.cache_clear()
    gc.collect()  # the repository that DVCLive opened complains where Python is already gone
