"""Sent reports can be listed and looked at without the program that sent them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

from core.archive import content_of, sent_reports
from core.mail import Attachment, Inline, Letter, compose

AT = datetime(2026, 3, 3, 8, tzinfo=UTC)


def keep(folder, name: str, *, sent: bool = True) -> None:
    letter = Letter(
        name=name,
        subject=f"news of {name}",
        text="text",
        html='<img src="cid:a"><img src="cid:ab">',
        at=AT,
        pictures=(Inline("a", b"one"), Inline("ab", b"two")),
        attachments=(Attachment("figures.csv", b"\xef\xbb\xbfa,b"),),
    )
    mail = compose(letter, sender="h@example.org", recipients=["a@example.org", "b@example.org"])
    (folder / name).mkdir(parents=True)
    (folder / name / "mail.eml").write_bytes(mail.as_bytes())
    if sent:
        (folder / name / "sent.json").write_text(json.dumps({"at": AT.isoformat()}))


def test_reports_that_were_sent_are_listed_the_latest_first(tmp_path):
    keep(tmp_path, "daily-2026-03-01-aa")
    keep(tmp_path, "weekly-2026-03-02-bb")
    keep(tmp_path, "daily-2026-03-03-cc", sent=False)
    (tmp_path / "daily-2026-03-04-dd").mkdir()
    found = sent_reports(tmp_path)

    assert [(one.kind, one.begins, one.recipients) for one in found] == [
        ("weekly", date(2026, 3, 2), 2),
        ("daily", date(2026, 3, 1), 2),
    ]
    assert (found[0].subject, found[0].sent_at) == ("news of weekly-2026-03-02-bb", AT)


def test_a_report_is_a_page_with_its_pictures_inside(tmp_path):
    keep(tmp_path, "daily-2026-03-01-aa")

    content = content_of(tmp_path, "daily-2026-03-01-aa")

    assert content is not None
    assert "cid:" not in content.html
    assert content.html.count("data:image/png;base64,") == 2
    assert content.files == {"figures.csv": b"\xef\xbb\xbfa,b"}


def test_what_is_not_there_is_nothing_and_no_way_leads_out_of_the_folder(tmp_path):
    keep(tmp_path / "outside", "daily-2026-03-01-aa")

    assert sent_reports(tmp_path / "nowhere") == []
    assert content_of(tmp_path / "inside", "../outside/daily-2026-03-01-aa") is None
    assert content_of(tmp_path, "daily-2026-03-01-zz") is None
