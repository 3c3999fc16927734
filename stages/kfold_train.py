"""Train a network from scratch: on every fold of every repeat, and once on all images.

Reads the training images and their folds. Writes the model fitted on all of them and, from the
folds, the history of losses and the validation scores, and how and at what cost it was trained. A
section of params.yaml, kfold_train.NAME, is a network that takes part.
"""

from pathlib import Path

from taller.common import files, params, stage
from taller.common.params import Contestant, Device, Seed
from taller.datasets import dataset
from taller.training import checkpoint, contestants, engine, store
from taller.training.cross_validation import cross_validate, join

TRAIN = Path("data/train")


def kfold_train(name: str) -> None:
    me = Contestant("scratch", name)
    key = f"kfold_train.{name}"
    seed, device = params.read("seed", Seed), engine.choose_device(params.read("device", Device))
    data, folds = dataset.load(TRAIN), dataset.load_array(TRAIN / "folds.npy")
    training = contestants.scratch_training(
        contestants.read_scratch(key), data, len(data), name, seed, device
    )
    config, arguments = training.config, training.build.keywords
    checkpoints = checkpoint.of_stage(key, [TRAIN], config=config, seed=seed, device=device)
    repeats = []
    for repeat, assigned in enumerate(folds):
        repeats.append(
            cross_validate(
                training, data.images, data.labels, assigned,
                repeat=repeat, label=name, checkpoints=checkpoints,
            )
        )  # fmt: skip
    outcome = join(repeats)

    outcome.save(me.cv)
    stored = arguments | {"shape": data.shape}
    store.save(me.model, config.network, stored, training.prepare, data.names, outcome.state)
    network = training.build()
    each = store.count_operations(network, arguments["shape"])
    facts = store.describe_fit(
        me, store.network_module(config.network), config, network,
        trained_parameters=outcome.trained_parameters,
        inference=each.inference, training=config.epochs * len(data) * each.step,
    )  # fmt: skip
    files.write_json(me.cv / "fit.json", facts)
    checkpoints.remove()
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    stage.run(kfold_train)
