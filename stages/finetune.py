"""Fine-tune a pretrained network on the folds of the other networks, and once on all images.

Reads the training images, their folds and a pretrained network for each repeat. The layers in front
of the first trainable one are frozen: they run once per image, and only the rest is trained. Writes
the network fitted on all images, and the same history, scores and facts as `kfold_train`. A section
of params.yaml, finetune.NAME, is a network that takes part.
"""

from pathlib import Path

from taller.common import files, numerics, params, stage
from taller.common.params import Contestant, Device, Seed, Threads
from taller.datasets import dataset
from taller.evaluation import metrics
from taller.training import checkpoint, contestants, engine, freezing, store
from taller.training.batches import Views, identity
from taller.training.contestants import Halves
from taller.training.cross_validation import cross_validate, join

TRAIN = Path("data/train")


def finetune(name: str) -> None:
    me = Contestant("finetuned", name)
    key = f"finetune.{name}"
    options = contestants.read_finetuning(key)
    seed, device = params.read("seed", Seed), engine.choose_device(params.read("device", Device))
    threads, start = params.read("threads", Threads), Path(options[0].start)
    data, folds = dataset.load(TRAIN), dataset.load_array(TRAIN / "folds.npy")
    starts = store.load_start(start, options[0].network, len(folds), f"{key}.start")
    options, scaling = contestants.suit(options, starts[0], data, key)
    options = contestants.with_min_steps(options, len(data), name)
    config, source = contestants.middle(options), starts[0].source
    checkpoints = checkpoint.of_stage(
        key, [TRAIN, start], config=options, seed=seed, threads=threads, device=device
    )
    views = Views.of(data.images, scaling) if config.augment == "photographs" else None
    limit, repeats = None if config.folds == "all" else config.folds, []
    for repeat, pretrained in enumerate(starts):
        new_layers = numerics.weights_seed(numerics.fit_seed(seed, repeat))
        halves = Halves.of(pretrained, config, data, scaling.size, new_layers)
        training = halves.training(options, scaling, views, data, seed, device)
        with engine.threads(threads):
            inputs = freezing.activations(halves.frozen, data.images, scaling, device)
        outcome = cross_validate(
            training, inputs, data.labels, folds[repeat],
            repeat=repeat, limit=limit, label=name, checkpoints=checkpoints,
        )  # fmt: skip
        if training.standardize and source == "imagenet":
            head = pretrained.network[-1:]  # of ImageNet's classes
            logits = freezing.activations(head, inputs, identity, device)
            outcome.scores.extend(
                metrics.vote_scores(logits, data.labels, folds[repeat], limit, repeat)
            )
        repeats.append(outcome)
        if repeat == 0:
            fitted = halves.frozen.cpu().state_dict() | outcome.state
    outcome = join(repeats)

    outcome.save(me.cv)
    arguments = {"classes": data.classes, "shape": data.shape, **starts[0].model_params}
    store.save(me.model, config.network, arguments, scaling, data.names, fitted, source)
    if outcome.chosen:  # the first one is of the fit on all images
        values = {key: outcome.chosen[0][key] for key in ("weight_decay", "epochs")}
        config = config.model_copy(update=values)
    image = (data.shape[0], *scaling.size)
    once = store.count_operations(halves.frozen, image).inference
    each = store.count_operations(halves.trained, store.output_shape(halves.frozen, image)).step
    facts = store.describe_fit(
        me, store.network_module(config.network), config, halves.network,
        trained_parameters=outcome.trained_parameters,
        inference=store.count_operations(halves.network, image).inference,
        training=len(data) * (once + config.epochs * each), trained=config.trainable,
        start={"path": config.start, "source": source, **store.describe_start(start)},
    )  # fmt: skip
    facts |= {"chosen": outcome.chosen} if outcome.chosen else {}
    files.write_json(me.cv / "fit.json", facts)
    checkpoints.remove()
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    stage.run(finetune)
