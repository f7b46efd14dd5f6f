"""Columns as a test gives them, and federations of such columns."""

import torch

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch


def one_number() -> Federation:
    """A federation of one numeric feature and no survival."""
    return Federation.model_validate(
        {
            "name": "one",
            "modalities": [{"name": "rna", "node": "gene", "columns": ["G"]}],
            "tasks": [{"kind": "response", "name": "r", "label": "r", "classes": ["0", "1"]}],
            "participants": [{"name": "a"}],
        }
    )


def numbers(values: list[float]) -> PatientBatch:
    column = torch.tensor(values, dtype=torch.float32)[:, None]
    return PatientBatch({"rna": column}, {"rna": torch.ones_like(column, dtype=torch.bool)}, {}, {})


def mixed_federation(columns: int, least: int) -> Federation:
    """Numeric columns, and a category of three levels and one of two."""
    modality = {
        "name": "rna",
        "node": "gene",
        "columns": [f"G{number}" for number in range(columns)],
        "categories": {"stage": ["a", "b", "c"], "sex": ["f", "m"]},
    }
    return Federation.model_validate(
        {
            "name": "one",
            "modalities": [modality],
            "tasks": [{"kind": "response", "name": "r", "label": "r", "classes": ["0", "1"]}],
            "statistics": {"minimum_count": least},
            "participants": [{"name": "a"}],
        }
    )


def batch_of(values: torch.Tensor, observed: torch.Tensor) -> PatientBatch:
    return PatientBatch({"rna": values.float()}, {"rna": observed}, {}, {})
