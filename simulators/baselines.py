"""Run a simulated building under its own control: business as usual, or what the code asks for. No wire, no optimiser."""

from typing import Any

from simulators.plant import Plant
from simulators.score import Score


def run_baseline(plant: Plant) -> Score:
    """Step the plant through its period with its own schedule and close it."""
    try:
        step: Any = plant.reset()
        while step is not None:
            step = plant.step(plant.own_schedule(step.at))
        return plant.score()
    finally:
        plant.close()


def score_as_json(score: Score) -> dict[str, Any]:
    """The key figures as the journal's `reference` and `score` entries and the command line print them."""
    return {
        "energy_kwh": {name: round(value, 3) for name, value in score.energy_kwh.items()},
        "end_uses_kwh": {name: round(value, 3) for name, value in score.end_uses_kwh.items()},
        "comfort": {name: round(value, 3) for name, value in score.comfort.items()},
        "person_hours": round(score.person_hours, 1),
        "fan_starts": score.fan_starts,
        "peak_kw": round(score.peak_kw, 2),
        "power_kw": [round(value, 3) for value in score.power_kw],
    }
