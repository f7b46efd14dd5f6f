"""Small multilayer perceptron: the model's objectives without its graphs."""

import copy

import torch
from torch import Tensor, nn

from client.training.adamw import AdamW
from common.evaluation.predictions import Prediction
from common.tasks.task import Task
from simulations.baselines.tabular import Tables

WIDTH, DROPOUT, RATE, DECAY = 64, 0.5, 1e-3, 1e-2


BATCH, EPOCHS, PATIENCE, HELD_OUT_EVERY = 64, 200, 15, 5


def perceptron(
    task: Task, tables: Tables, labels: Tensor, labelled: Tensor, prepared: Tensor | None, seed: int
) -> Prediction:
    """Fit on the training rows with early stopping on a fifth of them; predict the test rows.

    Args:
        task: task of any kind.
        tables: [N, columns] and [P, columns].
        labels: [N, label columns] of the training rows.
        labelled: [N, label columns] bool.
        prepared: what the task's loss needs, such as ends of hazard intervals.
        seed: seed of initial weights, batches, dropout and the held-out fifth.
    """
    rows = torch.from_numpy(tables.train).float()

    def loss(chosen: Tensor) -> Tensor:
        return task.loss(network(rows[chosen]), labels[chosen], labelled[chosen], prepared).mean()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(rows))
        judged = torch.arange(len(rows)) % HELD_OUT_EVERY == 0
        held_out, fitted = order[judged], order[~judged]
        network = nn.Sequential(
            nn.Linear(rows.shape[1], WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, task.outputs)
        )
        optimiser = AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
        best, best_loss, waited = copy.deepcopy(network.state_dict()), float("inf"), 0
        for _ in range(EPOCHS):
            network.train()
            for batch in torch.split(fitted[torch.randperm(len(fitted))], BATCH):
                optimiser.zero_grad()
                loss(batch).backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                now = float(loss(held_out))
            if now < best_loss:
                best, best_loss, waited = copy.deepcopy(network.state_dict()), now, 0
            elif (waited := waited + 1) == PATIENCE:
                break
        network.load_state_dict(best)
        with torch.no_grad():
            return task.predict(network.eval()(torch.from_numpy(tables.test).float()), prepared)
