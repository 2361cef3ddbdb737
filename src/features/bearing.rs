//! Fault orders of rolling bearings, from their geometry.

use crate::{
    error::{Error, Result},
    quantity::Hertz,
};
use serde::{Deserialize, Serialize};

/// The shape of a rolling bearing, as its fault orders need it.
///
/// ```
/// use prognos::features::bearing::BearingGeometry;
/// // SKF 6205: nine balls of 7.94 mm on a pitch of 39.04 mm.
/// let orders = BearingGeometry::new(9, 7.94, 39.04, 0.0)?.orders();
/// assert!((orders.bpfi() - 5.4152).abs() < 1e-3 && (orders.bpfo() - 3.5848).abs() < 1e-3);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "GeometryData", into = "GeometryData")]
pub struct BearingGeometry(GeometryData);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct GeometryData {
    n_elements: u32,
    element_diameter_mm: f64,
    pitch_diameter_mm: f64,
    contact_angle_deg: f64,
}

impl BearingGeometry {
    /// A bearing with this many rolling elements in a row, of this diameter, on this pitch diameter, under this contact
    /// angle (0 for deep-groove ball and cylindrical roller bearings).
    ///
    /// # Errors
    /// `InvalidParameter` unless there are 3 to 1,000 elements, diameters are finite and above 0, the angle is in 0..90
    /// degrees, and the elements fit: `element cos(angle) < pitch` and side by side on the pitch circle.
    pub fn new(
        n_elements: u32,
        element_diameter_mm: f64,
        pitch_diameter_mm: f64,
        contact_angle_deg: f64,
    ) -> Result<Self> {
        GeometryData {
            n_elements,
            element_diameter_mm,
            pitch_diameter_mm,
            contact_angle_deg,
        }
        .try_into()
    }

    /// Rolling elements in a row.
    pub fn n_elements(&self) -> u32 {
        self.0.n_elements
    }

    /// Diameter of a rolling element.
    pub fn element_diameter_mm(&self) -> f64 {
        self.0.element_diameter_mm
    }

    /// Diameter of the circle through the elements' centres.
    pub fn pitch_diameter_mm(&self) -> f64 {
        self.0.pitch_diameter_mm
    }

    /// Contact angle.
    pub fn contact_angle_deg(&self) -> f64 {
        self.0.contact_angle_deg
    }

    /// The fault orders where the inner ring turns and the outer stands, in revolutions of the shaft.
    ///
    /// With `n` elements, `q = element / pitch · cos(angle)`:
    ///
    /// ```text
    /// BPFO = n/2 (1 - q)      BPFI = n/2 (1 + q)      BSF = (1 - q²) / (2 q) · cos(angle)      FTF = (1 - q) / 2
    /// ```
    ///
    /// Nothing slips in this: a real bearing's orders lie within about 1% of these, rolling elements' within 2%.
    pub fn orders(&self) -> BearingOrders {
        let (n, q, ratio) = self.ratios();
        BearingOrders(OrdersData {
            bpfo: 0.5 * n * (1.0 - q),
            bpfi: 0.5 * n * (1.0 + q),
            bsf: 0.5 * (1.0 - q * q) / ratio,
            ftf: 0.5 * (1.0 - q),
        })
    }

    /// The fault orders where the outer ring turns and the inner stands: as [`orders`](BearingGeometry::orders), the cage
    /// turning at `(1 + q) / 2`.
    pub fn orders_outer_ring_turning(&self) -> BearingOrders {
        let (_, q, _) = self.ratios();
        let mut orders = self.orders();
        orders.0.ftf = 0.5 * (1.0 + q);
        orders
    }

    /// Number of elements, `element / pitch · cos(angle)` and `element / pitch`.
    fn ratios(&self) -> (f64, f64, f64) {
        let ratio = self.0.element_diameter_mm / self.0.pitch_diameter_mm;
        let q = ratio * libm::cos(self.0.contact_angle_deg.to_radians());
        (f64::from(self.0.n_elements), q, ratio)
    }
}

impl TryFrom<GeometryData> for BearingGeometry {
    type Error = Error;

    fn try_from(g: GeometryData) -> Result<Self> {
        if !(3..=1000).contains(&g.n_elements) {
            return Err(Error::parameter("n_elements", "in 3..=1000", g.n_elements));
        }
        for (name, v) in [
            ("element_diameter_mm", g.element_diameter_mm),
            ("pitch_diameter_mm", g.pitch_diameter_mm),
        ] {
            if !(v.is_finite() && v > 0.0) {
                return Err(Error::parameter(name, "finite and above 0", v));
            }
        }
        if !(0.0..90.0).contains(&g.contact_angle_deg) {
            return Err(Error::parameter("contact_angle_deg", "in 0..90", g.contact_angle_deg));
        }
        let most = g.pitch_diameter_mm * libm::sin(std::f64::consts::PI / f64::from(g.n_elements));
        if g.element_diameter_mm > most {
            let expected = format!("at most {most:.3} for {} elements side by side", g.n_elements);
            return Err(Error::parameter("element_diameter_mm", expected, g.element_diameter_mm));
        }
        Ok(Self(g))
    }
}

impl From<BearingGeometry> for GeometryData {
    fn from(g: BearingGeometry) -> Self {
        g.0
    }
}

/// How often a fault of each part passes, in revolutions of the shaft.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OrdersData", into = "OrdersData")]
pub struct BearingOrders(OrdersData);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct OrdersData {
    bpfo: f64,
    bpfi: f64,
    bsf: f64,
    ftf: f64,
}

impl BearingOrders {
    /// Orders as a maker states them: of the outer ring, the inner ring, the spin of an element and the cage.
    ///
    /// # Errors
    /// `InvalidParameter` unless all are finite and above 0, FTF is below 1 and the others below 1,000.
    pub fn new(bpfo: f64, bpfi: f64, bsf: f64, ftf: f64) -> Result<Self> {
        OrdersData { bpfo, bpfi, bsf, ftf }.try_into()
    }

    /// Rough orders where only the number of elements is known: BPFO `0.4 n`, BPFI `0.6 n`, FTF `0.4`, BSF `0.2 n`. Good to
    /// some 10%: enough to look at a spectrum, not for a diagnosis.
    ///
    /// # Errors
    /// `InvalidParameter` unless there are 3 to 1,000 elements.
    pub fn rule_of_thumb(n_elements: u32) -> Result<Self> {
        if !(3..=1000).contains(&n_elements) {
            return Err(Error::parameter("n_elements", "in 3..=1000", n_elements));
        }
        let n = f64::from(n_elements);
        Self::new(0.4 * n, 0.6 * n, 0.2 * n, 0.4)
    }

    /// Ball-pass order of the outer ring.
    pub fn bpfo(&self) -> f64 {
        self.0.bpfo
    }

    /// Ball-pass order of the inner ring.
    pub fn bpfi(&self) -> f64 {
        self.0.bpfi
    }

    /// Spin order of a rolling element; a fault on it strikes a ring twice as often.
    pub fn bsf(&self) -> f64 {
        self.0.bsf
    }

    /// Order of the cage.
    pub fn ftf(&self) -> f64 {
        self.0.ftf
    }

    /// BPFO, BPFI, BSF and FTF in hertz at this rate of the shaft.
    pub fn frequencies_hz(&self, shaft: Hertz) -> [f64; 4] {
        let OrdersData { bpfo, bpfi, bsf, ftf } = self.0;
        [bpfo, bpfi, bsf, ftf].map(|o| o * shaft.get())
    }
}

impl TryFrom<OrdersData> for BearingOrders {
    type Error = Error;

    fn try_from(o: OrdersData) -> Result<Self> {
        for (name, v, below) in [
            ("bpfo", o.bpfo, 1e3),
            ("bpfi", o.bpfi, 1e3),
            ("bsf", o.bsf, 1e3),
            ("ftf", o.ftf, 1.0),
        ] {
            if !(v.is_finite() && v > 0.0 && v < below) {
                return Err(Error::parameter(name, format!("above 0 and below {below} orders"), v));
            }
        }
        Ok(Self(o))
    }
}

impl From<BearingOrders> for OrdersData {
    fn from(o: BearingOrders) -> Self {
        o.0
    }
}

/// A bearing of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CatalogueBearing {
    /// Its name, such as `6205-2RS JEM`.
    pub name: &'static str,
    /// Its fault orders, the inner ring turning.
    pub orders: BearingOrders,
    /// Its shape, where the source gives it.
    pub geometry: Option<BearingGeometry>,
    /// Where the figures are from.
    pub source: &'static str,
}

/// Name, elements, element and pitch diameter in mm, contact angle in degrees, source.
type Entry = (&'static str, u32, f64, f64, f64, &'static str);

const CWRU: &str = "Case Western Reserve University Bearing Data Center, bearing information";
const PRONOSTIA: &str = "Nectoux et al. (2012), PRONOSTIA, IEEE PHM data challenge";
const IMS: &str = "Qiu, Lee, Lin & Yu (2006), doi 10.1016/j.jsv.2005.03.007 (IMS bearing data)";
const XJTU: &str = "Wang, Lei, Li & Li (2020), doi 10.1109/TR.2018.2882682 (XJTU-SY bearing data)";
const PADERBORN: &str = "Lessmeier et al. (2016), PHM Society European Conference (Paderborn bearing data)";
const MFPT: &str = "Bechhoefer (2013), MFPT Society fault data sets";

const BY_GEOMETRY: [Entry; 5] = [
    ("PRONOSTIA", 13, 3.5, 25.6, 0.0, PRONOSTIA),
    ("ZA-2115", 16, 8.4074, 71.501, 15.17, IMS),
    ("LDK UER204", 8, 7.92, 34.55, 0.0, XJTU),
    ("6203 Paderborn", 8, 6.75, 28.55, 0.0, PADERBORN),
    ("NICE MFPT", 8, 5.969, 31.623, 0.0, MFPT),
];

/// Name, BPFO, BPFI, BSF, FTF, source.
const BY_ORDERS: [(&str, f64, f64, f64, f64, &str); 2] = [
    ("6205-2RS JEM", 3.5848, 5.4152, 2.357, 0.398_28, CWRU),
    ("6203-2RS JEM", 3.053, 4.947, 1.994, 0.3817, CWRU),
];

/// The bearings of public recordings, with their sources. Bearings of one designation differ between makers: where you
/// have the maker's figures, use those.
pub fn catalogue() -> Vec<CatalogueBearing> {
    let by_orders = BY_ORDERS.iter().filter_map(|&(name, bpfo, bpfi, bsf, ftf, source)| {
        let orders = BearingOrders::new(bpfo, bpfi, bsf, ftf).ok()?;
        Some(CatalogueBearing {
            name,
            orders,
            geometry: None,
            source,
        })
    });
    let by_geometry = BY_GEOMETRY
        .iter()
        .filter_map(|&(name, n, element, pitch, angle, source)| {
            let geometry = BearingGeometry::new(n, element, pitch, angle).ok()?;
            Some(CatalogueBearing {
                name,
                orders: geometry.orders(),
                geometry: Some(geometry),
                source,
            })
        });
    by_orders.chain(by_geometry).collect()
}

/// The bearing of the catalogue with this name; case, blanks and hyphens do not count, and a name that begins one entry
/// alone stands for it: `6205` for `6205-2RS JEM`.
///
/// # Errors
/// `InvalidParameter`, listing the names there are, where none or several fit.
///
/// ```
/// use prognos::features::bearing;
/// assert_eq!(bearing::find("6205 2rs jem")?.name, "6205-2RS JEM");
/// assert_eq!(bearing::find("6205")?.orders.bpfi(), 5.4152);
/// assert!(bearing::find("6203").is_err()); // two makers' bearings
/// # Ok::<(), prognos::Error>(())
/// ```
pub fn find(name: &str) -> Result<CatalogueBearing> {
    let plain = |s: &str| {
        s.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let wanted = plain(name);
    let all = catalogue();
    if let Some(exact) = all.iter().find(|b| plain(b.name) == wanted) {
        return Ok(exact.clone());
    }
    let mut begun = all
        .iter()
        .filter(|b| !wanted.is_empty() && plain(b.name).starts_with(&wanted));
    match (begun.next(), begun.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => {
            let names: Vec<_> = all.iter().map(|b| b.name).collect();
            Err(Error::parameter(
                "bearing",
                format!("one of {}", names.join(", ")),
                format!("`{name}`"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What holds for every bearing: balls pass one ring or the other, the cage carries them round.
        #[test]
        fn orders_obey_kinematics(n in 6..20_u32, ratio in 0.1..0.3_f64, angle in 0.0..45.0_f64) {
            prop_assume!(ratio < (std::f64::consts::PI / f64::from(n)).sin());
            let g = BearingGeometry::new(n, 100.0 * ratio, 100.0, angle).unwrap();
            let (a, b) = (g.orders(), g.orders_outer_ring_turning());
            prop_assert!((a.bpfo() + a.bpfi() - f64::from(n)).abs() < 1e-12);
            prop_assert!((a.bpfo() - f64::from(n) * a.ftf()).abs() < 1e-12);
            prop_assert!((a.ftf() + b.ftf() - 1.0).abs() < 1e-12);
            prop_assert_eq!((a.bpfo(), a.bpfi(), a.bsf()), (b.bpfo(), b.bpfi(), b.bsf()));
            let hz = a.frequencies_hz(Hertz::new(10.0).unwrap());
            prop_assert_eq!(hz[3], 10.0 * a.ftf());
        }
    }

    #[test]
    fn the_catalogue_is_whole_and_its_entries_agree_with_kinematics() {
        let all = catalogue();
        assert_eq!(all.len(), BY_ORDERS.len() + BY_GEOMETRY.len());
        for b in &all {
            let n = b.orders.bpfo() + b.orders.bpfi();
            assert!((n - n.round()).abs() < 1e-3, "{b:?}");
            assert!((b.orders.bpfo() / n - b.orders.ftf()).abs() < 1e-3, "{b:?}");
            assert_eq!(find(b.name).unwrap(), *b);
        }
        // What the sources state.
        let za = find("za2115").unwrap().orders;
        assert!((za.bpfo() * 2000.0 / 60.0 - 236.4).abs() < 0.1 && (za.bpfi() * 2000.0 / 60.0 - 296.9).abs() < 0.2);
        assert!((find("pronostia").unwrap().orders.bpfo() * 30.0 - 168.34).abs() < 0.1);
        assert!((find("ldk uer204").unwrap().orders.bpfo() * 35.0 - 107.91).abs() < 0.1);
        assert!((find("nice").unwrap().orders.bpfo() * 25.0 - 81.12).abs() < 0.1);
    }

    #[test]
    fn what_cannot_be_a_bearing_is_refused() {
        for (n, d, p, a) in [
            (2, 1.0, 10.0, 0.0),
            (9, 0.0, 10.0, 0.0),
            (9, f64::NAN, 10.0, 0.0),
            (9, 1.0, f64::INFINITY, 0.0),
            (9, 1.0, 10.0, 90.0),
            (9, 1.0, 10.0, f64::NAN),
            (9, 4.0, 10.0, 0.0),
        ] {
            assert!(BearingGeometry::new(n, d, p, a).is_err());
        }
        assert!(
            BearingOrders::new(3.0, 5.0, 2.0, 1.0).is_err() && BearingOrders::new(f64::NAN, 5.0, 2.0, 0.4).is_err()
        );
        assert!(BearingOrders::rule_of_thumb(2).is_err() && BearingOrders::rule_of_thumb(9).is_ok());
        assert!(serde_json::from_str::<BearingOrders>(r#"{"bpfo":-1,"bpfi":5,"bsf":2,"ftf":0.4}"#).is_err());
        for name in ["", "6204", "--"] {
            assert!(find(name).unwrap_err().to_string().contains("6205-2RS JEM"), "{name}");
        }
    }
}
