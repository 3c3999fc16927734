"""Train a network from scratch: on every fold of every repeat, and once on all images.

Reads the training images and their folds. Writes the model fitted on all of them and, from the
folds, the history of losses and the validation scores, and how and at what cost it was trained. A
section of params.yaml, kfold_train.NAME, is a network that takes part.
"""

from functools import partial
from pathlib import Path

from pydantic import create_model

from taller.common import files, params, stage
from taller.common.params import Contestant, Device, NetworkName, Seed
from taller.datasets import dataset
from taller.training import checkpoint, cost, engine, store
from taller.training.augmentation import Views
from taller.training.batches import Scaling
from taller.training.cross_validation import Training, cross_validate, join
from taller.training.engine import ImageSize, TrainingConfig

TRAIN = Path("data/train")


class Config(TrainingConfig):
    network: NetworkName
    image_size: ImageSize


def read_config(name: str) -> Config:
    """The section of params.yaml, with the params of its network."""
    network = params.read(f"kfold_train.{name}.network", NetworkName)
    bases = Config, store.network_module(network).ModelParams
    return params.read(f"kfold_train.{name}", create_model("Config", __base__=bases))


def kfold_train(name: str) -> None:
    me, config = Contestant("scratch", name), read_config(name)
    seed, device = params.read("seed", Seed), engine.choose_device(params.read("device", Device))
    data, folds = dataset.load(TRAIN), dataset.load_array(TRAIN / "folds.npy")
    module = store.network_module(config.network)
    size = max(data.shape[1:]) if config.image_size == "auto" else config.image_size
    config = config.with_min_steps(len(data), name).model_copy(update={"image_size": size})
    workshop = Scaling(mean=(0.5,), std=(0.5,), size=data.shape[1:])
    scaling = workshop.suited(data.shape, size)
    inputs = data.shape[0], *scaling.size
    model_params = config.model_dump(include={*module.ModelParams.model_fields})
    arguments = {"classes": data.classes, "shape": data.shape, **model_params}
    build = partial(module.build, **arguments | {"shape": inputs})
    views = Views.of(data.images, scaling) if config.augment == "photographs" else None
    training = Training(config, build, seed, device, prepare=scaling, views=views)
    checkpoints = checkpoint.of_stage(me.section, [TRAIN], config=config, seed=seed, device=device)
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
    store.save(me.model, config.network, arguments, scaling, data.names, outcome.state)
    network = build()
    each = cost.count(network, inputs)
    facts = cost.describe_fit(
        me, module, config, network, trained_parameters=outcome.trained_parameters,
        inference=each.inference, training=config.epochs * len(data) * each.step,
    )  # fmt: skip
    files.write_json(me.cv / "fit.json", facts)
    checkpoints.remove()
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    stage.run(kfold_train)
