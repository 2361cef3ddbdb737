"""Golden data of the waveform loaders, by SciPy and pandas.

    pip install numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 pyarrow
    python tests/golden/make_waveforms.py [DATA]

writes waveforms.json beside this file. `mat` holds small files as SciPy writes them, in hexadecimal, and the numbers that
SciPy reads from them. With DATA, the folder of recorded data, `cwru` and `femto` are made anew: length, sum, sum of squares
and a few samples of some of its files, read by SciPy and pandas. Without it they stay as they are.
"""

import io
import json
import math
import pathlib
import sys

import numpy as np
import pandas as pd
from scipy import io as sio
from scipy import sparse

OUT = pathlib.Path(__file__).with_name("waveforms.json")


def variables():
    rng = np.random.default_rng(20261124)
    return {
        "X105_DE_time": rng.standard_normal((37, 1)),
        "X105RPM": np.array([[1797.0]]),
        "integers": np.array([[1, -2, 3], [40000, 5, -600000]], dtype=np.int32),
        "bytes": np.arange(7, dtype=np.uint8),
        "signed": np.array([[-128, 127]], dtype=np.int8),
        "short": np.array([-30000, 30000], dtype=np.int16),
        "word": np.array([0, 65535], dtype=np.uint16),
        "long": np.array([[-(2**53), 2**40]], dtype=np.int64),
        "counter": np.array([[2**53, 4294967295]], dtype=np.uint64),
        "card": np.array([[4294967295]], dtype=np.uint32),
        "single": np.array([[0.1, -3.5e30]], dtype=np.float32),
        "z": np.array([[1 + 2j, -3.5 - 0.25j]]),
        "cube": np.arange(24, dtype=float).reshape(2, 3, 4),
        "none": np.zeros((0, 3)),
        "flag": np.array([[True, False, True]]),
        "odd": np.array([[np.inf, -np.inf, -0.0, 5e-324]]),
        "text": "not a number",
        "record": {"rate": 12000.0, "name": "x"},
        "list": np.array([1.0, "a"], dtype=object),
        "holes": sparse.csc_matrix(np.eye(3)),
    }


def golden(compressed):
    buffer = io.BytesIO()
    sio.savemat(buffer, variables(), do_compression=compressed)
    content = buffer.getvalue()
    # SciPy writes the date into the text of the header.
    content = b"MATLAB 5.0 MAT-file".ljust(116) + content[116:]
    arrays, others = [], []
    read = sio.loadmat(io.BytesIO(content))
    for name, _, kind in sio.whosmat(io.BytesIO(content)):
        if kind in ("char", "struct", "cell", "sparse"):
            others.append([name, kind])
            continue
        x = read[name]
        flat = x.flatten(order="F")
        # Text, because JSON has no infinity and not every reader of its numbers rounds right.
        arrays.append({
            "name": name,
            "class": "uint8" if kind == "logical" else kind,
            "shape": list(x.shape),
            "real": [repr(float(v.real)) for v in flat],
            "imaginary": [repr(float(v.imag)) for v in flat] if np.iscomplexobj(x) else None,
        })
    return {"hex": content.hex(), "arrays": arrays, "others": others}


def summary(x):
    x = np.asarray(x, dtype=float).ravel()
    at = [0, 1, len(x) // 2, len(x) - 1]
    return {
        "n": len(x),
        "sum": math.fsum(x),
        "sum_of_squares": math.fsum(v * v for v in x),
        "at": at,
        "values": [repr(float(x[i])) for i in at],
    }


def cwru(data, file):
    read = sio.loadmat(data / "cwru" / file)
    channels, rpm = {}, None
    for name, x in read.items():
        if name.endswith("_time"):
            channels[name.split("_")[1]] = summary(x)
        elif name.endswith("RPM"):
            rpm = float(x.item())
    return {"file": file, "rpm": rpm, "channels": channels}


def snapshot(data, file):
    frame = pd.read_csv(data / "femto" / "raw_csv" / file, header=None)
    first = frame.iloc[0]
    seconds = int(first[0]) * 3600 + int(first[1]) * 60 + int(first[2])
    return {
        "file": file,
        "start_nanos": seconds * 10**9 + round(first[3] * 1000),
        "horizontal": summary(frame[4]),
        "vertical": summary(frame[5]),
    }


def bearing(data, file, number):
    frame = pd.read_parquet(data / "femto" / file)
    one = frame[frame.snapshot == number]
    return {
        "file": file,
        "snapshots": int(frame.snapshot.nunique()),
        "snapshot": number,
        "horizontal": summary(one.horizontal_mg / 1000),
        "vertical": summary(one.vertical_mg / 1000),
        "sum_horizontal_mg": int(frame.horizontal_mg.sum()),
        "sum_vertical_mg": int(frame.vertical_mg.sum()),
    }


out = json.loads(OUT.read_text()) if OUT.exists() else {}
out["mat"] = [golden(False), golden(True)]
if len(sys.argv) > 1:
    data = pathlib.Path(sys.argv[1])
    out["cwru"] = [cwru(data, f) for f in ("normal/97.mat", "12k_drive_end/105.mat", "12k_drive_end/3001.mat")]
    out["femto"] = {
        "csv": [snapshot(data, f) for f in ("acc_00812.csv", "acc_00871.csv")],
        "parquet": [bearing(data, "Bearing1_2.parquet", 812), bearing(data, "Bearing3_1.parquet", 515)],
    }
OUT.write_text(json.dumps(out, indent=1, allow_nan=False) + "\n")
print(OUT, OUT.stat().st_size, "bytes")
