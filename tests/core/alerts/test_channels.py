"""Mails make a thread; webhooks get fields to sort by; what fails says why and never where."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.alerts import Picture
from core.alerts.channels import AppriseChannel, MailChannel, without_secrets
from core.alerts.rendering import Rendering, lasted
from core.errors import ChannelUnavailable
from core.mail import KeptMail
from tests.core.alerts.conftest import NOW, an_alert

PICTURE = Picture(name="evidence", alt="Delivered by minute: 95 % until 14:03, then 71 %", png=b"\x89PNG picture")


@pytest.fixture
def mail() -> KeptMail:
    return KeptMail()


@pytest.fixture
def story(open_desk, mail, clock):
    """Tells opened, updated and resolved of one thing to a channel of mail."""
    rendering = Rendering("Asia/Shanghai")
    desk = open_desk(MailChannel("mail", mail, rendering, sender="H <h@example.org>", recipients=["ops@example.org"]))
    for minutes, event in ((0, "opened"), (10, "updated"), (34, "resolved")):
        clock.now = NOW + timedelta(minutes=minutes)
        desk.tell(
            an_alert(
                event, at=clock.now, title=f"Delivery drop, {event}", pictures=(PICTURE,), link="https://d.example.org/i",
                steps=("heliograph failover status",), facts=(("Since", "14:03"),),
            )
        ).result(10)  # fmt: skip
        desk.deliver()
    return mail.sent


def test_the_mails_of_one_thing_are_one_thread(story):
    first, *rest = story

    assert first["References"] is None
    assert {one["References"] for one in rest} == {one["In-Reply-To"] for one in rest} == {first["Message-ID"]}
    assert [one["Subject"] for one in story] == ["Delivery drop, opened", *["Re: Delivery drop, opened"] * 2]


def test_a_mail_says_how_it_stands_what_to_do_and_shows_the_evidence(story):
    html, text = (story[2].get_body((kind,)).get_content() for kind in ("html", "plain"))

    for part in (html, text):
        assert "Resolved after 34 minutes" in part
        assert "heliograph failover status" in part
        assert "2026-03-02 22:37:00 CST" in part
    assert 'src="cid:evidence"' in html
    assert PICTURE.alt in html
    assert [part["Content-ID"] for part in story[2].walk() if part.get_content_type() == "image/png"] == ["<evidence>"]


def test_text_from_the_data_cannot_act(open_desk, mail):
    rendering = Rendering("UTC")
    desk = open_desk(MailChannel("mail", mail, rendering, sender="h@example.org", recipients=["ops@example.org"]))
    desk.tell(an_alert(title="<img src=x>\nBcc: a@b", text="<script>", link="javascript:alert(1)")).result(10)
    desk.deliver()

    assert mail.sent[0]["Subject"] == "<img src=x> Bcc: a@b"
    assert "<script>" not in mail.sent[0].get_body(("html",)).get_content()
    assert "javascript" not in mail.sent[0].as_string()


def test_who_was_refused_for_now_gets_the_alert_later_and_holds_up_nobody(open_desk, mail, clock):
    desk = open_desk(MailChannel("mail", mail, Rendering("UTC"), sender="h@example.org", recipients=["ann@example.org", "bob@example.org"]))  # fmt: skip
    mail.refused = {"bob@example.org"}
    desk.tell(an_alert()).result(10)
    desk.deliver()
    desk.tell(an_alert("updated", title="worse", at=NOW + timedelta(seconds=1))).result(10)
    clock.advance(seconds=1)
    desk.deliver()  # too early for the first one
    mail.refused = set()
    for _ in range(3):
        clock.advance(seconds=600)
        desk.deliver()

    assert mail.reached == [["ann@example.org"], ["ann@example.org"], ["bob@example.org"], ["bob@example.org"]]
    assert mail.sent[0]["Message-ID"] == mail.sent[2]["Message-ID"]


def test_a_webhook_gets_title_text_and_fields(open_desk, webhook):
    desk = open_desk(AppriseChannel("hook", webhook.url, Rendering("UTC")))
    desk.tell(an_alert(labels={"component": "mysql"}, steps=("look",), pictures=(PICTURE,))).result(10)
    desk.deliver()

    (body,) = webhook.bodies
    assert body["title"] == "Opened: The primary store is down"
    assert "Codes are sent and checked on the backup." in body["message"]
    assert (body["key"], body["event"], body["severity"], body["label_component"]) == (
        "stores",
        "opened",
        "critical",
        "mysql",
    )
    assert (body["type"], body["attachments"][0]["filename"]) == ("failure", "evidence.png")


def test_a_webhook_that_refuses_is_tried_again_and_says_why_without_its_address(open_desk, webhook, clock):
    channel = AppriseChannel("hook", webhook.url, Rendering("UTC"))
    desk = open_desk(channel)
    webhook.status = 503
    desk.tell(an_alert()).result(10)
    desk.deliver()
    (told,) = desk.kept()
    reason = desk.passage(told, "hook").reason
    webhook.status = 200
    clock.advance(seconds=5)
    desk.deliver()

    assert "503" in reason
    assert "a-secret-token" not in reason
    assert len(webhook.bodies) == 1


def test_a_webhook_that_is_not_there_is_said_to_be_unavailable(desk):
    desk.tell(an_alert()).result(10)
    (told,) = desk.kept()
    channel = AppriseChannel("hook", "json://127.0.0.1:9/a-secret-token", Rendering("UTC"))

    with pytest.raises(ChannelUnavailable, match="onnection") as refused:
        channel.send(told)

    assert "heliograph alerts test hook" in refused.value.hint


def test_nothing_of_an_address_stays_in_a_reason():
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?token=very-secret"

    assert "TIiajkdnlazkcOXrIdevi7FQ" not in without_secrets(f"no answer from {url}", url)
    assert "very-secret" not in without_secrets(f"no answer from {url}", url)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.2, "less than a minute"), (1, "1 minute"), (34, "34 minutes"), (150, "2 h 30 min"), (3000, "2 days 2 h")],
)
def test_a_length_of_time_reads_well(minutes, words):
    assert lasted(timedelta(minutes=minutes)) == words
