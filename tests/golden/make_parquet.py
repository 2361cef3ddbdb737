"""A fleet as another program writes it: pyarrow, with the types Polars does not choose by itself.

    pip install pyarrow==21.0.0
    python tests/golden/make_parquet.py

writes fleet_pyarrow.parquet beside this file: assets as a dictionary, instants in microseconds with a time zone, a float
of 32 bits, integers of 8 and 16 bits, missing readings as null and as NaN, rows of two assets among each other, two
row groups, Snappy.
"""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

N = 12
rows = range(N)
table = pa.table(
    {
        "load": pa.array([None if i == 5 else (i * 37) % 256 for i in rows], pa.uint8()),
        "unit": pa.array(["west" if i % 3 else "east" for i in rows]).dictionary_encode(),
        "when": pa.array([1_700_000_000_000_000 + 250_000 * i for i in rows], pa.timestamp("us", tz="Europe/Berlin")),
        "t": pa.array([float("nan") if i == 4 else 20.1 + i for i in rows], pa.float32()),
        "step": pa.array([-300 + 55 * i for i in rows], pa.int16()),
        "code": pa.array([i - 6 for i in rows], pa.int8()),
        "count": pa.array([40_000 + i for i in rows], pa.uint16()),
    }
)
pq.write_table(table, pathlib.Path(__file__).with_name("fleet_pyarrow.parquet"), row_group_size=7, compression="snappy")
