"""What waits in the journals of the service, as the instances told it: the newest of each, and the course of the fullest."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from metrics.query import BUCKETS


@dataclass(frozen=True)
class JournalsData:
    """`newest`: a row an instance, the last told first (`instance`, `told_at`, `store`, `events` in bytes). `course`: a row a
    bucket from the first to the last that anybody told of (`bucket`, `store_most`, `events_most` in bytes at the instance that
    had most; NaN where nobody told)."""

    newest: pd.DataFrame
    course: pd.DataFrame


def newest_and_course(rows: pd.DataFrame, bucket: str) -> JournalsData:
    """Of rows as `metrics.operations.backlogs` gives them.

    Of instances the greatest is taken and no sum: instances may share a folder, each has its own limit, and one that is started
    anew is another one in the same minute.
    """
    newest = rows.sort_values(["told_at", "instance"], ascending=[False, True]).drop_duplicates("instance")
    course = rows.groupby("bucket")[["store_most", "events_most"]].max()
    if len(course):
        course = course.asfreq(f"{BUCKETS[bucket]}s")
    columns = ["instance", "told_at", "store", "events"]
    return JournalsData(newest[columns].reset_index(drop=True), course.reset_index())
