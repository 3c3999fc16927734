"""What comes before the first stage: params are checked, and plots made to need no internet.

A stage checks its own params when it starts, which may be minutes after the first one did; and a
section that no stage reads, a misspelt one, would never be seen.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import stages  # noqa: F401 (pins the numerics, before anything else imports NumPy)

# isort: split
import vl_convert
from dvc.utils.serialize import modify_yaml

from stages import compare, curve, preprocess, pretrain
from taller.common import params, stage
from taller.common.terminal import UserError, printable
from taller.datasets import dataset
from taller.sources import catalogue
from taller.training import contestants, engine

SCHEMAS = {
    "dataset": params.DatasetName,
    "seed": params.Seed,
    "threads": params.Threads,
    "device": params.Device,
    "numerics": params.Numerics,
    "download": list[str],
    "preprocess": preprocess.Params,
    "curve": curve.Params,
    "compare": compare.Params,
}
# A section for each network, of any name.
NETWORKS = {
    "kfold_train": contestants.read_scratch,
    "pretrain": pretrain.read_config,
    "finetune": contestants.read_finetuning,
}


def check_git() -> None:
    """That this folder has a commit, as DVC and DVCLive demand: one out of a ZIP has none."""
    asked = ["git", "rev-parse", "--quiet", "--verify", "HEAD"]
    if subprocess.run(asked, capture_output=True).returncode:
        raise UserError(
            ".git: expected a Git repository with a commit, found none; run git init && "
            "git add --all && git commit --message start"
        )


def check_params() -> None:
    """Hold params.yaml against the schemas of all stages; a `UserError` names the first key."""
    for key in params.load():
        if key not in (keys := (*SCHEMAS, *NETWORKS)):
            raise UserError(f"params.yaml: {printable(key)}: expected one of {', '.join(keys)}")
    single = {key: params.read(key, schema) for key, schema in SCHEMAS.items()}
    engine.choose_device(single["device"])
    for name in (downloaded := single["download"]):
        catalogue.item(name)
    check_dataset(single["dataset"], downloaded)
    params.contestants()  # that no name stands twice
    for kind, read in NETWORKS.items():
        for name in params.read(kind, dict[params.SectionName, dict]):
            config = read(f"{kind}.{name}")
            if kind == "finetune":
                check_start(f"finetune.{name}.start", config[0].start, downloaded)


def check_dataset(name: str, downloaded: list[str]) -> None:
    """That the data set is got by `download`, or is a folder of pictures that DVC versions."""
    raw = Path("data", name, "raw")
    if name in dataset.CLASSES:
        if name not in downloaded:
            raise UserError(f"params.yaml: download: expected {name} in it, as it is the dataset")
    elif not raw.with_suffix(".dvc").exists():
        found = "the folder alone" if raw.is_dir() else "no such folder"
        raise UserError(
            f"params.yaml: dataset: expected {', '.join(dataset.CLASSES)}, or {raw} with a folder "
            f"of pictures for each class, under `dvc add {raw}`; found {found}"
        )
    elif not raw.is_dir():
        raise UserError(f"{raw}: expected the pictures of {raw}.dvc; run dvc pull")


def check_start(key: str, start: str, downloaded: list[str]) -> None:
    """That a stage makes or gets the network that fine-tuning starts from, or DVC versions it."""
    made = [f"modelos/base/{name}" for name in params.load()["pretrain"]]
    made += [f"data/{name}/raw" for name in downloaded]
    if start not in made and not Path(f"{start}.dvc").exists():
        raise UserError(
            f"params.yaml: {key}: expected what pretrain makes or download gets "
            f"({', '.join(made)}), found {printable(start)}"
        )


def forget_removed_stages(lock: Path = Path("dvc.lock")) -> None:
    """Take stages of removed sections out of dvc.lock, where DVC leaves them for ever."""
    sections = params.load()
    current = {f"{group}@{name}" for group in ("download", *NETWORKS) for name in sections[group]}
    current |= {f"curve@{section}" for section in sections["curve"]["sections"]}
    text = lock.read_text("utf-8") if lock.exists() else ""
    if removed := {*re.findall(r"^  (\w+@[^:]+):$", text, re.MULTILINE)} - current:
        with modify_yaml(lock) as content:
            for name in removed:
                del content["stages"][name]


def write_plots_page(dvc_dir: Path = Path(".dvc")) -> None:
    """Put the drawing library into the page of `dvc plots`, which has links to a CDN otherwise."""
    page, offline = (dvc_dir / "plots" / name for name in ("page.html", "page.offline.html"))
    if offline.exists() and offline.stat().st_mtime > page.stat().st_mtime:
        return
    # In a function, or the bundle's thousands of short top-level names would be the page's too.
    script = f'<script>(() => {{ "use strict";\n{vl_convert.javascript_bundle()}\n}})()</script>'
    offline.write_text(page.read_text("utf-8").replace("{scripts}", script), "utf-8")
    # Not in the committed config: DVC fails where a page is missing, and a clone has none yet.
    command = ["config", "--local", "plots.html_template", "plots/page.offline.html"]
    subprocess.run([sys.executable, "-m", "dvc", *command], cwd=dvc_dir.parent, check=True)


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=formatter).parse_args()
    with stage.one_line("prepare"):
        check_git()
        check_params()
        forget_removed_stages()
        write_plots_page()


if __name__ == "__main__":
    main()
