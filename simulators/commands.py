"""The command `demo`: the whole product once."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from simulators.demo import LIVE_DAYS, Demo, Wish
from simulators.preparing import Period

TABLE = """
{site}, {plant}, {days} day(s) from {start}, seed {seed}            (against simulated baselines)
                      business as usual      code   controlled   saved against b.a.u. / code
whole building, kWh   {whole[bau_kwh]:>17.0f} {whole[code_kwh]:>9.0f} {whole[controlled_kwh]:>12.0f}   \
{whole[saved_vs_bau_percent]:>14.1f} % / {whole[saved_vs_code_percent]:.1f} %
HVAC and light, kWh   {hvac_light[bau_kwh]:>17.0f} {hvac_light[code_kwh]:>9.0f} {hvac_light[controlled_kwh]:>12.0f}   \
{hvac_light[saved_vs_bau_percent]:>14.1f} % / {hvac_light[saved_vs_code_percent]:.1f} %"""


def demo(
    site: Annotated[str, typer.Option(help="a simulated site's name below sites/, or its folder")] = "demo_office",
    days: Annotated[int | None, typer.Option(min=1, max=365, help=f"simulated days; 1 with --headless, else {LIVE_DAYS}")] = None,
    start: Annotated[str | None, typer.Option(help="first day, MM-DD; default: the site's plant.toml")] = None,
    seed: Annotated[int, typer.Option(help="draws the people")] = 1,
    plant: Annotated[str | None, typer.Option(help="rc or energyplus; default: the site's plant.toml")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="no pages, as fast as it goes")] = False,
    speed: Annotated[float, typer.Option(min=1, max=3600, help="simulated seconds a second, with pages")] = 60.0,
    port: Annotated[int, typer.Option(min=1, max=65535, help="of the control room; the inspector's pages take the next one")] = 8050,
    state: Annotated[
        str | None, typer.Option("--state", help="an empty folder to keep state in; default: a new one, which is named")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on standard output")] = False,
) -> None:
    """Import, bind, simulate, control over the real wires, seal, verify, and show it."""
    folder = Path(state).expanduser().absolute() if state else Path(tempfile.gettempdir()) / f"wattproof-demo-{_stamp()}"
    period = Period(start, days or (1 if headless else LIVE_DAYS), seed, plant)
    result = Demo(Wish(site, period, folder, headless, speed, port, port + 1), _say).run()
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
        return
    if "energy" in result:
        _say(TABLE.format(**result, **result["energy"], **result["period"]))
        _say("comfort and saving as wanted" if not result["failed"] else "fell short: " + "; ".join(result["failed"]))
    for group in result["ledger"]["groups"]:
        _say(f"{group['owner']}: {group['size']} entries, cosigned by {', '.join(group['cosigned_by']) or 'nobody yet'}")
        _say(f"  wattproof verify {group['bundle']} --trust {group['trust']}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stamp() -> str:
    from twin.clock import wall_now

    return wall_now().strftime("%Y%m%d-%H%M%S-%f")
