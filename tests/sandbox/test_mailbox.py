"""The mailbox as a real process: what goes in by SMTP can be read on the page, and harms nobody there."""

from __future__ import annotations

import shutil
import smtplib
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from litestar.testing import TestClient
from playwright.sync_api import expect, sync_playwright

from core.clock import ManualClock
from sandbox.children import Process, http_answers, launch, wait_until_ready
from sandbox.errors import MailMissing, ProcessDied
from sandbox.mailbox.store import MailFolder, take_apart
from sandbox.mailbox.web import create_app
from sandbox.ports import free_ports
from tests.support.servers import require_server

SLOW_MS = 45_000
_MAIL_BYTES_MAX = 100_000
_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_ID = "20260301T120000.000000Z-00000000"


@dataclass
class Mailbox:
    folder: Path
    smtp_port: int
    client: httpx.Client

    def send(self, message: EmailMessage, *, recipients: list[str] | None = None) -> str:
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=10) as server:
            server.send_message(message, "bounce@example.org", recipients or ["ops@example.org"])
        return str(self.client.get("/mails.json").json()[0]["id"])


def process(folder: Path, *, smtp_port: int, http_port: int) -> Process:
    options = {"smtp-port": smtp_port, "http-port": http_port, "folder": folder, "mail-bytes-max": _MAIL_BYTES_MAX}
    return Process(
        name="mailbox",
        argv=[sys.executable, "-m", "sandbox.mailbox", *(f"--{name}={value}" for name, value in options.items())],
        is_ready=http_answers(f"http://127.0.0.1:{http_port}/healthz"),
        ports=[smtp_port, http_port],
    )


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    folder = tmp_path_factory.mktemp("mailbox")
    smtp_port, http_port = free_ports(2)
    child = launch(process(folder / "mails", smtp_port=smtp_port, http_port=http_port), folder)
    try:
        wait_until_ready(child)
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}") as client:
            yield Mailbox(folder / "mails", smtp_port, client)
    finally:
        child.stop()


def mail(subject: str = "Quality report", *, text: str = "All is well", html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Heliograph <reports@example.org>", "ops@example.org"
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def test_an_empty_mailbox_says_where_to_send(tmp_path: Path):
    with TestClient(create_app(MailFolder(tmp_path), smtp_address="127.0.0.1:2525")) as client:
        page = client.get("/").text

    assert "No mail yet" in page
    assert "127.0.0.1:2525" in page


def test_a_mail_is_kept_as_it_came_under_its_envelope_for_the_owner_only(mailbox: Mailbox):
    message = mail("送达率 97 %")
    mail_id = mailbox.send(message)
    path = mailbox.folder / f"{mail_id}.eml"

    envelope, _, rest = path.read_bytes().partition(b"Subject:")
    assert envelope == b"Return-Path: <bounce@example.org>\r\nDelivered-To: ops@example.org\r\n"
    assert rest.endswith(b"\r\n\r\nAll is well\r\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert mailbox.client.get(f"/mails/{mail_id}/raw").content == path.read_bytes()
    assert mailbox.client.get(f"/mails/{mail_id}/download").headers["content-type"].startswith("message/rfc822")


def test_the_list_is_newest_first_with_local_time_and_utc(tmp_path: Path):
    clock = ManualClock(_NOON)
    folder = MailFolder(tmp_path, clock=clock)
    for subject in ("older", "newer"):
        folder.add(bytes(mail(subject)), envelope_from="", envelope_to=["ops@example.org"])
        clock.advance(seconds=1)
    app = create_app(folder, smtp_address="", zone=ZoneInfo("Asia/Shanghai"))
    with TestClient(app) as client:
        page = client.get("/").text

    assert page.index("newer") < page.index("older")
    assert "2026-03-01 20:00:00 CST" in page
    assert "2026-03-01 12:00:00 UTC" in page
    assert folder.list(limit=1)[0].received_at == _NOON + timedelta(seconds=1)


def test_two_mails_of_the_same_microsecond_are_both_kept(tmp_path: Path):
    folder = MailFolder(tmp_path, clock=ManualClock(_NOON))
    ids = {folder.add(bytes(mail()), envelope_from="", envelope_to=[]) for _ in range(2)}

    assert set(folder.ids()) == ids
    assert len(ids) == 2


def test_a_page_shows_pictures_attachments_and_text(mailbox: Mailbox):
    message = mail(text="plain words", html="<!doctype html><p>rich words<img src='cid:chart@example.org'></p>")
    message.get_payload()[1].add_related(b"\x89PNG", "image", "png", cid="<chart@example.org>")
    message.add_attachment(b"a,b\r\n1,2\r\n", maintype="text", subtype="csv", filename="日报.csv")
    mail_id = mailbox.send(message)
    page = mailbox.client.get(f"/mails/{mail_id}").text
    html = mailbox.client.get(f"/mails/{mail_id}/html").text
    [attached] = [
        part for part in take_apart(mail_id, (mailbox.folder / f"{mail_id}.eml").read_bytes()).parts if part.attached
    ]
    download = mailbox.client.get(f"/mails/{mail_id}/parts/{attached.index}")

    assert "plain words" in page
    assert "日报.csv" in page
    assert html.startswith('<!doctype html><base target="_blank"><p>rich words')
    assert "data:image/png;base64,iVBORw==" in html
    assert download.content == b"a,b\r\n1,2\r\n"
    assert download.headers["content-disposition"] == "attachment; filename*=UTF-8''%E6%97%A5%E6%8A%A5.csv"


def test_the_html_of_a_mail_is_forbidden_to_run_or_fetch_anything(mailbox: Mailbox):
    mail_id = mailbox.send(mail(html="<script>alert(1)</script>"))
    policy = mailbox.client.get(f"/mails/{mail_id}/html").headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert "sandbox" in policy


def test_what_a_mail_says_of_itself_cannot_become_markup(mailbox: Mailbox):
    message = mail("<script>alert(1)</script>", text="</pre><script>alert(2)</script>")
    message.add_attachment(b"", maintype="text", subtype="csv", filename='"><script>alert(3)</script>.csv')
    mail_id = mailbox.send(message)
    pages = mailbox.client.get("/").text + mailbox.client.get(f"/mails/{mail_id}").text

    assert "<script>alert" not in pages
    assert "&lt;script&gt;alert(3)" in pages


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no headers at all",
        b"\x00\xff\xfe",
        b"Subject: =?utf-8?B?!!!?=\r\nFrom: <<<\r\nTo: @@\r\nDate: never\r\n\r\nbody",
        b"Content-Type: text/html; charset=no-such-charset\r\n\r\n<p>kept</p>",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: image/png\r\n\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n***",
        b'Content-Type: text/plain; charset="a\x00b"\r\n\r\nbody',
        b"From: \xe9\xa8\r\nSubject: raw \xff bytes\r\nContent-ID: <\r\nContent-Disposition: ;;=\r\n\r\nbody",
    ],
)
def test_a_broken_mail_is_shown_as_far_as_it_can_be_read(content: bytes, tmp_path: Path):
    folder = MailFolder(tmp_path)
    mail_id = folder.add(content, envelope_from="bounce@example.org", envelope_to=["ops@example.org"])
    with TestClient(create_app(folder, smtp_address="")) as client:
        answers = [client.get(path) for path in ("/", f"/mails/{mail_id}", f"/mails/{mail_id}/raw")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "bounce@example.org" in answers[1].text


def test_a_mail_that_defeats_the_parser_is_shown_as_its_source_and_the_others_are_listed(tmp_path: Path):
    folder = MailFolder(tmp_path)
    folder.add(bytes(mail("sound")), envelope_from="", envelope_to=[])
    source = b"Content-Disposition: attachment; filename*=\x00''x\r\n\r\nstill here"
    mail_id = folder.add(source, envelope_from="", envelope_to=[])

    assert [summary.subject for summary in folder.list(limit=10)] == ["(damaged mail)", "sound"]
    assert "still here" in (folder.get(mail_id).text or "")


@pytest.mark.parametrize("path", ["/mails/nope", f"/mails/{_ID}", "/mails/..%2f..%2fetc%2fpasswd", "/nothing"])
def test_what_is_not_there_is_said_with_the_way_back(mailbox: Mailbox, path: str):
    answer = mailbox.client.get(path)

    assert answer.status_code == 404
    assert "All mails" in answer.text


def test_an_id_never_leaves_the_folder(tmp_path: Path):
    (tmp_path / "secret.eml").write_text("secret")
    with pytest.raises(MailMissing):
        MailFolder(tmp_path / "mails").raw("../secret")


def test_a_mail_too_large_is_refused_and_the_next_is_taken(mailbox: Mailbox):
    before = len(mailbox.client.get("/mails.json").json())
    with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=10) as server:
        server.ehlo()
        assert server.esmtp_features["size"] == str(_MAIL_BYTES_MAX)
        server.mail("bounce@example.org")
        server.rcpt("ops@example.org")
        code, text = server.data(b"x\r\n" * _MAIL_BYTES_MAX)

    assert (code, text) == (552, b"Error: Too much mail data")
    mailbox.send(mail("after"))
    assert len(mailbox.client.get("/mails.json").json()) == before + 1


def test_too_many_recipients_are_refused_by_name(mailbox: Mailbox):
    with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=10) as server:
        refused = server.sendmail("bounce@example.org", [f"p{i}@example.org" for i in range(101)], bytes(mail("many")))

    assert list(refused) == ["p100@example.org"]
    assert refused["p100@example.org"][0] == 452


def test_a_mail_that_cannot_be_kept_is_not_acknowledged(tmp_path: Path):
    smtp_port, http_port = free_ports(2)
    child = launch(process(tmp_path / "mails", smtp_port=smtp_port, http_port=http_port), tmp_path)
    try:
        wait_until_ready(child)
        shutil.rmtree(tmp_path / "mails")
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=10) as server, pytest.raises(smtplib.SMTPDataError) as caught:
            server.send_message(mail(), "bounce@example.org", ["ops@example.org"])
    finally:
        child.stop()

    assert caught.value.smtp_code == 452
    assert "could not be kept" in child.log_tail()


def test_a_taken_smtp_port_ends_it_with_a_reason(mailbox: Mailbox, tmp_path: Path):
    [http_port] = free_ports(1)
    both = process(tmp_path / "mails", smtp_port=mailbox.smtp_port, http_port=http_port)
    child = launch(Process(name="second", argv=both.argv, is_ready=both.is_ready), tmp_path)

    with pytest.raises(ProcessDied, match="address already in use"):
        wait_until_ready(child)


@pytest.mark.browser
def test_in_a_browser_the_list_renews_itself_and_a_mail_runs_no_script(mailbox: Mailbox):
    chromium = require_server("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(str(mailbox.client.base_url))
        mailbox.send(
            mail("came while you looked", html="<p id='words'>rich words</p><script>words.textContent=''</script>")
        )
        page.get_by_text("came while you looked").click()
        words = page.frame_locator("iframe.html").locator("#words")
        expect(words).to_have_text("rich words", timeout=SLOW_MS)
        page.get_by_text("Text", exact=True).click()
        expect(page.locator("pre.text")).to_be_visible(timeout=SLOW_MS)
        expect(page.locator("iframe.html")).to_be_hidden(timeout=SLOW_MS)
        browser.close()
