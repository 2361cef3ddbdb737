//! Filters of orthonormal wavelets.

use crate::error::{Error, Result};

/// An orthonormal wavelet with compact support, by its low-pass filter.
///
/// The filters are solutions, to the last bit of a double, of the equations that define them: `Σ h[k] h[k + 2 m] = δ(m)` and
/// `Σ (-1)^k k^m h[k] = 0` for as many `m` as there are vanishing moments, taken in the order in which analysis convolves them
/// (`dec_lo` of PyWavelets, which rounds some of them otherwise). Of the solutions Daubechies' have all zeros but those at -1 on
/// one side of the unit circle (turned round, the filters are of minimum phase); the symlet has that choice of zeros whose
/// phase is the straightest. The high-pass is `g[k] = (-1)^(k + 1) h[F - 1 - k]`.
///
/// Source: Daubechies, *Ten Lectures on Wavelets* (SIAM, 1992), <https://doi.org/10.1137/1.9781611970104>.
///
/// ```
/// use prognos::spectrum::Wavelet;
/// assert_eq!(Wavelet::daubechies(4)?.low_pass().len(), 8);
/// assert!(Wavelet::daubechies(11).is_err());
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wavelet {
    name: &'static str,
    low_pass: &'static [f64],
}

impl Wavelet {
    /// Daubechies' wavelet of this many vanishing moments, 1 (Haar's) to 10: `db1` to `db10`.
    ///
    /// # Errors
    /// `InvalidParameter` for another number.
    pub fn daubechies(moments: usize) -> Result<Self> {
        let known = moments.checked_sub(1).and_then(|i| DAUBECHIES.get(i));
        let (name, low_pass) = known.ok_or_else(|| Error::parameter("moments", "in 1..=10", moments))?;
        Ok(Self { name, low_pass })
    }

    /// The symlet of eight vanishing moments, `sym8`: nearly symmetric.
    pub fn symlet_8() -> Self {
        Self {
            name: "sym8",
            low_pass: &SYM8,
        }
    }

    /// Its name, such as `db4`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The low-pass filter, an even number of coefficients.
    pub fn low_pass(&self) -> &'static [f64] {
        self.low_pass
    }
}

const DAUBECHIES: [(&str, &[f64]); 10] = [
    ("db1", &DB1),
    ("db2", &DB2),
    ("db3", &DB3),
    ("db4", &DB4),
    ("db5", &DB5),
    ("db6", &DB6),
    ("db7", &DB7),
    ("db8", &DB8),
    ("db9", &DB9),
    ("db10", &DB10),
];

const DB1: [f64; 2] = [std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::FRAC_1_SQRT_2];
const DB2: [f64; 4] = [
    -0.12940952255126037,
    0.2241438680420134,
    0.8365163037378079,
    0.48296291314453416,
];
const DB3: [f64; 6] = [
    0.03522629188570953,
    -0.08544127388202666,
    -0.13501102001025458,
    0.45987750211849154,
    0.8068915093110925,
    0.33267055295008263,
];
const DB4: [f64; 8] = [
    -0.010597401785069032,
    0.0328830116668852,
    0.030841381835560764,
    -0.18703481171909309,
    -0.027983769416859854,
    0.6308807679298589,
    0.7148465705529157,
    0.2303778133088965,
];
const DB5: [f64; 10] = [
    0.0033357252854737712,
    -0.012580751999081999,
    -0.006241490212798274,
    0.07757149384004572,
    -0.032244869584638375,
    -0.24229488706638203,
    0.13842814590132074,
    0.7243085284377729,
    0.6038292697971896,
    0.16010239797419293,
];
const DB6: [f64; 12] = [
    -0.0010773010853084796,
    0.004777257510945511,
    0.0005538422011614961,
    -0.03158203931748603,
    0.027522865530305727,
    0.09750160558732304,
    -0.12976686756726194,
    -0.22626469396543983,
    0.31525035170919763,
    0.7511339080210954,
    0.49462389039845306,
    0.11154074335010947,
];
const DB7: [f64; 14] = [
    0.00035371379997452024,
    -0.0018016407040474908,
    0.0004295779729213665,
    0.01255099855609984,
    -0.01657454163066688,
    -0.03802993693501441,
    0.08061260915108308,
    0.07130921926683026,
    -0.22403618499387498,
    -0.14390600392856498,
    0.4697822874051931,
    0.7291320908462351,
    0.3965393194819173,
    0.07785205408500918,
];
const DB8: [f64; 16] = [
    -0.00011747678412476953,
    0.0006754494064505693,
    -0.00039174037337694705,
    -0.004870352993451574,
    0.008746094047405777,
    0.013981027917398282,
    -0.044088253930794755,
    -0.017369301001807547,
    0.12874742662047847,
    0.0004724845739132828,
    -0.2840155429615469,
    -0.015829105256349306,
    0.5853546836542067,
    0.6756307362972898,
    0.31287159091429995,
    0.05441584224310401,
];
const DB9: [f64; 18] = [
    3.93473203162716e-05,
    -0.0002519631889427101,
    0.00023038576352319597,
    0.0018476468830562265,
    -0.00428150368246343,
    -0.004723204757751397,
    0.022361662123679096,
    0.00025094711483145197,
    -0.06763282906132997,
    0.03072568147933338,
    0.14854074933810638,
    -0.09684078322297646,
    -0.2932737832791749,
    0.13319738582500756,
    0.6572880780513005,
    0.6048231236901112,
    0.24383467461259034,
    0.038077947363878345,
];
const DB10: [f64; 20] = [
    -1.3264202894521244e-05,
    9.358867032006959e-05,
    -0.00011646685512928545,
    -0.0006858566949597116,
    0.001992405295185056,
    0.001395351747052901,
    -0.010733175483330575,
    0.0036065535669561697,
    0.033212674059341,
    -0.029457536821875813,
    -0.07139414716639708,
    0.09305736460357235,
    0.12736934033579325,
    -0.19594627437737705,
    -0.24984642432731538,
    0.2811723436605775,
    0.6884590394536035,
    0.5272011889317256,
    0.1881768000776915,
    0.026670057900555554,
];
const SYM8: [f64; 16] = [
    -0.0033824159510050028,
    -0.0005421323318000107,
    0.03169508781152599,
    0.007607487324976609,
    -0.14329423835127267,
    -0.061273359067811076,
    0.4813596512590534,
    0.777185751699628,
    0.36444189483617895,
    -0.0519458381078818,
    -0.027219029917103486,
    0.04913717967373029,
    0.0038087520138944896,
    -0.014952258337062199,
    -0.0003029205147241331,
    0.001889950332767689,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_orthonormal_and_have_their_moments() {
        let mut all: Vec<_> = (1..=10).map(|n| Wavelet::daubechies(n).unwrap()).collect();
        all.push(Wavelet::symlet_8());
        for w in all {
            let (h, n) = (w.low_pass(), w.low_pass().len());
            assert_eq!(w.name().trim_start_matches(char::is_alphabetic).parse(), Ok(n / 2));
            // Each coefficient is within half a unit in the last place of at most 1.
            let close =
                |got: f64, expected: f64| assert!((got - expected).abs() < 1e-15, "{}: {got} {expected}", w.name());
            close(h.iter().sum::<f64>(), std::f64::consts::SQRT_2);
            for m in 0..n / 2 {
                let product: f64 = h.iter().zip(&h[2 * m..]).map(|(a, b)| a * b).sum();
                close(product, if m == 0 { 1.0 } else { 0.0 });
                let moment = |(k, v): (usize, &f64)| {
                    let place = (k as f64 - 0.5 * (n as f64 - 1.0)) / n as f64;
                    v * place.powi(m as i32) * if k % 2 == 0 { 1.0 } else { -1.0 }
                };
                close(h.iter().enumerate().map(moment).sum(), 0.0);
            }
        }
        for bad in [0, 11, usize::MAX] {
            assert!(Wavelet::daubechies(bad).is_err());
        }
    }
}
