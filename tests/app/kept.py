"""A report as the scheduler keeps it in its folder."""

from __future__ import annotations

import json
from datetime import date
from email.message import EmailMessage
from pathlib import Path


def keep_report(folder: Path, day: date) -> None:
    place = folder / f"daily-{day}-0123456789abcdef"
    place.mkdir(parents=True)
    mail = EmailMessage()
    mail["To"], mail["Subject"] = "operators@heliograph.example", f"Quality of {day}"
    mail.set_content("in words")
    mail.add_alternative("<p>in pictures</p>", subtype="html")
    (place / "mail.eml").write_bytes(bytes(mail))
    (place / "sent.json").write_text(json.dumps({"at": f"{day}T08:00:00+00:00"}))
