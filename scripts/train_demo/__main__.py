"""The command: scripts/train-demo [--iterations N] [--output FOLDER] [--asset FILE]; Ctrl-C, then the same command, goes on."""

import argparse
import os
import signal
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import save_file

from edgesr.errors import EdgesrError
from train_demo.pictures import training_pairs
from train_demo.training import Trainer, TrainingRequest

ROOT = Path(__file__).parents[2]
INTERRUPTED = 130


def main() -> int:
    """Train, and write the averaged weights; the exit code is 130 after Ctrl-C."""
    arguments = _arguments()
    console = Console()
    request = TrainingRequest(
        checkpoint=arguments.output / "checkpoint.pt",
        iterations=arguments.iterations,
        seed=arguments.seed,
        workers=arguments.workers if arguments.device == "cpu" else 1,
        device=arguments.device,
    )
    interrupted: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: interrupted.append(number))
    try:
        finished, trainer = _train(request, console, interrupted)
    except EdgesrError as error:
        console.print(str(error), style="red")
        return error.exit_code
    if not finished:
        console.print(f"Stopped at iteration {trainer.step}; the same command goes on from there.")
        return INTERRUPTED
    write_asset(trainer, arguments.asset)
    console.print(f"Wrote {arguments.asset} ({arguments.asset.stat().st_size / 1000:.0f} kB)")
    return 0


def write_asset(trainer: Trainer, path: Path) -> None:
    """The averaged weights as safetensors, under the reference's names, saying what they are; whole or not at all."""
    request = trainer.request
    training = (
        f"scripts/train-demo: {trainer.step} iterations of {request.batch} LR patches of {request.side}x{request.side}, seed "
        f"{request.seed}, L1, Adam {request.rate:g}, cosine, averaged weights; CC0 and public-domain photographs, drawings"
    )
    metadata = {"model": "vapsr-s", "scale": "4", "licence": "MIT", "training": training}
    weights = {name: tensor.cpu().contiguous() for name, tensor in trainer.average.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    save_file(weights, unfinished, metadata=metadata)
    unfinished.replace(path)


def _train(request: TrainingRequest, console: Console, interrupted: list[int]) -> tuple[bool, Trainer]:
    """Show a line with the smoothed loss, iterations per second and the time left."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as progress:
        task = progress.add_task("preparing pictures", total=None, state="")

        def prepared(stage: str, done: int = 0, total: int | None = None) -> None:
            progress.update(task, description=stage, completed=done, total=total)

        pairs = training_pairs(seed=request.seed, progress=prepared)
        trainer = Trainer(request, pairs)
        progress.remove_task(task)
        task = progress.add_task("training", total=request.iterations, completed=trainer.step, state="")
        smooth = 0.0

        def report(step: int, loss: float) -> None:
            nonlocal smooth
            smooth = smooth * 0.99 + loss * 0.01 if smooth else loss
            speed = progress.tasks[0].speed or 0.0
            progress.update(task, completed=step, state=f"L1 {255 * smooth:.2f}/255  {speed:.1f} it/s")
            if step % request.save_every == 0 and not console.is_terminal:
                console.print(f"{step}/{request.iterations}  L1 {255 * smooth:.3f}/255  {speed:.2f} it/s", highlight=False)

        return trainer.run(report=report, stop=lambda: bool(interrupted)), trainer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/train-demo", description="Train the demo weights: vapsr-s ×4.")
    parser.add_argument("--iterations", type=int, default=6_000, help="length of the whole schedule (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "train-output", help="folder of the checkpoint to go on from")
    parser.add_argument(
        "--asset", type=Path, default=ROOT / "edgesr" / "assets" / "vapsr-s-x4-demo.safetensors", help="the result"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first weights, the drawings and the patches")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=min(os.cpu_count() or 1, 8), help="threads on a CPU (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
