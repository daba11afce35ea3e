"""Grids: AG Grid with one set of options, words in the page's language, rows known by their id."""

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag

Column = Mapping[str, Any]


def column(field: str, head: str, width: int | None = None, **more: Any) -> Column:
    """One column; without a width it takes what room is left."""
    size = {"width": width} if width else {"flex": 1, "minWidth": 120}
    return {"field": field, "headerName": head, "tooltipField": field, **size, **more}


def numeric(field: str, head: str, width: int) -> Column:
    """A column of numbers, set to the right."""
    return column(field, head, width, type="rightAligned", cellClass="num")


def grid(name: str, columns: Sequence[Column], words: Mapping[str, str], *, height_px: int = 320, selectable: bool = False) -> Any:
    """A grid whose rows the live loop fills; `tone` of a row gives its look (stale, bad, quiet)."""
    options: dict[str, Any] = {
        "animateRows": False,
        "rowHeight": 28,
        "headerHeight": 32,
        "suppressCellFocus": False,
        "tooltipShowDelay": 400,
        "enableCellTextSelection": True,
        "localeText": {"noRowsToShow": words["nothing"]},
        "rowClassRules": {f"row-{tone}": f"params.data.tone == '{tone}'" for tone in ("stale", "bad", "quiet", "alert")},
    }
    if selectable:
        options["rowSelection"] = {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True}
    return dag.AgGrid(
        id=name,
        rowData=[],
        columnDefs=list(columns),
        getRowId="params.data.id",
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "filter": True,
            "suppressHeaderFilterButton": True,
            "suppressHeaderMenuButton": False,
        },
        dashGridOptions=options,
        className="ag-theme-quartz grid",
        style={"height": f"{height_px}px"},
    )
