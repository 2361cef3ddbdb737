"""Golden data of the detectors by tails, densities and windows: scikit-learn and PyOD on generated tables, and AI4I.

    pip install numpy scipy scikit-learn pyod
    python tests/golden/make_detectors_density.py > tests/golden/detectors_density.json
    python tests/golden/make_detectors_density.py AI4I/ai4i2020.csv   # prints the areas of the table of AI4I

Written with NumPy 2.4, SciPy 1.17, scikit-learn 1.9.1 and PyOD 3.6.7; other versions change the numbers by rounding only.
All detectors see rows in standard units (mean, deviation with divisor n - 1, of the training rows).
"""

import csv
import json
import sys

import numpy as np
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from scipy.stats import skew
from sklearn.covariance import MinCovDet
from sklearn.covariance._robust_covariance import _c_step
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.svm import OneClassSVM


def scaler(x):
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    return lambda y: (y - mean) / deviation


def conservative_quantile(values, q):
    n = len(values)
    rank = -(-(n + 1) * round(q * 1000) // 1000)
    return float(np.sort(values)[min(max(rank, 1), n) - 1])


def contaminated(rng, n, p, share):
    """One cloud of correlated columns, and a share of rows far beside it in a cloud of their own."""
    mix = rng.normal(size=(p, p)) / np.sqrt(p) + np.eye(p)
    x = rng.normal(size=(n, p)) @ mix.T
    bad = rng.random(n) < share
    x[bad] = 0.5 * x[bad] + 7.0 * rng.choice([-1, 1], size=p)
    return np.round(x * 10 ** rng.uniform(-1, 1, p) + rng.normal(size=p) * 5, 6), bad


def clouds(rng, n):
    """Three clouds of different shape in three columns."""
    centres = np.array([[0, 0, 0], [9, -4, 2], [-5, 8, 6]])
    shapes = [np.eye(3), np.array([[1, 0, 0], [0.8, 0.5, 0], [0, 0.3, 0.7]]), np.diag([0.5, 1.5, 1.0])]
    which = rng.integers(0, 3, n)
    noise = rng.normal(size=(n, 3))
    x = np.stack([centres[k] + shapes[k] @ z for k, z in zip(which, noise)])
    return np.round(x, 6)


def alone(make, train, row):
    """PyOD's score of a test set of one row."""
    return float(make().fit(train).decision_function(row[None])[0])


def peers(scale, train):
    """Scores of the peers of each detector, by name, fitted on `train`."""
    z = scale(train)
    ecod, copod = ECOD().fit(z), COPOD().fit(z)
    mcd = MinCovDet(random_state=0).fit(z)
    gmm = GaussianMixture(3, reg_covar=1e-6, tol=1e-6, max_iter=2000, n_init=5, random_state=0).fit(z)
    some = np.random.default_rng(0).permutation(len(z))[:1000]
    svm = OneClassSVM(nu=0.05, gamma="scale", tol=1e-4).fit(z[some])
    return {
        "ecod": lambda y: ecod.decision_function(scale(y)),
        "copod": lambda y: copod.decision_function(scale(y)),
        "robust_mahalanobis": lambda y: mcd.mahalanobis(scale(y)),
        "gaussian_mixture": lambda y: -gmm.score_samples(scale(y)),
        "one_class_svm": lambda y: -svm.decision_function(scale(y)),
    }


def areas(train, rows, bad):
    scale = scaler(train)
    return {name: float(roc_auc_score(bad, f(rows))) for name, f in peers(scale, train).items()}


def tails(rng):
    x = np.round(np.column_stack([rng.gamma(2, size=120), -rng.gamma(3, size=120), rng.integers(0, 5, 120) ** 2]), 3)
    rows = np.vstack([x[:5], x[5:10] + 0.0005, x.max(axis=0) + 1, x.min(axis=0) - 1, [x.max(), x.min(), 4.0]])
    scale = scaler(x)
    z, rz = scale(x), scale(rows)
    for r in rz:  # the row must not turn a sign
        assert (np.sign(skew(z)) == np.sign(skew(np.vstack([z, r])))).all()
    return {
        "train": x.tolist(),
        "rows": rows.tolist(),
        "ecod": [alone(ECOD, z, r) for r in rz],
        "copod": [alone(COPOD, z, r) for r in rz],
    }


def compact(rng, z, fraction):
    """MinCovDet with its own steps, correction and weights, from 500 starts of p + 1 rows: its own starts, half of the
    rows each, miss the optimum on these tables."""
    fit = MinCovDet(support_fraction=fraction, random_state=0).fit(z)
    n, p = z.shape
    h = int(fraction * n) if fraction else min(int(np.ceil(0.5 * (n + p + 1))), n)
    best, found = np.linalg.slogdet(fit.raw_covariance_)[1], False
    for _ in range(500):
        start = z[rng.permutation(n)[: p + 1]]
        estimates = start.mean(axis=0), np.cov(start.T, bias=True)
        location, covariance, det, support, dist = _c_step(z, h, None, 100, estimates)
        if det < best:
            best = det
            fit.raw_location_, fit.raw_covariance_, fit.raw_support_ = location, covariance, support
            fit.location_, fit.support_, fit.dist_ = location, support, dist.copy()
            found = True
    if found:
        # The correction divides the distances by the factor, the weights then follow from them.
        fit.correct_covariance(z)
        fit.reweight_covariance(z)
    return fit


def covariance_determinant(rng):
    out = []
    for n, p, share, fraction in [(80, 2, 0.2, None), (300, 4, 0.3, None), (150, 3, 0.1, 0.8)]:
        x, bad = contaminated(rng, n, p, share)
        z = scaler(x)(x)
        best = compact(rng, z, fraction)
        out.append(
            {
                "train": x.tolist(),
                "support_fraction": fraction,
                "log_determinant": float(np.linalg.slogdet(best.raw_covariance_)[1]),
                "location": best.location_.tolist(),
                "n_kept": int(best.support_.sum()),
                "scores": best.mahalanobis(z).tolist(),
            }
        )
    return out


def mixture(rng):
    x = clouds(rng, 300)
    rows = np.vstack([x[:5], [[4, 2, 1], [30, -20, 5], [-5, 8, -6]]])
    scale = scaler(x)
    z = scale(x)
    fit = lambda k: GaussianMixture(k, reg_covar=1e-6, tol=1e-12, max_iter=10_000, n_init=10, random_state=0).fit(z)
    fits = {k: fit(k) for k in (1, 3)}
    order = np.argsort(fits[3].weights_)
    return {
        "train": x.tolist(),
        "rows": rows.tolist(),
        "one": (-fits[1].score_samples(scale(rows))).tolist(),
        "three": (-fits[3].score_samples(scale(rows))).tolist(),
        "weights": fits[3].weights_[order].tolist(),
        "means": fits[3].means_[order].tolist(),
        "best_bic": int(np.argmin([fit(k).bic(z) for k in range(1, 5)])) + 1,
    }


def one_class(rng):
    x = clouds(rng, 200)
    rows = np.vstack([x[:5], [[4, 2, 1], [30, -20, 5], [-5, 8, -6]]])
    scale = scaler(x)
    z = scale(x)
    out = {"train": x.tolist(), "rows": rows.tolist(), "fits": []}
    for nu, gamma in [(0.05, "scale"), (0.3, "auto"), (0.1, 2.0), (0.9, 0.5)]:
        svm = OneClassSVM(nu=nu, gamma=gamma, tol=1e-10).fit(z)
        out["fits"].append(
            {
                "nu": nu,
                "gamma": gamma,
                "rate": float(svm._gamma),
                "rho": float(-svm.intercept_[0]),
                "scores": (-svm.decision_function(scale(rows))).tolist(),
            }
        )
    return out


def lagged(rng):
    n, lags, k = 120, 2, 4
    u = np.convolve(rng.normal(size=n + 4), [0.5, 0.3, 0.2], "valid")
    x = np.column_stack([u[2:n], u[1 : n - 1], u[: n - 2] - 0.5 * u[2:n]])
    x = np.round(x + 0.05 * rng.normal(size=x.shape), 6)
    ends = [50, 90, len(x)]
    starts = [0] + ends[:-1]
    stack = lambda part: np.stack([part[i - lags : i + 1].ravel() for i in range(lags, len(part))])
    windows = np.vstack([stack(x[a:b]) for a, b in zip(starts, ends)])
    rows = x[:20].copy()
    rows[12, 1] += 1.0
    scale = scaler(windows)
    pca = PCA(svd_solver="full").fit(scale(windows))

    def statistics(w):
        t = pca.transform(scale(w))
        return (t[:, :k] ** 2 / pca.explained_variance_[:k]).sum(axis=1), (t[:, k:] ** 2).sum(axis=1)

    t2, q = statistics(windows)
    t2_limit, q_limit = conservative_quantile(t2, 0.9), conservative_quantile(q, 0.9)
    row_t2, row_q = statistics(stack(rows))
    return {
        "train": x.tolist(),
        "ends": ends,
        "rows": rows.tolist(),
        "n_lags": lags,
        "n_components": k,
        "eigenvalues": pca.explained_variance_.tolist(),
        "limits": [t2_limit, q_limit],
        "scores": (row_t2 / t2_limit + row_q / q_limit).tolist(),
    }


def ai4i(path):
    with open(path, newline="", encoding="utf-8-sig") as f:
        table = list(csv.DictReader(f))
    names = ["Air temperature [K]", "Process temperature [K]", "Rotational speed [rpm]", "Torque [Nm]", "Tool wear [min]"]
    x = np.array([[float(r[n]) for n in names] for r in table])
    y = np.array([int(r["Machine failure"]) for r in table])
    healthy = x[:5000][y[:5000] == 0]
    return areas(healthy, x[5000:], y[5000:])


def main():
    if len(sys.argv) > 1:
        print(json.dumps(ai4i(sys.argv[1]), indent=1))
        return
    rng = np.random.default_rng(20260601)
    x, bad = contaminated(rng, 400, 4, 0.15)
    out = {
        "tails": tails(rng),
        "covariance_determinant": covariance_determinant(rng),
        "mixture": mixture(rng),
        "one_class": one_class(rng),
        "lagged": lagged(rng),
        "areas": {"rows": x.tolist(), "bad": bad.astype(int).tolist(), "peers": areas(x, x, bad)},
    }
    print(json.dumps(out))


main()
