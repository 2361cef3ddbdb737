"""Writes detection_metrics.json: areas under curves and counts by scikit-learn, range-based measures by their definitions.

By NumPy 2.4 and scikit-learn 1.9; run by hand: python make_detection_metrics.py
The range-based ones are written from the papers (doi:10.14778/3551793.3551830, arXiv:1803.03639), threshold by threshold and
row by row, with no regard for cost.
"""
import json
import math
import pathlib

import numpy as np
from sklearn import metrics

rng = np.random.default_rng(23)


def runs(flags):
    out, start = [], None
    for i, f in enumerate(list(flags) + [0]):
        if f and start is None:
            start = i
        if not f and start is not None:
            out.append((start, i - 1))
            start = None
    return out


def range_areas(scores, labels, buffer):
    n, anomalies = len(scores), runs(labels)
    soft = []
    for i in range(n):
        d = min(max(a - i, i - b, 0) for a, b in anomalies)
        soft.append(1.0 if d == 0 else math.sqrt(1 - d / buffer) if 2 * d <= buffer else 0.0)
    P = (sum(labels) + sum(soft)) / 2
    N = n - P
    points = [(0.0, 0.0, 1.0)]
    for threshold in sorted(set(scores), reverse=True):
        alarms = [i for i in range(n) if scores[i] >= threshold]
        tp = sum(soft[i] for i in alarms)
        fp = sum(1 - soft[i] for i in alarms)
        found = sum(any(a - buffer / 2 <= i <= b + buffer / 2 for i in alarms) for a, b in anomalies) / len(anomalies)
        points.append((fp / N, min(tp / P, 1) * found, tp / (tp + fp)))
    pr = sum((q[1] - p[1]) * (q[2] + p[2]) / 2 for p, q in zip(points, points[1:]))
    points.append((1.0, 1.0, 0.0))
    roc = sum((q[0] - p[0]) * (q[1] + p[1]) / 2 for p, q in zip(points, points[1:]))
    return [roc, pr]


ranking = []
for n, share, levels, strength in [(2, 0.5, 0, 1), (12, 0.3, 3, 1), (60, 0.1, 0, 1), (60, 0.5, 5, 0), (200, 0.05, 0, 2),
                                   (200, 0.3, 20, 1), (40, 0.2, 1, 0)]:
    labels = (np.arange(n) < max(1, share * n)).astype(int)
    rng.shuffle(labels)
    scores = rng.standard_normal(n) + strength * labels
    if levels:
        scores = np.round(scores * levels / 4)
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    alarms = scores >= 0.5
    tn, fp, fn, tp = metrics.confusion_matrix(labels, alarms, labels=[0, 1]).ravel().tolist()
    ranking.append({
        "scores": scores.tolist(), "labels": labels.astype(bool).tolist(),
        "roc_auc": metrics.roc_auc_score(labels, scores),
        "average_precision": metrics.average_precision_score(labels, scores),
        "pr_auc": metrics.auc(recall, precision),
        "confusion": [tp, fp, tn, fn],
        "f1": metrics.f1_score(labels, alarms), "f2": metrics.fbeta_score(labels, alarms, beta=2),
        "precision": metrics.precision_score(labels, alarms) if alarms.any() else None,
        "recall": metrics.recall_score(labels, alarms),
    })

volume = []
for n, spans, levels, buffers in [
    (30, [(10, 14)], 0, [0, 1, 2, 3, 8, 30]), (30, [(0, 3)], 3, [0, 2, 7, 30]), (30, [(29, 29)], 0, [4, 5]),
    (50, [(5, 9), (12, 12), (30, 41)], 0, [0, 2, 5, 6, 20, 50]), (50, [(5, 9), (12, 12), (15, 15), (49, 49)], 4, [1, 4, 9, 33]),
    (120, [(20, 29), (60, 61), (90, 110)], 0, [10, 40]), (120, [(20, 29), (60, 61), (90, 110)], 6, [10, 40]),
]:
    labels = np.zeros(n, int)
    for a, b in spans:
        labels[a:b + 1] = 1
    scores = rng.standard_normal(n) + np.convolve(labels, np.ones(5) / 5, "same") * 2
    if levels:
        scores = np.round(scores * levels / 4)
    scores, labels = scores.tolist(), labels.tolist()
    last = buffers[-1]
    surface = [range_areas(scores, labels, b) for b in range(last + 1)]
    volume.append({
        "scores": scores, "labels": [bool(x) for x in labels],
        "areas": [[b, *surface[b]] for b in buffers],
        "max_buffer": last, "vus": np.mean(surface, axis=0).tolist(),
    })


def weight(bias, i, n):  # of position i of n, from 1
    return {"flat": 1, "front": n - i + 1, "back": i, "middle": i if i <= n / 2 else n - i + 1}[bias]


def earned(r, others, bias, cardinality):
    n = r[1] - r[0] + 1
    omega, x = 0.0, 0
    for o in others:
        rows = [i for i in range(r[0], r[1] + 1) if o[0] <= i <= o[1]]
        x += bool(rows)
        omega += sum(weight(bias, i - r[0] + 1, n) for i in rows) / sum(weight(bias, i, n) for i in range(1, n + 1))
    factor = 1.0 if x <= 1 else {"reciprocal": 1 / x, "one": 1.0, "squared": 1 / x ** 2}[cardinality]
    return factor * omega, x


ranges = []
for n, p_real, p_predicted in [(60, 0.3, 0.3), (60, 0.7, 0.5), (200, 0.2, 0.8), (200, 0.5, 0.05), (7, 0.5, 0.5)]:
    def flags(p):  # a chain that stays where it is four times out of five
        x, out = False, []
        for _ in range(n):
            x = bool(rng.random() < p) if rng.random() < 0.2 else x
            out.append(x)
        return out
    real, predicted = flags(p_real), flags(p_predicted)
    real[n // 2], predicted[n // 2 + 1] = True, True
    R, P = runs(real), runs(predicted)
    cases = []
    for alpha, bias_r, bias_p, cardinality in [
        (0.0, "flat", "flat", "reciprocal"), (0.5, "front", "flat", "reciprocal"), (0.2, "back", "middle", "one"),
        (1.0, "middle", "back", "squared"), (0.1, "middle", "front", "squared"), (0.0, "middle", "middle", "one"),
    ]:
        recalls = []
        for r in R:
            overlap, x = earned(r, P, bias_r, cardinality)
            recalls.append(alpha * (x > 0) + (1 - alpha) * overlap)
        recall = sum(recalls) / len(R)
        precision = sum(earned(p, R, bias_p, cardinality)[0] for p in P) / len(P)
        f = lambda b: 0.0 if precision * recall == 0 else (1 + b * b) * precision * recall / (b * b * precision + recall)
        cases.append({"alpha": alpha, "recall_bias": bias_r, "precision_bias": bias_p, "cardinality": cardinality,
                      "recall": recall, "precision": precision, "f1": f(1), "f_half": f(0.5)})
    ranges.append({"real": real, "predicted": predicted, "real_ranges": R, "cases": cases})

out = pathlib.Path(__file__).with_name("detection_metrics.json")
out.write_text(json.dumps({"ranking": ranking, "volume": volume, "ranges": ranges}) + "\n")
