"""Where tables lie: on one server as the migrations say, or on a cluster, replicated and sharded, out of the same text.

On a cluster each table `t` becomes `t_local` on every node, replicated within its shard, and a `Distributed` table `t` over
all shards, so that statements name the same tables on both. All events of a request lie on one shard: what merges them
there sees all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CREATE_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_CREATE_VIEW = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+)")
_ALTER = re.compile(r"ALTER TABLE (\w+)")
_DROP = re.compile(r"DROP TABLE IF EXISTS (\w+)")
_ENGINE = re.compile(r"ENGINE = (\w*MergeTree)(?:\(([^)]*)\))?")
_ORDER = re.compile(r"ORDER BY (?:\(([^)]*)\)|(\w+))")
_FROM = re.compile(r"\b(FROM|JOIN) (\w+)")


@dataclass(frozen=True)
class Layout:
    """A cluster by its name in the servers' configuration, or one server where the name is empty.

    The servers need the macros `{shard}` and `{replica}`, and a Keeper.
    """

    cluster: str = ""

    @property
    def settings(self) -> dict[str, str | int]:
        """Settings of every statement: an insert returns when every shard has its rows."""
        return {"distributed_foreground_insert": 1} if self.cluster else {}

    @property
    def on_cluster(self) -> str:
        """What follows the name in DDL."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    @property
    def parts(self) -> str:
        """The table of parts, of all nodes."""
        return f"clusterAllReplicas('{self.cluster}', system.parts)" if self.cluster else "system.parts"

    def stored(self, table: str) -> str:
        """The table that holds the rows."""
        return f"{table}_local" if self.cluster else table

    def render(self, statement: str) -> list[str]:
        """A statement of a migration as it has to be run here."""
        if not self.cluster:
            return [statement]
        if _CREATE_TABLE.match(statement):
            return self._table(statement)
        if _CREATE_VIEW.match(statement):
            moved = _CREATE_VIEW.sub(
                rf"CREATE MATERIALIZED VIEW IF NOT EXISTS \1{self.on_cluster} TO \2_local", statement
            )
            return [_FROM.sub(r"\1 \2_local", moved)]
        if altered := _ALTER.match(statement):
            local = _ALTER.sub(f"ALTER TABLE {altered[1]}_local{self.on_cluster}", statement)
            over_all = _ALTER.sub(f"ALTER TABLE {altered[1]}{self.on_cluster}", statement)
            return [local, over_all] if "ADD COLUMN" in statement else [local]
        if dropped := _DROP.match(statement):
            return [
                f"DROP TABLE IF EXISTS {name}{self.on_cluster} SYNC" for name in (dropped[1], f"{dropped[1]}_local")
            ]
        return [statement]

    def _table(self, statement: str) -> list[str]:
        named, ordered = _CREATE_TABLE.match(statement), _ORDER.search(statement)
        if named is None or ordered is None:
            raise ValueError("a table of a migration says how it is ordered")
        table = named[1]
        local = _CREATE_TABLE.sub(f"CREATE TABLE IF NOT EXISTS {table}_local{self.on_cluster}", statement)
        local = _ENGINE.sub(lambda found: _replicated(found, table), local)
        # Rows that replace or complete each other share their sorting key, and so their shard.
        keys = (ordered[1] or ordered[2]).replace(" ", "").split(",")
        shard_by = "request_id" if "request_id" in keys else ", ".join(keys)
        over_all = (
            f"CREATE TABLE IF NOT EXISTS {table}{self.on_cluster} AS {table}_local\n"
            f"ENGINE = Distributed('{self.cluster}', currentDatabase(), '{table}_local', sipHash64({shard_by}))"
        )
        return [local, over_all]


def _replicated(found: re.Match[str], table: str) -> str:
    arguments = f", {found[2]}" if found[2] else ""
    return (
        f"ENGINE = Replicated{found[1]}('/clickhouse/tables/{{shard}}/{{database}}/{table}', '{{replica}}'{arguments})"
    )
