"""Every page of the dashboard: where it is, and what shows that it was drawn, with data and without."""

from __future__ import annotations

WITH_DATA = {
    "": "Data until",
    "carriers": "All carriers in this range",
    "providers": "What goes wrong",
    "regions": "By region",
    "funnel": "Why they were lost",
    "incidents": "Open now (1)",
    "incidents?incident=one": "What to do",
    "messages": "Choose a row to read its story",
    "operations": "What arrives",
    "reports": "No report was sent yet",
}

WITHOUT_DATA = {
    "": "There is no data yet",
    "carriers": "There is no data yet",
    "providers": "There is no data yet",
    "regions": "There is no data yet",
    "funnel": "There is no data yet",
    "incidents": "Nothing is broken at the moment",
    "incidents?incident=one": "No incident has this id",
    "messages": "There is no data yet",
    "operations": "No event in this range",
    "reports": "No report was sent yet",
}

OF_THE_WAREHOUSE = [place for place in WITH_DATA if place != "reports"]
