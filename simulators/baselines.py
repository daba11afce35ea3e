"""Run a simulated building under its own control: business as usual, or what the code asks for. No wire, no optimiser."""

from datetime import datetime
from typing import Any

from simulators.plant import Plant, Step
from simulators.score import Score


def run_baseline(plant: Plant) -> tuple[datetime, Score, dict[str, float]]:
    """Step the plant through its period with its own schedule and close it; returns the first moment, the score and the design values."""
    try:
        step: Step | None = plant.reset()
        assert step is not None
        first = step.at
        while step is not None:
            step = plant.step(plant.own_schedule(step.at))
        return first, plant.score(), plant.design()
    finally:
        plant.close()


def score_as_json(score: Score) -> dict[str, Any]:
    """The key figures with the power of every step (mean electric kW)."""
    return {
        **score.as_row(),
        "end_uses_kwh": {name: round(value, 3) for name, value in score.end_uses_kwh.items()},
        "person_hours": round(score.person_hours, 1),
        "power_kw": [round(value, 3) for value in score.power_kw],
    }
