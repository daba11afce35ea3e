"""What a site brings into its group: the meters its claims rest on, from the twin, and the contracts the group is founded with."""

from collections.abc import Mapping, Sequence
from typing import Any

from ledger.carbon.claims import MeterTerm, Terms
from ledger.contracts.policies import policy
from twin.graph import Graph
from twin.site import Site

POWER_FACTOR_PERCENT = 95  # a transformer's kVA carry this share as kW; a site with poor compensation has a lower one
WH_UNITS = ("W-HR",)
METER_TERMS: Mapping[tuple[str, str], tuple[int, str]] = {
    # Brick class of meter and of its register -> scope and fuel; other electrical meters are sub-meters: told, not counted again
    ("Building_Electrical_Meter", "Electric_Energy_Sensor"): (2, ""),
    ("Electrical_Meter", "Electric_Energy_Sensor"): (0, ""),
    ("Building_Gas_Meter", "Natural_Gas_Usage_Sensor"): (1, "natural_gas"),
}


def terms_of(site: Site, graph: Graph) -> Terms:
    """What the site's emission claims rest on: its grid region and its energy meters, from the twin."""
    return Terms(site.name, site.grid_region, tuple(_meter_terms(graph.ask("meters"))))


def _meter_terms(rows: Sequence[Mapping[str, str]]) -> list[MeterTerm]:
    found = {}
    for row in rows:
        term = METER_TERMS.get((row["class"], row.get("point_class", "")))
        if term and row.get("unit", "") in WH_UNITS:
            found[row["point"]] = MeterTerm(row["point"], *term)
    return [found[point] for point in sorted(found)]


def group_policies(sites: Sequence[tuple[Site, Terms]]) -> list[dict[str, Any]]:
    """The contracts a group with these sites is founded with: who may command, registers of every meter, load of every main meter."""
    metering = {site.name: {meter.point: 0 for meter in terms.meters} for site, terms in sites}
    overload = {}
    for site, terms in sites:
        for meter in terms.meters:
            if meter.scope == 2:
                overload[site.name] = {"energy": meter.point, "limits_w": limits_w(site)}
    return [policy("authority", {}), policy("metering", {"sites": metering}), policy("overload", {"sites": overload})]


def limits_w(site: Site) -> dict[str, int]:
    """The site's load limits in W; 0 is not watched."""
    return {"contract": round(site.contract_demand_kw * 1000), "transformer": round(site.transformer_kva * 10) * POWER_FACTOR_PERCENT}
