"""Writes state_filters.json: Kalman filters and sigma points of a curved model.

By NumPy 2.4, SciPy 1.17 and statsmodels 0.15; run by hand: python make_state_filters.py
The Kalman filter is the textbook's with inverses written out, and is checked here against statsmodels' MLEModel.
"""
import json
import pathlib

import numpy as np
from scipy import stats
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter

rng = np.random.default_rng(5)


def kalman(F, Q, H, R, x, P, ys):
    """Means, covariances and log-likelihoods after each step; missing values are NaN."""
    out = []
    for y in ys:
        x, P = F @ x, F @ P @ F.T + Q
        there = np.isfinite(y)
        ll = None
        if there.any():
            h, r, v = H[there], R[np.ix_(there, there)], y[there] - H[there] @ x
            S = h @ P @ h.T + r
            K = P @ h.T @ np.linalg.inv(S)
            x = x + K @ v
            P = P - K @ S @ K.T
            ll = -0.5 * (v @ np.linalg.inv(S) @ v + np.log(np.linalg.det(S)) + there.sum() * np.log(2 * np.pi))
        out.append((x.tolist(), P.ravel().tolist(), ll))
    return out


cases = []
for n, m, steps in [(1, 1, 30), (2, 1, 40), (3, 2, 40), (4, 3, 30)]:
    F = np.eye(n) + 0.1 * rng.standard_normal((n, n))
    F /= max(1.0, 1.02 * np.abs(np.linalg.eigvals(F)).max())
    A, B, C = rng.standard_normal((n, n)), rng.standard_normal((m, m)), rng.standard_normal((n, n))
    Q, R, P = 0.1 * A @ A.T, B @ B.T + 0.2 * np.eye(m), C @ C.T + np.eye(n)
    Q, R, P = (Q + Q.T) / 2, (R + R.T) / 2, (P + P.T) / 2
    H, x = rng.standard_normal((m, n)), rng.standard_normal(n)
    ys = rng.standard_normal((steps, m)).cumsum(axis=0)
    ys[rng.random((steps, m)) < 0.15] = np.nan
    ys[5] = np.nan
    rows = kalman(F, Q, H, R, x, P, ys)
    # statsmodels starts with the prediction of the first step.
    ss = KalmanFilter(m, n, transition=F, selection=np.eye(n), state_cov=Q, design=H, obs_cov=R)
    ss.initialize_known(F @ x, F @ P @ F.T + Q)
    ss.bind(np.asarray(ys))
    res = ss.filter()
    assert np.allclose(res.filtered_state.T, [r[0] for r in rows], rtol=1e-8, atol=1e-8)
    assert np.allclose(res.llf_obs.sum(), sum(r[2] or 0.0 for r in rows), rtol=1e-9)
    cases.append(dict(n=n, m=m, transition=F.ravel().tolist(), process_noise=Q.ravel().tolist(),
                      observation=H.ravel().tolist(), observation_noise=R.ravel().tolist(), mean=x.tolist(),
                      covariance=P.ravel().tolist(),
                      y=[[None if np.isnan(v) else v for v in row] for row in ys.tolist()],
                      means=[r[0] for r in rows], covariances=[r[1] for r in rows],
                      log_likelihoods=[r[2] for r in rows]))


def unscented(f, h, q, r, x, P, steps, ys, alpha, beta, kappa):
    """Additive noise, points drawn anew before the update; one observation."""
    n = len(x)
    lam = alpha**2 * (n + kappa) - n
    wm = np.full(2 * n + 1, 0.5 / (n + lam))
    wc = wm.copy()
    wm[0] = lam / (n + lam)
    wc[0] = wm[0] + 1 - alpha**2 + beta
    out = []

    def points(x, P):
        L = np.linalg.cholesky((n + lam) * P)
        return np.vstack([x, x + L.T, x - L.T])

    for dt, y in zip(steps, ys):
        X = np.array([f(p, dt) for p in points(x, P)])
        x = wm @ X
        P = (wc[:, None] * (X - x)).T @ (X - x) + np.diag(q(dt) ** 2)
        X = points(x, P)
        Y = np.array([h(p) for p in X])
        mean = wm @ Y
        S = wc @ (Y - mean) ** 2 + r**2
        K = (wc * (Y - mean)) @ (X - x) / S
        x, P = x + K * (y - mean), P - np.outer(K, K) * S
        out.append((x.tolist(), P.ravel().tolist(), float(stats.norm.logpdf(y, mean, np.sqrt(S)))))
    return out


# A crack by Paris' law in (ln a, ln C, m): 80 MPa, Y = 1.1, critical 25 mm, readings within 0.3 mm, ln C walks.
drive = np.log(1.1 * 80 * np.sqrt(np.pi))
walk, reading = 1e-4, 3e-4


def paris(p, dt):
    k = p[2] / 2 - 1
    grown = np.exp(p[1] + p[2] * drive + k * p[0]) * dt
    return np.array([p[0] - np.log1p(-k * grown) / k, p[1], p[2]])


x0, sd0 = np.array([np.log(0.002), np.log(8e-12), 3.1]), np.array([0.1, 0.2, 0.05])
truth = np.array([np.log(0.0021), np.log(9e-12), 3.12])
steps = [4000.0, 10_000.0, 1_500.0, 20_000.0, 15_000.0, 15_000.0, 9_000.0]
lengths = []
for dt in steps:
    truth = paris(truth, dt)
    lengths.append(float(np.exp(truth[0]) + reading * rng.standard_normal()))
crack = []
for alpha, beta, kappa in [(1.0, 2.0, 0.0), (0.5, 2.0, 1.0)]:
    rows = unscented(paris, lambda p: np.exp(p[0]), lambda dt: np.array([0.0, walk * np.sqrt(dt), 0.0]), reading,
                     x0, np.diag(sd0**2), steps, lengths, alpha, beta, kappa)
    crack.append(dict(alpha=alpha, beta=beta, kappa=kappa, means=[r[0] for r in rows],
                      covariances=[r[1] for r in rows], log_likelihoods=[r[2] for r in rows]))

golden = dict(kalman=cases, steps=steps, lengths=lengths, start=x0.tolist(), start_sd=sd0.tolist(), crack=crack)
path = pathlib.Path(__file__).with_name("state_filters.json")
path.write_text(json.dumps(golden) + "\n")
print(path.stat().st_size)
