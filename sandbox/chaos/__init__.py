"""The fault matrix: faults made on purpose under load, and a checker that reads every store afterwards. `heliograph chaos`.

To add a row, write one declaration into a file of `sandbox/chaos/faults/`: an async context manager that makes the fault
when it is entered and heals it when it is left, and a `Fault` that names it, says how long it lasts and through which
statuses the instances are expected to go. A new file's `FAULTS` are added to `MATRIX` in `faults/__init__.py`. The load,
the recovery by an operator, the figures and I1 to I9 come by themselves; what only this fault can break, it reports
itself (`Field.fail`). A fault that ends an instance restarts it (`Member.restart`) and sets `restarts_instances`.

    @asynccontextmanager
    async def refused(field: Field) -> AsyncIterator[None]:
        await field.trouble("redis", DOWN)
        yield
        await field.heal("redis")

    Fault(number="F12h", title="Redis refuses connections", victim="redis", around=refused, expects=LOSES_MIRROR)

`cluster` runs the processes, `proxy` troubles the links between them, `load` calls the service and writes a `ledger`,
`nemesis` says what a fault is, `checker` judges, `matrix` runs it all, `table` prints it.
"""
