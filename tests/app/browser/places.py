"""Every page of the dashboard: where it is, and what shows that it was drawn, with data, without, and as a link asks for."""

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
    "reports": "Quality of 2026-03-02",
}

WITHOUT_DATA = {
    "": "There is no data yet",
    "carriers": "There is no data yet",
    "providers": "There is no data yet",
    "regions": "There is no data yet",
    "funnel": "There is no data yet",
    "incidents": "No minute was judged yet",
    "incidents?incident=one": "No incident has this id",
    "messages": "There is no data yet",
    "operations": "No event in this range",
    "reports": "No report was sent yet",
}

OF_THE_WAREHOUSE = [place for place in WITH_DATA if place != "reports"]

AS_LINKED = {
    "?range=6h&compare=day&tz=Asia/Shanghai": ("6 hours", "yesterday at this age 9", "(Asia/Shanghai)"),
    "overview?range=6h&provider=beacon": ("6 hours", "Data until", "Provider: beacon"),
    "carriers?range=7d&metric=fill_rate&split=carrier&bucket=6h&carrier=O2": (
        "7 days",
        "Of the codes that went out",
        "One point stands for 6 hours",
        "Carrier: O2",
    ),
    "providers?range=7d&metric=fill_rate&provider=beacon": ("7 days", "Of the codes that went out", "Provider: beacon"),
    "regions?range=7d&metric=fill_rate&country=DE": ("7 days", "Of the codes that went out", "Country: DE"),
    "funnel?range=7d&split=carrier&tz=Asia/Shanghai": ("7 days", "By carrier", "(Asia/Shanghai)"),
    "incidents?range=7d&provider=beacon": ("7 days", "No incident between", "Provider: beacon"),
    "incidents?range=7d&incident=one": ("7 days", "What to do"),
    "messages?range=7d&show=troubled&carrier=O2": ("7 days", "Choose a row to read its story", "Carrier: O2"),
    "operations?range=7d": ("7 days", "99 %", "What arrives"),
    "reports?report=daily-2026-03-01-0123456789abcdef": ("", "Quality of 2026-03-01"),
    "reports?preview=2026-03-04&of=weekly": ("", "week of 2 Mar", "No message was submitted during this week"),
}
"""The range that is chosen, and what else has to be seen."""

DOWNLOADS = {
    "": (
        "Download the ten metrics",
        "metric,unit,value,p95,n,settled,week_before,week_before_n,day_before,day_before_n",
    ),
    "carriers": ("Download this table", "carrier,value,n,settled,volume"),
    "providers": ("Download this table", "provider,value,n,settled,volume"),
    "providers?compare=day": (
        "Download this table",
        "provider,value,n,settled,volume,day_before,day_before_n,day_change,day_judged",
    ),
    "regions": ("Download the countries", "country,value,n,settled,volume"),
    "funnel": ("Download the causes", "step,what,error_class,provider,error_code,lost"),
    "incidents": ("Download this list", "state,name,where,since,lasted,"),
    "incidents?incident=one": ("Download the minutes", "minute,channel,expected,observed,low,high,n"),
    "messages": ("Download this list", "request_id,attempt,submitted_at,"),
    "operations": ("Download the changes", "at,component,old,new,reason,"),
    "reports": ("Download as HTML", "<p>in pictures</p>"),
}
"""The button, and how what comes begins."""
