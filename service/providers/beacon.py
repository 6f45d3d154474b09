"""Beacon: a signed JSON cloud API over CMPP gateways; receipts in batches, with the gateways' own error codes.

Its times are those of China, written without a zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import aiohttp
import msgspec

from core.events import ErrorClass
from service.errors import ReceiptUnreadable
from service.providers.base.fields import RowUnreadable
from service.providers.base.provider import Provider
from service.providers.base.pushed import Acknowledgement, InboundRow, ReceiptRow, Statuses, inbound_row, receipt_row
from service.providers.base.submission import WRONG_REFERENCE, Answer, AnswerUnreadable, Submission

STATUSES: Statuses = {
    "ACCEPTD": ("pending", ""),
    "ENROUTE": ("pending", ""),
    "DELIVRD": ("delivered", ""),
    "UNDELIV": ("failed", "unknown"),
    "EXPIRED": ("failed", "expired"),
    "REJECTD": ("failed", "blocked"),
    "DELETED": ("failed", "provider"),
    "UNKNOWN": ("failed", "unknown"),
}

CODES: Mapping[str, ErrorClass] = {
    # in receipts: gateway family and number
    "MK:0001": "number",  # 空号 vacant number
    "MK:0004": "handset",  # 停机 subscription suspended
    "MK:0005": "handset",  # 关机 switched off
    "MK:0012": "handset",  # 存储满 memory full
    "MI:0013": "handset",  # 停机 subscription suspended
    "MI:0024": "handset",  # 不在服务区 out of reach
    "MI:0029": "expired",  # 超时 validity passed
    "MN:0001": "number",  # 空号 vacant number
    "MN:0041": "route",  # 网关超时 gateway timeout
    "MB:0069": "route",  # 路由错误 no route
    "MB:1042": "throttled",  # 流量超限 flow limit
    "MB:1077": "blocked",  # 关键字 keyword
    "DB:0103": "account",  # 欠费 account in arrears
    "DB:0108": "throttled",  # 号码日限 daily limit of the number
    "DB:0119": "route",  # 网关忙 gateway busy
    "DB:0141": "blocked",  # 黑名单 black list
    "DB:0142": "blocked",  # 模板拦截 template intercepted
    "DB:0144": "opted_out",  # 退订 unsubscribed
    "DB:0309": "provider",  # 平台异常 platform failure
    # in answers
    "LimitExceeded.Number": "throttled",
    "LimitExceeded.Rate": "throttled",
    "InvalidParameter.Number": "number",
    "InvalidParameter.Template": "blocked",
    "InvalidParameter.Signature": "blocked",
    "Rejected.BlackList": "blocked",
    "Rejected.Unsubscribed": "opted_out",
    "Account.Balance": "account",
    "Account.Unauthorized": "account",
    "Gateway.NoRoute": "route",
    "Internal.Error": "provider",
}

_CHINA = timezone(timedelta(hours=8))


class _SendStatus(msgspec.Struct, rename="pascal"):
    code: str
    serial_no: str = ""
    session_context: str = ""
    fee: int = 1


class _Error(msgspec.Struct, rename="pascal"):
    code: str


class _Response(msgspec.Struct, rename="pascal"):
    send_status_set: list[_SendStatus] = []
    error: _Error | None = None


class _Answer(msgspec.Struct, rename="pascal"):
    response: _Response


class _Receipt(msgspec.Struct):
    session: str
    report_status: str
    errcode: str = ""
    user_receive_time: str = ""


class _Uplink(msgspec.Struct):
    serial: str
    nationcode: str
    mobile: str
    content: str


class Adapter(Provider):
    """Speaks to Beacon."""

    receipt_reply = Acknowledgement(b'{"code":0,"msg":"ok"}', "application/json")

    async def _submit(self, session: aiohttp.ClientSession, submission: Submission) -> Answer:
        path = "/v3/sms/send"
        message = {
            "PhoneNumberSet": [submission.number],
            "Content": submission.text,
            "SignName": submission.sender,
            "SessionContext": submission.reference,
        }
        body = msgspec.json.encode(message)
        timestamp = str(int(self.clock().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Beacon-Key": self.settings.account,
            "X-Beacon-Timestamp": timestamp,
            "X-Beacon-Signature": self._sign(timestamp, path, body),
        }
        answer = await self._post(session, path, headers=headers, body=body)
        try:
            told = msgspec.json.decode(answer.body, type=_Answer).response
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._unreadable(answer)
        if told.error is not None:
            return Answer("rejected", CODES.get(told.error.code, "unknown"), told.error.code)
        if len(told.send_status_set) != 1:
            self._unreadable(answer)
        return self._read(submission, told.send_status_set[0])

    def _read(self, submission: Submission, status: _SendStatus) -> Answer:
        if status.session_context != submission.reference:
            raise AnswerUnreadable(WRONG_REFERENCE)
        if status.code != "Ok":
            return Answer("rejected", CODES.get(status.code, "unknown"), status.code)
        return self._accepted(status.serial_no, segments=min(20, max(1, status.fee)))

    def _sign(self, timestamp: str, path: str, body: bytes) -> str:
        return self._signature("\n".join((timestamp, path, sha256(body).hexdigest())).encode())

    def _verify(self, headers: Mapping[str, str], body: bytes, path: str) -> None:
        timestamp = headers.get("x-beacon-timestamp", "")
        self._demand(self._sign(timestamp, path, body), headers.get("x-beacon-signature", ""))
        self._demand_recent(timestamp)

    def _rows(self, body: bytes) -> Sequence[bytes]:
        rows = msgspec.json.decode(body, type=list[msgspec.Raw])
        if not rows:
            raise ReceiptUnreadable("the batch is empty")
        return [bytes(row) for row in rows]

    def _receipt(self, row: bytes) -> ReceiptRow:
        told = msgspec.json.decode(row, type=_Receipt)
        return receipt_row(
            reference=told.session,
            status=told.report_status,
            code=told.errcode,
            statuses=STATUSES,
            codes=CODES,
            provider_at=_time(told.user_receive_time),
        )

    def _inbound(self, row: bytes) -> InboundRow:
        told = msgspec.json.decode(row, type=_Uplink)
        if not told.nationcode.isdecimal() or not told.mobile.isdecimal():
            raise RowUnreadable("nationcode and mobile are not digits")
        return inbound_row(message_id=told.serial, number=f"+{told.nationcode}{told.mobile}", text=told.content)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=_CHINA).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
