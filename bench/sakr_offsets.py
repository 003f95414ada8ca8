"""Does Sakr and Shanbhag's assignment hold what it promises? C_o, C_o - 1 and C_o + 1 against float32, several seeds.

Fashion-MNIST averaged to 16x16, six layers without normalisation. For each seed the precisions are measured on one
floating point training; then the same initial weights are trained in float32 and under each offset, on the same
batches, and tested on all 10,000 images. Every result is appended to the file at once; what it holds is not run again.

    python bench/sakr_offsets.py --data-dir DATA --out sakr_offsets.jsonl
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim import data
from fxsim.bench.machine import Machine
from fxsim.data import Dataset
from fxsim.policies.sakr import Assignment, Sakr
from fxsim.train.convert_for import convert_for
from fxsim.train.presentation import present
from fxsim.train.recipe import recipe_for
from fxsim.train.sakr import prepare
from fxsim.train.surgery import reshape

VARIANTS = {"float32": None, "C_o": 0, "C_o − 1": -1, "C_o + 1": 1}

Batches = Iterator[tuple[Tensor, Tensor]]


def net() -> nn.Module:
    """C16-C24-MP-C32-C48-MP-FC64-FC10."""
    layers: list[nn.Module] = []
    for c_in, c_out in ((1, 16), (16, 24), (24, 32), (32, 48)):
        layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.ReLU()]
        if c_out in (24, 48):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 16, 64), nn.ReLU(), nn.Linear(64, 10))


def batches(dataset: Dataset, steps: int, batch_size: int, seed: int) -> Batches:
    """The training batches of a seed."""
    done, epoch = 0, 0
    while done < steps:
        for x, y in data.batches(dataset, "train", batch_size, seed=seed, epoch=epoch):
            yield shown(x, dataset), y
            done += 1
            if done == steps:
                return
        epoch += 1


def shown(x: Tensor, dataset: Dataset) -> Tensor:
    """Pixels in [0, 2), averaged to 16x16."""
    return F.avg_pool2d(present(x, dataset, "zero_to_two"), 2)


def accuracy(model: nn.Module, dataset: Dataset) -> float:
    """On all test images."""
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in data.batches(dataset, "test", 500):
            correct += int((model(shown(x, dataset)).argmax(1) == y).sum())
    return correct / len(dataset.test_y)


def trained(policy: Sakr | None, initial: nn.Module, rates: list[float], given: Batches) -> nn.Module:
    """A copy of the net, trained under the policy, or in float32 with the policy's activations."""
    model = copy.deepcopy(initial)
    rule = fx.policies.Float32() if policy is None else policy
    if policy is None:
        reshape(Sakr(), model)
    else:
        model = convert_for(policy, model)
    optimizer = torch.optim.SGD(model.parameters(), lr=rates[0])
    run = fx.attach(rule, model, optimizer, total_steps=len(rates))
    model.train()
    for rate, (x, y) in zip(rates, given, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(x), y)
        torch.autograd.backward(loss)
        run.step(loss.detach())
        optimizer.step()
        optimizer.zero_grad()
    return model


def measured(arguments: argparse.Namespace, dataset: Dataset, done: dict[tuple[int, str], dict[str, object]]) -> None:
    """Run what is missing."""
    recipe = recipe_for("sakr", "lenet5")
    rates = [recipe.learning_rate_at(step, arguments.steps) for step in range(arguments.steps)]

    def given(seed: int) -> Batches:
        return batches(dataset, arguments.steps, arguments.batch_size, seed)

    for seed in range(arguments.seeds):
        torch.manual_seed(seed)
        initial = net()
        text = next((str(each["assignment"]) for (s, _), each in done.items() if s == seed), "")
        for name, offset in VARIANTS.items():
            if (seed, name) in done:
                continue
            if not text:
                text = prepare(Sakr(), initial, given(seed), rates=rates).to_text()
            policy = None if offset is None else Sakr(Assignment.from_text(text), offset=offset)
            result = accuracy(trained(policy, initial, rates, given(seed)), dataset)
            line = {"seed": seed, "variant": name, "accuracy": result, "assignment": text}
            done[seed, name] = line
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(f"seed {seed}, {name}: {100 * result:.2f} %", flush=True)


def table(done: dict[tuple[int, str], dict[str, object]], seeds: int) -> str:
    """In Markdown: each seed, mean and spread, and the difference from float32, seed by seed."""
    found = {name: [100 * float(str(done[seed, name]["accuracy"])) for seed in range(seeds)] for name in VARIANTS}
    head = ["", *(f"seed {seed}" for seed in range(seeds)), "mean", "deviation", "mean of the differences from float32"]
    lines = [head, ["---"] * len(head)]
    for name, values in found.items():
        apart = [a - b for a, b in zip(values, found["float32"], strict=True)]
        gain = "" if name == "float32" else f"{statistics.mean(apart):+.2f} ± {statistics.stdev(apart):.2f}"
        figures = [*values, statistics.mean(values), statistics.stdev(values)]
        lines.append([name, *(f"{each:.2f}" for each in figures), gain])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder that holds FashionMNIST/raw")
    parser.add_argument("--out", type=Path, required=True, help="file of results, appended to")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3, help="2 or more")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = data.load("fashion-mnist", arguments.data_dir)
    lines = arguments.out.read_text(encoding="utf-8").splitlines() if arguments.out.exists() else []
    done = {(each["seed"], each["variant"]): each for each in map(json.loads, lines)}
    measured(arguments, dataset, done)
    print(f"{arguments.steps} steps of {arguments.batch_size} images; {Machine.current()}.\n")
    print(table(done, arguments.seeds))
    for seed in range(arguments.seeds):
        print(f"\nseed {seed}: {done[seed, 'C_o']['assignment']}")


if __name__ == "__main__":
    main()
