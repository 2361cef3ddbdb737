"""Golden data of the detectors: NumPy, SciPy and scikit-learn on a small table with correlated columns.

    pip install numpy scipy scikit-learn
    python tests/golden/make_detect.py > tests/golden/detect.json

Written with NumPy 2.4, SciPy 1.17 and scikit-learn 1.9; other versions change the numbers by rounding only.
"""

import json

import numpy as np
from scipy import stats
from sklearn.covariance import EmpiricalCovariance, LedoitWolf
from sklearn.decomposition import PCA

N_FOLDS = 5
N_COMPONENTS = 2
LIMIT_QUANTILE = 0.9
FALSE_ALARM_RATE = 0.05


def scaler(x):
    mean, deviation = x.mean(axis=0), x.std(axis=0, ddof=1)
    return lambda y: (y - mean) / deviation


def pca_statistics(train, rows):
    scale = scaler(train)
    pca = PCA(n_components=train.shape[1], svd_solver="full").fit(scale(train))
    t = pca.transform(scale(rows))
    variance = pca.explained_variance_  # divisor n - 1
    t2 = (t[:, :N_COMPONENTS] ** 2 / variance[:N_COMPONENTS]).sum(axis=1)
    q = (t[:, N_COMPONENTS:] ** 2).sum(axis=1)
    return t2, q, pca


def conservative_quantile(values, q):
    """Rank ceil((n + 1) q), at most n; written with whole numbers only where q is a multiple of 1/1000."""
    n = len(values)
    rank = -(-(n + 1) * round(q * 1000) // 1000)
    return float(np.sort(values)[min(max(rank, 1), n) - 1])


def blocks(n):
    return np.arange(n) * N_FOLDS // n


def mahalanobis(train, rows, estimator):
    scale = scaler(train)
    fitted = estimator.fit(scale(train))
    return fitted.mahalanobis(scale(rows)), fitted


def out_of_fold(x, statistic):
    fold = blocks(len(x))
    parts = [np.asarray(statistic(x[fold != f], x[fold == f])) for f in range(N_FOLDS)]
    return np.concatenate(parts, axis=-1)  # blocks are contiguous, so this is row order


def q_limit(eigenvalues, alpha):
    t1, t2, t3 = (float((eigenvalues**i).sum()) for i in (1, 2, 3))
    h = 1 - 2 * t1 * t3 / (3 * t2**2)
    c = stats.norm.isf(alpha)
    return t1 * (c * np.sqrt(2 * t2 * h**2) / t1 + 1 + t2 * h * (h - 1) / t1**2) ** (1 / h)


def main():
    rng = np.random.default_rng(20260101)
    n, p = 60, 5
    latent = rng.normal(size=(n, 2))
    x = latent @ rng.normal(size=(2, p)) + 0.4 * rng.normal(size=(n, p))
    x = np.round(x * [1.0, 20.0, 0.01, 5.0, 300.0] + [0.0, 300.0, 1.0, -50.0, 101_325.0], 6)
    rows = np.round(x[:6] + rng.normal(size=(6, p)) * x.std(axis=0) * [[0], [0.5], [1], [2], [5], [20]], 6)

    t2, q, pca = pca_statistics(x, rows)
    held_t2, held_q = out_of_fold(x, lambda a, b: pca_statistics(a, b)[:2])
    t2_limit = conservative_quantile(held_t2, LIMIT_QUANTILE)
    held_q_limit = conservative_quantile(held_q, LIMIT_QUANTILE)
    held = held_t2 / t2_limit + held_q / held_q_limit
    components = pca.components_[:N_COMPONENTS]
    components = components * np.sign(components[np.arange(N_COMPONENTS), np.abs(components).argmax(axis=1)])[:, None]
    alphas = [0.1, 0.05, 0.01, 0.001, 1e-6]
    f_limit = N_COMPONENTS * (n**2 - 1) / (n * (n - N_COMPONENTS))
    out = {
        "train": x.tolist(),
        "rows": rows.tolist(),
        "n_components": N_COMPONENTS,
        "limit_quantile": LIMIT_QUANTILE,
        "false_alarm_rate": FALSE_ALARM_RATE,
        "pca": {
            "eigenvalues": pca.explained_variance_.tolist(),
            "components": components.tolist(),
            "t2": t2.tolist(),
            "q": q.tolist(),
            "t2_limit": t2_limit,
            "q_limit": held_q_limit,
            "scores": (t2 / t2_limit + q / held_q_limit).tolist(),
            "threshold": conservative_quantile(held, 1 - FALSE_ALARM_RATE),
            "alphas": alphas,
            "theoretical_t2": [f_limit * stats.f.isf(a, N_COMPONENTS, n - N_COMPONENTS) for a in alphas],
            "theoretical_q": [float(q_limit(pca.explained_variance_[N_COMPONENTS:], a)) for a in alphas],
        },
        "mahalanobis": {},
    }
    for name, make in [("ledoit_wolf", LedoitWolf), ("empirical", EmpiricalCovariance)]:
        scores, fitted = mahalanobis(x, rows, make())
        held = out_of_fold(x, lambda a, b: mahalanobis(a, b, make())[0])
        out["mahalanobis"][name] = {
            "shrinkage": float(getattr(fitted, "shrinkage_", 0.0)),
            "scores": scores.tolist(),
            "threshold": conservative_quantile(held, 1 - FALSE_ALARM_RATE),
        }
    # Fewer rows than columns, which needs shrinkage.
    wide = scaler(x)(x)[:50].reshape(10, 25)
    scores, fitted = mahalanobis(wide, wide[:3] + 0.5, LedoitWolf())
    out["wide"] = {
        "train": wide.tolist(),
        "rows": (wide[:3] + 0.5).tolist(),
        "shrinkage": float(fitted.shrinkage_),
        "scores": scores.tolist(),
    }
    print(json.dumps(out, indent=1))


main()
