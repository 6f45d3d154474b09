"""A kept report goes out again once for whoever asks: with a crowd of schedulers, after crashes, and not where it must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from core import warehouse as door
from core import wishes
from core.archive import once_more, sent_reports
from core.mail import KeptMail
from core.settings import Settings
from core.warehouse import Warehouse
from core.wishes import RESEND, Wish
from reports.again import Resender
from reports.delivery import Office
from reports.ledger import HANDING_OVER, Ledger
from sandbox.ports import free_port
from tests.reports.conftest import MONDAY, NEXT_MORNING, RECIPIENTS

LATER = timedelta(hours=2)
ADA, GRACE = "ada@example.org", "grace@example.org"


@pytest.fixture
def resender(office: Office, settings: Settings, clock) -> Resender:
    """Of a scheduler that sent Monday's report two hours ago."""
    office.deliver(MONDAY, RECIPIENTS)
    clock.now += LATER
    return made_of(office, settings)


def made_of(office: Office, settings: Settings, *, recipients: Sequence[str] = RECIPIENTS) -> Resender:
    return Resender(office, recipients, open_warehouse=lambda: door.connect(settings.warehouse))


@pytest.fixture
def report(office: Office) -> str:
    return office.ledger.entry(MONDAY, RECIPIENTS).folder.name


@pytest.fixture
def ask(warehouse: Warehouse, report: str, clock) -> Callable[..., Wish]:
    def asking(by: str = ADA, about: str = "") -> Wish:
        about = about or once_more(report, RECIPIENTS)
        return wishes.ask(warehouse, RESEND, about=about, by=by, now=clock.now)

    return asking


@pytest.fixture
def asked(warehouse: Warehouse) -> Callable[[], Sequence[Wish]]:
    return lambda: wishes.asked(warehouse, RESEND, since=NEXT_MORNING)


def test_it_goes_out_as_it_was_sent_under_another_message_id_and_date(resender, ask, asked, mail):
    wish = ask()
    resender.run()
    resender.run()

    first, again = mail.sent
    assert again["To"] == first["To"] == ", ".join(RECIPIENTS)
    assert again["Subject"] == first["Subject"]
    assert again["Message-ID"] != first["Message-ID"]
    assert again["Date"].datetime == first["Date"].datetime + LATER
    assert [part.get_content() for part in again.walk() if not part.is_multipart()] == [
        part.get_content() for part in first.walk() if not part.is_multipart()
    ]
    (told,) = asked()
    assert told == replace(
        wish, begun_at=NEXT_MORNING + LATER, ended_at=NEXT_MORNING + LATER, answer="sent to 2 recipients"
    )


def test_the_archive_keeps_when_it_was_first_sent(resender, ask, office):
    before = sent_reports(office.settings.reports.folder)
    ask()
    resender.run()

    assert sent_reports(office.settings.reports.folder) == before


def test_nothing_is_sent_that_nobody_asked_for(resender, mail):
    resender.run()

    assert len(mail.sent) == 1


def test_two_who_ask_for_the_same_get_one_mail(resender, ask, asked, mail):
    ask(ADA)
    ask(GRACE)
    resender.run()

    assert len(mail.sent) == 2
    assert {one.asked_by: one.answer for one in asked()} == dict.fromkeys((ADA, GRACE), "sent to 2 recipients")


def test_who_asks_while_it_is_being_sent_gets_that_mail(office, settings, ask, asked, mail, clock):
    class Asking(KeptMail):
        def send(self, message, **more) -> None:
            super().send(message, **more)
            ask(GRACE)

    office.deliver(MONDAY, RECIPIENTS)
    slow = Asking()
    resender = made_of(replace(office, mailer=slow), settings)
    ask(ADA)
    resender.run()
    resender.run()

    assert len(slow.sent) == 1
    assert all(one.answer for one in asked())


def test_who_asks_once_more_afterwards_gets_another_mail(resender, ask, mail, clock):
    ask()
    resender.run()
    clock.now += timedelta(seconds=1)
    ask()
    resender.run()

    assert len({one["Message-ID"] for one in mail.sent}) == 3


def test_a_crowd_of_schedulers_sends_one_mail(resender, office, settings, ask, asked, mail):
    ask()

    def another(_: int) -> None:
        ledger = Ledger(settings.reports.folder, clock=office.clock)
        made_of(replace(office, ledger=ledger), settings).run()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(another, range(12)))

    assert len(mail.sent) == 2
    assert [one.answer for one in asked()] == ["sent to 2 recipients"]


def test_while_another_scheduler_is_at_it_the_wish_waits(resender, office, ask, asked, mail):
    ask()
    with office.ledger.entry(MONDAY, RECIPIENTS).claim() as claim:
        assert claim is not None
        resender.run()

    assert (len(mail.sent), asked()[0].answer) == (1, "")
    resender.run()
    assert (len(mail.sent), asked()[0].answer) == (2, "sent to 2 recipients")


@pytest.mark.parametrize(("what", "told", "failed"), [("sent", "sent to 2 recipients", False), ("failed", "no", True)])
def test_a_crash_before_the_answer_sends_nothing_twice(resender, office, ask, asked, mail, what, told, failed):
    wish = ask()
    with office.ledger.entry(MONDAY, RECIPIENTS).claim() as claim:
        claim.note(HANDING_OVER, wishes=str(wish.id))
        claim.note(what, wishes=str(wish.id), told=told)
    resender.run()

    assert len(mail.sent) == 1
    assert [(one.answer, one.failed) for one in asked()] == [(told, failed)]


def test_a_hand_over_that_was_cut_off_is_repeated_under_the_same_message_id(resender, office, report, ask, mail):
    wish = ask()
    with office.ledger.entry(MONDAY, RECIPIENTS).claim() as claim:
        claim.note(HANDING_OVER, wishes=str(wish.id))
    resender.run()

    assert mail.sent[1]["Message-ID"] == f"<{report}.{wish.id}@example.org>"


def test_a_mail_server_that_is_down_is_told_and_is_not_tried_again_unasked(resender, ask, asked, mail):
    mail.available = False
    ask()
    resender.run()
    mail.available = True
    resender.run()

    (told,) = asked()
    assert (told.failed, told.answer) == (True, "the kept mail was told to be down")
    assert len(mail.sent) == 1

    ask(GRACE)
    resender.run()
    assert len(mail.sent) == 2


def test_a_report_that_is_not_kept_any_more_is_told(resender, office, ask, asked, mail):
    ask()
    (office.ledger.entry(MONDAY, RECIPIENTS).folder / "mail.eml").unlink()
    resender.run()

    (told,) = asked()
    assert told.failed
    assert "is not kept" in told.answer
    assert "heliograph report --again" in told.answer


@pytest.mark.parametrize("name", ["..", "../elsewhere", "/etc", "", "daily-2026-03-02-0000000000000000"])
def test_a_name_that_is_none_of_a_report_makes_no_folder_and_sends_nothing(resender, settings, ask, asked, mail, name):
    before = sorted(settings.reports.folder.rglob("*"))
    ask(about=once_more(name, RECIPIENTS))
    resender.run()

    assert asked()[0].failed
    assert len(mail.sent) == 1
    assert sorted(settings.reports.folder.rglob("*")) == before


def test_it_goes_to_the_recipients_that_were_confirmed_or_to_nobody(resender, report, ask, asked, mail):
    ask(about=once_more(report, [*RECIPIENTS, "eve@example.org"]))
    resender.run()

    (told,) = asked()
    assert told.failed
    assert "other [mail] recipients" in told.answer
    assert len(mail.sent) == 1


def test_recipients_that_were_configured_since_get_it(resender, office, settings, report, ask, asked, mail):
    ask(about=once_more(report, ["new@example.org"]))
    made_of(office, settings, recipients=["new@example.org"]).run()

    assert mail.sent[1]["To"] == "new@example.org"
    assert asked()[0].answer == "sent to 1 recipient"


def test_no_address_stands_in_a_row(resender, warehouse, ask):
    ask()
    resender.run()
    rows = warehouse.query_rows("SELECT text, scope, incident_id FROM operator_words")

    assert len(rows) == 3
    assert "@" not in str(rows)


def test_a_folder_that_cannot_be_used_is_told(resender, office, ask, asked, mail):
    entry = office.ledger.entry(MONDAY, RECIPIENTS)
    (entry.folder / "history.jsonl").unlink()
    (entry.folder / "history.jsonl").mkdir()
    ask()
    resender.run()

    assert "cannot be used" in asked()[0].answer
    assert len(mail.sent) == 1


def test_without_the_warehouse_the_wish_waits(resender, office, settings, ask, asked, mail):
    ask()
    nobody = settings.warehouse.model_copy(update={"port": free_port()})
    Resender(office, RECIPIENTS, open_warehouse=lambda: door.connect(nobody)).run()
    assert (len(mail.sent), asked()[0].answer) == (1, "")

    resender.run()
    assert len(mail.sent) == 2


def test_a_wish_of_another_day_is_not_fulfilled_any_more(resender, ask, mail, clock):
    ask()
    clock.now += timedelta(days=1, seconds=1)
    resender.run()

    assert len(mail.sent) == 1
