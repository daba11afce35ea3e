"""The strategies on EnergyPlus, without wires: a hot and humid day of the demonstration office, judged on energy and comfort together."""

import pytest

from controls.forecast import OccupancyForecast
from controls.guard import GuardState, guard
from controls.strategies import find_strategies
from simulators.opening import open_plant
from simulators.score import Score, comfort_failures, saved_percent
from twin.graph import Graph
from twin.points import read_points
from twin.site import find_site, load_site
from twin.words import Image, Reading


def one_day(variant: str, controlled: bool = False) -> Score:
    """The site's first day under its own control of that variant, or with the strategies on top of it."""
    pytest.importorskip("pyenergyplus", reason="EnergyPlus is not installed here")
    site = load_site(find_site("demo_office"))
    graph = Graph.read(site.twin_file)
    book = read_points(site.points_file, graph.points())
    strategies = find_strategies(graph, site, OccupancyForecast.assumed(site.zone)) if controlled else []
    state = GuardState.at_start(graph, site)
    plant = open_plant(site, graph, engine="energyplus", variant=variant)
    try:
        step = plant.reset()
        while step is not None:
            image = Image(step.at, {p: Reading(p, step.at, v) for p, v in step.readings.items()})
            wishes = [wish for strategy in strategies for wish in strategy.propose(image, step.at)]
            guarded = guard(wishes, book, image, state, step.at)
            state = guarded.state
            ruled = {r.point: r.value for r in guarded.requests if r.value is not None}
            step = plant.step(plant.own_schedule(step.at) | ruled)
        return plant.score()
    finally:
        plant.close()


def test_a_hot_humid_day_saves_a_fifth_against_the_code_with_comfort_kept() -> None:
    bau, code, controlled = one_day("bau"), one_day("code"), one_day("bau", controlled=True)

    assert comfort_failures(controlled.comfort, bau.comfort) == []
    assert saved_percent(controlled, code) >= 20  # 23.8 when written; 15 is what the product promises
    assert saved_percent(controlled, bau) >= 25
    assert controlled.fan_starts <= 2 * 3
