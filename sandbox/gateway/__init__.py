"""The ClickHouse engine, embedded (chDB), behind enough of ClickHouse's HTTP protocol that clickhouse-connect works unchanged.

Not supported, and refused with ClickHouse's own error 48: external data, users, roles and grants, the native compressed
bodies of `compress=1` and `decompress=1`, `INSERT ... SELECT FROM input()`, `INTO OUTFILE`, `FROM INFILE`. There is no
`system.query_log`, no `client_protocol_version` (LowCardinality travels as in revision 0) and no progress in headers.
An answer with `wait_end_of_query=1`, or in a format with a head or foot (JSON, Parquet), is held in memory; others stream.
It listens on loopback only. A GET, or `readonly` in the request, lets nothing through that could write, and that
includes temporary tables; nor may it call what reads files, addresses or programs (`file`, `url`, `remote`, `executable` …).
One way out is left to `readonly` 2: in the database `default` the engine takes a path in the place of a table for a file.
"""
