"""Queue the experiments that say what fine-tuning owes to which weights, and draw what they found.

Every experiment is the whole pipeline with other params, in DVC's queue. Those that are there
already, for the commit that is checked out, are not run again: interrupt it at will. From
`dvc exp show` it writes `resultados/estudio.csv` and `resultados/estudio.png`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from stages import download
from taller.data import fetch, weights
from taller.data.origin import Network
from taller.models.catalogue import CNN, SIMPLE_NN
from taller.program import params
from taller.program.errors import Problem
from taller.report.figures import study as figure
from taller.report.figures import style
from tools import experiments, study_pairs

# One learning rate for all layers, so that a network without pretraining is not held back.
# And the epochs that are asked for, however few images there are.
COMMON = {
    "finetune.body_lr_factor": 1.0,
    **{
        f"{place}.min_steps": 0
        for place in ("kfold_train.simple_nn", "kfold_train.cnn", "finetune")
    },
}
TRAINABLE = {"fc": "[fc]", "layer4": "[layer4,fc]", "all": "all"}
# The workshop's code: a fresh first layer, trained with the last one at a constant rate.
WORKSHOP = {
    "pretrain.source": "auto",
    "finetune.stem": "random",
    "finetune.trainable": "[conv1,fc]",
    "finetune.schedule": "constant",
}


def plan(sources: list[str], subset: int, epochs: int) -> dict[str, dict[str, object]]:
    """Params of every experiment, by its name, which tells subsets and epochs apart."""
    common = COMMON | {"preprocess.subset": subset, "finetune.epochs": epochs}
    grid = {
        f"{source}-{short}": {"pretrain.source": source, "finetune.trainable": trainable}
        for source in sources
        for short, trainable in TRAINABLE.items()
    }
    return {
        f"estudio-{subset}-{epochs}-{name}": common | own
        for name, own in (grid | {"taller": WORKSHOP}).items()
    }


def available_sources(pretrained: Path = Path("data/pretrained")) -> list[str]:
    """Of the sources of weights, those that can be had here.

    ImageNet's weights go to torch's own cache, from which the experiments take them: DVC runs
    them in copies of the folder, without files that it does not track.
    """
    settings = params.read("download", download.Params)
    network = params.read("pretrain.network", Network)
    url, cache = settings.weights_url, weights.torch_cache()
    try:
        weights.check_in_place(url, pretrained)
        weights.check_in_place(url, cache)
        name = weights.known(url)[network].name
        if (pretrained / name).exists() and not (cache / name).exists():
            fetch.put(cache / name, (pretrained / name).read_bytes())
        weights.get(network, url, settings.timeout, cache)
    except Problem as problem:
        print(f"study: without ImageNet; {problem}")
        return ["none", "glyphs"]
    return ["none", "glyphs", "imagenet"]


def refuse_edits() -> None:
    """DVC knows experiments by the commit they began with, and takes edits along unseen."""
    decisive = ["params.yaml", "dvc.yaml", "stages", "taller"]
    command = ["git", "diff", "--name-only", "HEAD", "--", *decisive]
    done = subprocess.run(command, check=True, encoding="utf-8", capture_output=True)
    if edited := done.stdout.split():
        raise Problem(f"expected {', '.join(edited)} as committed, found edits; commit them first")


def committed(rev: str, file: str) -> list | dict:
    """What an experiment with the commit `rev` wrote into a JSON of `resultados/`."""
    command = ["git", "show", f"{rev}:resultados/{file}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def controls(names: Collection[str]) -> dict[str, str]:
    """For each of the grid's experiments with weights, the one without, of the same layers."""
    found = {}
    for name in names:
        *start, source, layers = name.split("-")
        control = "-".join([*start, "none", layers])
        if layers in TRAINABLE and source != "none" and control in names:
            found[name] = control
    return found


def collect(names: Collection[str]) -> pd.DataFrame:
    """The study's table, in the reader's words; chosen and shown by validation alone."""
    shown, rows = experiments.finished(), []
    for name in names:
        settings, metrics = shown[name]["params"], shown[name]["metrics"]
        told = committed(shown[name]["rev"], "detalle.json")
        layers = settings["finetune"]["trainable"]
        network = told["pretraining"]["network"]  # what auto became
        accuracy = metrics[network]["cv"]["accuracy"]
        rows.append(
            {
                "experimento": name,
                "fuente": told["pretraining"]["source"],
                "capas entrenadas": layers if isinstance(layers, str) else ", ".join(layers),
                "primera capa": settings["finetune"]["stem"],
                "imágenes": settings["preprocess"]["subset"],
                "épocas": settings["finetune"]["epochs"],
                "parámetros entrenados": told["models"][network]["trained_parameters"],
                "accuracy": accuracy["mean"],
                "desv. accuracy": accuracy["std"],
                "accuracy de SimpleNN": metrics[SIMPLE_NN.key]["cv"]["accuracy"]["mean"],
                "accuracy de CNN": metrics[CNN.key]["cv"]["accuracy"]["mean"],
            }
        )
    return pd.DataFrame(rows)


def fold_by_fold(names: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The accuracies of all experiments on each fold, and their paired tests."""
    shown = experiments.finished()
    revs = {name: shown[name]["rev"] for name in names}
    found = study_pairs.records(
        {name: committed(rev, "plots/folds.json") for name, rev in revs.items()}
    )
    sizes = committed(next(iter(revs.values())), "detalle.json")["fold_images"]
    return found, study_pairs.pairs(found, controls(names), sizes["train"], sizes["val"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.study", description=__doc__)
    parser.add_argument("--subset", type=int, default=5000, help="training images (5000)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of fine-tuning (5)")
    chosen = parser.parse_args()
    wanted = plan(available_sources(), chosen.subset, chosen.epochs)
    try:
        refuse_edits()
        experiments.run(wanted)
    except Problem as problem:
        sys.exit(f"study: {problem}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"study: {' '.join(error.cmd[2:5])} failed; what is done is kept, run it again")
    except KeyboardInterrupt:
        print("\nstudy: stopping DVC's worker", file=sys.stderr)
        experiments.stop(wanted)
        sys.exit("\nstudy: interrupted; what is done is kept, run it again to go on")
    table = collect(wanted)
    folds, pairs = fold_by_fold(wanted)
    for name, rows in {"": table, "_pliegues": folds, "_parejas": pairs}.items():
        rows.to_csv(Path(f"resultados/estudio{name}.csv"), index=False, float_format="%.6g")
    style.save(figure.draw(table), Path("resultados/estudio.png"))
    print(table.to_string(index=False), pairs.to_string(index=False), sep="\n\n")


if __name__ == "__main__":
    main()
