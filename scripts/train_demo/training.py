"""The training itself: L1, Adam, a cosine schedule, averaged weights, and a checkpoint to go on from."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from edgesr.errors import CheckpointError
from edgesr.models.vapsr import VapSR
from train_demo.network import training_network
from train_demo.patches import batch_at
from train_demo.pictures import Pair

WARM_UP = 200
FINAL_RATE = 1e-6
AVERAGING = 0.999
GRADIENT_LIMIT = 1.0


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """iterations: the whole schedule. side: of an LR patch, in pixels, a multiple of 3. workers: threads that share a batch."""

    checkpoint: Path
    iterations: int = 6_000
    seed: int = 0
    batch: int = 8
    side: int = 36
    rate: float = 1e-3
    workers: int = 1
    device: str = "cpu"
    save_every: int = 200


class Trainer:
    """Network, averaged weights, optimiser and step; begins where the checkpoint ends, if there is one."""

    def __init__(self, request: TrainingRequest, pairs: Sequence[Pair]) -> None:
        self.request = request
        self.pairs = pairs
        self.network: VapSR = training_network(seed=request.seed).to(request.device)
        self.parameters = list(self.network.parameters())
        self.average = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.optimizer = torch.optim.Adam(self.parameters, lr=request.rate, betas=(0.9, 0.99))
        self.step = 0
        if request.checkpoint.exists():
            self._load()

    def run(self, *, report: Callable[[int, float], None], stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the end and return True; or, once `stop` says so, save and return False. `report` gets step and loss."""
        # Threads with one core each, not one operation over all cores: they wait for each other once a step instead of at
        # every operation, which matters where other programs use the cores too.
        with ThreadPoolExecutor(self.request.workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            while self.step < self.request.iterations:
                loss = self._iterate(pool)
                report(self.step, loss)
                stopped = stop()
                if stopped or self.step % self.request.save_every == 0 or self.step == self.request.iterations:
                    self._save()
                if stopped:
                    return False
        return True

    def _iterate(self, pool: ThreadPoolExecutor) -> float:
        request = self.request
        low, high = batch_at(self.pairs, seed=request.seed, step=self.step, count=request.batch, side=request.side)
        shares = zip(low.chunk(request.workers), high.chunk(request.workers), strict=True)
        results = list(pool.map(self._share, shares))
        for index, parameter in enumerate(self.parameters):
            parameter.grad = torch.stack([gradients[index] for _, gradients in results]).sum(0)
        torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_LIMIT)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, iterations=request.iterations, peak=request.rate)
        self.optimizer.step()
        self.step += 1
        momentum = min(AVERAGING, self.step / (self.step + 10))
        for name, tensor in self.network.state_dict().items():
            self.average[name].lerp_(tensor, 1 - momentum)
        return sum(loss for loss, _ in results)

    def _share(self, share: tuple[Tensor, Tensor]) -> tuple[float, tuple[Tensor, ...]]:
        """One thread's part of the batch -> its part of the batch's mean loss and of the gradients."""
        low, high = (tensor.to(self.request.device) for tensor in share)
        loss = (self.network(low) - high).abs().mean() * (len(low) / self.request.batch)
        return float(loss.detach()), torch.autograd.grad(loss, self.parameters)

    def _save(self) -> None:
        state = {
            "seed": self.request.seed,
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        path = self.request.checkpoint
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def _load(self) -> None:
        path = self.request.checkpoint
        try:
            state: dict[str, Any] = torch.load(path, map_location=self.request.device, weights_only=True)
        except (RuntimeError, OSError, EOFError, UnpicklingError) as error:
            raise CheckpointError(f"{path} cannot be read as a checkpoint", hint="Delete it to begin anew.") from error
        if state["seed"] != self.request.seed:
            raise CheckpointError(
                f"{path} was begun with seed {state['seed']}, not {self.request.seed}",
                hint=f"Give --seed {state['seed']}, or another --output.",
            )
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, tensor in state["average"].items():
            self.average[name].copy_(tensor)


def rate_at(step: int, *, iterations: int, peak: float) -> float:
    """Learning rate: a linear warm-up, then half a cosine from `peak` down to FINAL_RATE."""
    warm = min((step + 1) / WARM_UP, 1.0)
    return warm * (FINAL_RATE + (peak - FINAL_RATE) * (1 + cos(pi * step / iterations)) / 2)
