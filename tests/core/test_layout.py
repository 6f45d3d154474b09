"""The migrations on a cluster: the engine can read every statement, and what belongs together lies together.

Running them needs several servers and a Keeper, which the embedded engine has not: here they are rendered and parsed.
"""

from __future__ import annotations

import pytest

from core.layout import Layout
from core.migrating import migrations, split_statements
from core.warehouse import Warehouse

CLUSTER = Layout("fleet")
RENDERED = [
    (name, rendered)
    for _, name, text in migrations("core")
    for statement in split_statements(text.replace("{retention_days}", "400"))
    for rendered in CLUSTER.render(statement)
]
ALL = "\n".join(statement for _, statement in RENDERED)


def test_every_statement_is_one_that_the_engine_can_read(warehouse: Warehouse):
    for name, statement in RENDERED:
        ((formatted,),) = warehouse.query_rows("SELECT formatQuery({sql:String})", {"sql": statement})

        assert formatted, name


def test_every_table_is_replicated_and_spread_over_the_shards():
    creates = [statement for _, statement in RENDERED if statement.startswith("CREATE TABLE")]
    local = [one for one in creates if "ENGINE = Replicated" in one]
    over_all = [one for one in creates if "ENGINE = Distributed('fleet', currentDatabase(), '" in one]

    assert len(local) == len(over_all) == len(creates) / 2
    assert all(" ON CLUSTER 'fleet'" in one for one in creates)
    assert (
        "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/rollup_built', '{replica}', version)"
        in ALL
    )


@pytest.mark.parametrize("table", ["send_events", "receipt_events", "verify_events", "attempts"])
def test_all_that_belongs_to_a_request_lies_on_one_shard(table: str):
    assert f"'{table}_local', sipHash64(request_id))" in ALL


def test_views_read_and_write_the_rows_of_their_own_shard():
    views = [statement for _, statement in RENDERED if statement.startswith("CREATE MATERIALIZED VIEW")]

    assert len(views) >= 8
    for view in views:
        assert " ON CLUSTER 'fleet' TO " in view
        assert all(word.endswith("_local") for word in view.split("TO ")[1].split()[:1])
        assert all(part.split()[0].endswith("_local") for part in view.split("FROM ")[1:])


def test_a_new_column_is_added_to_both_and_an_index_where_the_rows_are():
    assert CLUSTER.render("ALTER TABLE t ADD COLUMN x Int8") == [
        "ALTER TABLE t_local ON CLUSTER 'fleet' ADD COLUMN x Int8",
        "ALTER TABLE t ON CLUSTER 'fleet' ADD COLUMN x Int8",
    ]
    assert CLUSTER.render("ALTER TABLE t ADD INDEX i x TYPE minmax") == [
        "ALTER TABLE t_local ON CLUSTER 'fleet' ADD INDEX i x TYPE minmax"
    ]


def test_a_table_is_dropped_on_every_node_with_its_rows():
    assert CLUSTER.render("DROP TABLE IF EXISTS t") == [
        "DROP TABLE IF EXISTS t ON CLUSTER 'fleet' SYNC",
        "DROP TABLE IF EXISTS t_local ON CLUSTER 'fleet' SYNC",
    ]


def test_one_server_runs_the_migrations_as_they_are_written():
    for _, _, text in migrations("core"):
        for statement in split_statements(text):
            assert Layout().render(statement) == [statement]
