"""A report goes out once: with two senders, with one that dies, with servers that are down."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from core.errors import MailPartlyTaken, MailUnavailable, WarehouseUnavailable
from core.mail import KeptMail
from reports.delivery import Delivery, Office
from reports.errors import LedgerUnavailable
from reports.ledger import Ledger
from tests.metrics.story import tell
from tests.reports.conftest import MONDAY, NEXT_MORNING, RECIPIENTS
from tests.reports.crowd import crowd

REPOSITORY = Path(__file__).resolve().parents[2]


class SlowMail(KeptMail):
    """Takes a message when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = threading.Event()
        self.may_end = threading.Event()

    def send(self, message: EmailMessage, **more: Any) -> None:
        self.has_begun.set()
        assert self.may_end.wait(30)
        super().send(message, **more)


def happened(office: Office) -> list[str]:
    return [row["what"] for row in office.ledger.entry(MONDAY, RECIPIENTS).history()]


def test_a_report_is_sent_once(office, mail):
    first, second = office.deliver(MONDAY, RECIPIENTS), office.deliver(MONDAY, RECIPIENTS)

    assert (first, second) == (Delivery("sent", NEXT_MORNING), Delivery("sent before", NEXT_MORNING))
    assert len(mail.sent) == 1


def test_who_was_refused_for_now_gets_the_same_mail_later_and_the_others_no_second_one(office, mail, clock):
    ops, quality = RECIPIENTS
    mail.refused = {quality}
    with pytest.raises(MailPartlyTaken):
        office.deliver(MONDAY, RECIPIENTS)
    first_sent = office.ledger.entry(MONDAY, RECIPIENTS).sent_at
    with pytest.raises(MailUnavailable):
        office.deliver(MONDAY, RECIPIENTS)
    mail.refused = set()
    clock.advance(seconds=60)
    results = [office.deliver(MONDAY, RECIPIENTS).result for _ in range(2)]

    assert mail.reached == [[ops], [quality]]
    assert mail.sent[0].as_bytes() == mail.sent[1].as_bytes()
    assert (first_sent, results) == (NEXT_MORNING, ["sent", "sent before"])
    assert happened(office) == ["handing over", "sent", "failed", "failed", "sent to the rest"]


def test_the_order_and_the_case_of_the_recipients_make_no_other_report(office, mail):
    office.deliver(MONDAY, RECIPIENTS)
    office.deliver(MONDAY, [one.upper() for one in reversed(RECIPIENTS)])

    assert len(mail.sent) == 1


def test_other_recipients_and_other_days_get_theirs(office, mail):
    office.deliver(MONDAY, RECIPIENTS)
    office.deliver(MONDAY, ["else@example.org"])
    office.deliver(MONDAY.plus(-1), RECIPIENTS)

    assert len({one["Message-ID"] for one in mail.sent}) == 3


def test_two_schedulers_at_once_send_one_mail(office):
    slow = SlowMail()
    first, second = (
        replace(office, mailer=slow),
        replace(office, ledger=Ledger(office.settings.reports.folder, clock=office.clock)),
    )
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(first.deliver, MONDAY, RECIPIENTS)
        assert slow.has_begun.wait(30)
        meanwhile = second.deliver(MONDAY, RECIPIENTS)
        slow.may_end.set()
        ended = under_way.result(30)

    assert (meanwhile.result, ended.result) == ("somebody else is at it", "sent")
    assert second.deliver(MONDAY, RECIPIENTS).result == "sent before"


def test_a_crowd_of_schedulers_sends_one_mail(office, mail):
    def another(_: int) -> str:
        ledger = Ledger(office.settings.reports.folder, clock=office.clock)
        return replace(office, ledger=ledger).deliver(MONDAY, RECIPIENTS).result

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(another, range(12)))

    assert results.count("sent") == 1
    assert len(mail.sent) == 1


HOLDER = """
import sys
from datetime import date
from pathlib import Path
from core.clock import utc_now
from reports.spans import Day
from reports.ledger import Ledger

entry = Ledger(Path(sys.argv[1]), clock=utc_now).entry(Day(date.fromisoformat(sys.argv[2]), "UTC"), sys.argv[4:])
with entry.claim() as claim:
    if sys.argv[3] == "handing over":
        claim.hand_over(b"a mail")
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def killed_while(office: Office):
    """Claims the report in a process of its own, which is then killed; tells what was answered while it lived."""

    def run(doing: str) -> str:
        argv = [sys.executable, "-c", HOLDER, str(office.settings.reports.folder), str(MONDAY.date), doing, *RECIPIENTS]
        with subprocess.Popen(argv, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "claimed\n"
            answer = office.deliver(MONDAY, RECIPIENTS).result
            holder.send_signal(signal.SIGKILL)
        return answer

    return run


def test_a_claim_ends_with_the_process_that_held_it(office, mail, killed_while):
    assert killed_while("making it") == "somebody else is at it"

    assert office.deliver(MONDAY, RECIPIENTS).result == "sent"
    assert len(mail.sent) == 1


def test_a_hand_over_that_was_cut_off_is_repeated_under_the_same_message_id(office, mail, killed_while):
    killed_while("handing over")

    assert office.deliver(MONDAY, RECIPIENTS).result == "sent"
    assert mail.sent[0]["Message-ID"] == f"<{office.ledger.entry(MONDAY, RECIPIENTS).name}@example.org>"
    assert happened(office) == ["handing over", "handing over", "sent"]


def test_a_mail_server_that_is_down_leaves_the_report_to_be_sent(office, mail):
    mail.available = False
    with pytest.raises(MailUnavailable):
        office.deliver(MONDAY, RECIPIENTS)
    mail.available = True

    assert office.deliver(MONDAY, RECIPIENTS).result == "sent"
    assert happened(office) == ["handing over", "failed", "handing over", "sent"]


def test_without_the_warehouse_nothing_is_sent_and_the_reason_is_kept(office_without_warehouse, mail):
    with pytest.raises(WarehouseUnavailable):
        office_without_warehouse.deliver(MONDAY, RECIPIENTS)

    (row,) = office_without_warehouse.ledger.entry(MONDAY, RECIPIENTS).history()
    assert (row["what"], mail.sent) == ("failed", [])
    assert "does not answer" in row["reason"]


def test_without_its_ledger_nothing_is_sent(office, mail, tmp_path):
    (tmp_path / "a file").write_text("")
    nowhere = replace(office, ledger=Ledger(tmp_path / "a file" / "reports", clock=office.clock))

    with pytest.raises(LedgerUnavailable, match="cannot be used"):
        nowhere.deliver(MONDAY, RECIPIENTS)

    assert mail.sent == []


def test_a_report_that_cannot_be_noted_as_sent_is_not_tried_again(office, mail, tmp_path):
    class Breaking(KeptMail):
        def send(self, message: EmailMessage, **more: Any) -> None:
            super().send(message, **more)
            folder = office.ledger.entry(MONDAY, RECIPIENTS).folder
            (folder / "sent.next").unlink()  # as on a disk that fails at this moment

    assert replace(office, mailer=Breaking()).deliver(MONDAY, RECIPIENTS).result == "sent"


def test_again_sends_it_once_more_as_another_mail(office, mail):
    office.deliver(MONDAY, RECIPIENTS)
    office.deliver(MONDAY, RECIPIENTS, again=True)

    assert len({one["Message-ID"] for one in mail.sent}) == 2
    assert office.deliver(MONDAY, RECIPIENTS).result == "sent before"


def test_the_mail_that_was_sent_is_kept(office, mail):
    office.deliver(MONDAY, RECIPIENTS)

    kept = (office.ledger.entry(MONDAY, RECIPIENTS).folder / "mail.eml").read_bytes()
    assert kept == mail.sent[0].as_bytes()


def test_a_report_restates_what_the_one_before_said(office, mail, warehouse, clock):
    tell(warehouse, crowd("a", sent=100, accepted=100, delivered=90, approved=80))
    office.deliver(MONDAY, RECIPIENTS)
    late = crowd("late", sent=100, accepted=100, delivered=50, approved=50)  # of Monday, told on Tuesday
    tell(warehouse, late)
    clock.now += timedelta(days=1)
    office.deliver(MONDAY.plus(1), RECIPIENTS)

    text = mail.sent[1].get_body(("plain",)).get_content()
    assert "MON 2 MAR, RESTATED" in text
    assert "Delivery rate: 90.0" in text


def test_the_first_report_of_a_day_is_the_one_that_is_restated(office):
    figures = office.make(MONDAY)[0].figures
    office.ledger.keep_figures(MONDAY, figures)
    office.ledger.keep_figures(MONDAY, {})

    assert office.ledger.figures_of(MONDAY) == figures


def test_figures_of_another_time_zones_day_are_not_restated(office):
    office.deliver(MONDAY, RECIPIENTS)

    assert office.ledger.figures_of(replace(MONDAY, zone="Asia/Shanghai")) is None


def test_a_damaged_file_of_figures_costs_the_restating_and_not_the_report(office, mail):
    office.deliver(MONDAY.plus(-1), RECIPIENTS)
    next(office.settings.reports.folder.glob("*.figures.json")).write_text('{"v": 1, "fig')

    assert office.deliver(MONDAY, RECIPIENTS).result == "sent"
    assert "RESTATED" not in mail.sent[1].get_body(("plain",)).get_content()


def test_a_torn_line_of_the_history_is_passed_over(office):
    office.deliver(MONDAY, RECIPIENTS)
    entry = office.ledger.entry(MONDAY, RECIPIENTS)
    with (entry.folder / "history.jsonl").open("a") as file:
        file.write('{"at": "2026-')
    office.deliver(MONDAY, RECIPIENTS, again=True)

    assert happened(office) == ["handing over", "sent", "handing over", "sent"]
