"""Make the networks that finetune starts from: one for each repeat of the folds.

Their weights come from training here on drawn letters, or from chance, as pretrain.NAME.source
says. Writes the networks, and what they have learnt from and how well they know it.
"""

from functools import partial
from pathlib import Path
from typing import Literal

import torch
from pydantic import create_model

from taller.common import files, numerics, params, stage
from taller.common.params import Device, NetworkName, Repeats, Seed, Threads
from taller.datasets import dataset
from taller.pretraining import glyphs, letters
from taller.pretraining.letters import SHAPE, LettersConfig
from taller.training import checkpoint, engine, store


class Config(LettersConfig):
    source: Literal["letters", "none"]
    network: NetworkName


def read_config(key: str) -> Config:
    """The section of params.yaml at `key`, with the params of its network."""
    network = params.read(f"{key}.network", NetworkName)
    bases = Config, store.network_module(network).ModelParams
    return params.read(key, create_model("Config", __base__=bases))


def pretrain(name: str) -> None:
    key = f"pretrain.{name}"
    config, repeats = read_config(key), params.read("preprocess.repeats", Repeats)
    seed, threads = params.read("seed", Seed), params.read("threads", Threads)
    device = engine.choose_device(params.read("device", Device))
    models, results = Path("modelos/base", name), Path("resultados/pretrain", name)
    module, learns = store.network_module(config.network), config.source == "letters"
    names = letters.names() if learns else []
    arguments = config.model_dump(include={*module.ModelParams.model_fields})
    arguments |= {"classes": len(names) or 1, "shape": SHAPE}
    build, accuracies = partial(module.build, **arguments), []
    scaling = letters.scaling_for(module)
    settings = {"config": config.model_dump(), "seed": seed, "threads": threads, "device": device}
    saved = checkpoint.of_stage(key, [glyphs.FONT_FOLDER], **settings)
    for repeat in range(repeats):
        label, fit_seed = f"repeat {repeat + 1}", numerics.pretraining_seed(seed, repeat)
        if learns:
            with engine.threads(threads):
                network, accuracy = letters.pretrain(
                    build, config, fit_seed, device, saved, label, scaling
                )
            accuracies.append(accuracy)
            print(f"{name}: {accuracy:.4f} of the letters of unseen fonts recognised", flush=True)
        else:
            torch.manual_seed(numerics.weights_seed(fit_seed))
            network = build()  # nobody uses its head
        path, state = models / f"{repeat + 1}.pth", network.cpu().state_dict()
        store.save(path, config.network, arguments, scaling, names, state, config.source)

    facts = {"source": config.source, "network": config.network, "networks": repeats}
    facts |= {"sha256": files.sha256(models / "1.pth")}
    if learns:
        flops = config.images * store.count_operations(network, SHAPE).step
        facts |= {"images": config.images, "accuracy": accuracies, "flops": flops}
        facts |= letters.describe()
        dataset.save(results / "letters", letters.sample(numerics.pretraining_seed(seed)))
    files.write_json(results / "facts.json", facts)
    saved.remove()


if __name__ == "__main__":
    stage.run(pretrain)
