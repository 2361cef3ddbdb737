//! Two extractors as one.

use crate::{
    error::{Error, Result},
    features::{FeatureExtractor, FeatureSchema},
};

/// Two extractors of the same windows as one, made by [`FeatureExtractor::and`]: the columns of the first, then those of the
/// second. So features of one's own stand beside those of the crate.
///
/// ```
/// use prognos::{Result, features::{Feature, FeatureExtractor, FeatureSchema, WaveformExtractor}, quantity::Hertz, signal};
///
/// /// The share of samples above a limit: an extractor of one's own.
/// struct Above { schema: FeatureSchema, limit_g: f64 }
///
/// impl FeatureExtractor for Above {
///     type Scratch = ();
///     fn schema(&self) -> &FeatureSchema { &self.schema }
///     fn new_scratch(&self) {}
///     fn extract_into(&self, window: &[&[f64]], _: &mut (), out: &mut [f64]) -> Result<()> {
///         for (x, out) in window.iter().zip(out) {
///             *out = x.iter().filter(|v| **v > self.limit_g).count() as f64 / x.len() as f64;
///         }
///         Ok(())
///     }
/// }
///
/// let (channel, window) = ([signal::Channel::new("x", "g")], signal::WindowSpec::new(8, 8)?);
/// let known = WaveformExtractor::params(&channel, Hertz::new(100.0)?, window).features(["peak", "mean"]).build()?;
/// let above = Feature { name: "x.above_2_g".into(), unit: "".into(), channel: "x".into() };
/// let own = Above { schema: FeatureSchema::new(vec![above], known.schema().sampling())?, limit_g: 2.0 };
///
/// let both = known.and(own)?;
/// let mut row = [0.0; 3];
/// both.extract_into(&[&[0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]], &mut both.new_scratch(), &mut row)?;
/// assert_eq!(row, [2.0, 2.0, 0.375]);
/// # Ok::<(), prognos::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct JoinedExtractor<A, B> {
    first: A,
    second: B,
    schema: FeatureSchema,
}

impl<A: FeatureExtractor, B: FeatureExtractor> JoinedExtractor<A, B> {
    pub(super) fn new(first: A, second: B) -> Result<Self> {
        let (a, b) = (first.schema(), second.schema());
        if a.sampling() != b.sampling() {
            return Err(Error::parameter(
                "extractors joined",
                format!("the same rate and windows, {:?}", a.sampling()),
                format!("{:?}", b.sampling()),
            ));
        }
        let columns = a.features().iter().chain(b.features()).cloned().collect();
        let schema = FeatureSchema::new(columns, a.sampling())
            .map_err(|e| Error::parameter("extractors joined", "columns that make one schema", e))?;
        Ok(Self { first, second, schema })
    }

    /// The extractor of the first columns.
    pub fn first(&self) -> &A {
        &self.first
    }

    /// The extractor of the other columns.
    pub fn second(&self) -> &B {
        &self.second
    }
}

impl<A: FeatureExtractor, B: FeatureExtractor> FeatureExtractor for JoinedExtractor<A, B> {
    type Scratch = (A::Scratch, B::Scratch);

    fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    fn new_scratch(&self) -> Self::Scratch {
        (self.first.new_scratch(), self.second.new_scratch())
    }

    /// Where the second extractor fails, the first columns are written already.
    fn extract_into(&self, window: &[&[f64]], scratch: &mut Self::Scratch, out: &mut [f64]) -> Result<()> {
        if out.len() != self.schema.len() {
            return Err(Error::input("joined features", self.schema.len(), out.len()));
        }
        let (first, second) = out.split_at_mut(self.first.schema().len());
        self.first.extract_into(window, &mut scratch.0, first)?;
        self.second.extract_into(window, &mut scratch.1, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorKind,
        features::WaveformExtractor,
        quantity::Hertz,
        signal::{Channel, WindowSpec},
    };

    fn extractor(rate: f64, features: [&str; 2]) -> WaveformExtractor {
        let window = WindowSpec::new(10, 10).unwrap();
        let params = WaveformExtractor::params(&[Channel::new("x", "g")], Hertz::new(rate).unwrap(), window);
        params.features(features).build().unwrap()
    }

    #[test]
    fn columns_are_those_of_both() {
        let x: Vec<f64> = (0..10).map(|i| f64::from(i * i % 7)).collect();
        let row = |e: &dyn Fn(&mut [f64])| {
            let mut row = [f64::NAN; 4];
            e(&mut row);
            row
        };
        let (a, b) = (extractor(9.0, ["rms", "peak"]), extractor(9.0, ["mean", "skewness"]));
        let both = a.clone().and(b.clone()).unwrap();
        let of_both = row(&|out| both.extract_into(&[&x], &mut both.new_scratch(), out).unwrap());
        let apart = row(&|out| {
            a.extract_into(&[&x], &mut a.new_scratch(), &mut out[..2]).unwrap();
            b.extract_into(&[&x], &mut b.new_scratch(), &mut out[2..]).unwrap();
        });
        assert_eq!(of_both, apart);
        assert_eq!(both.schema().features()[2].name, "x.mean");
        assert_eq!(
            (both.first().schema(), both.second().schema()),
            (a.schema(), b.schema())
        );
        let e = both
            .extract_into(&[&x], &mut both.new_scratch(), &mut [0.0; 3])
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let a = extractor(9.0, ["rms", "peak"]);
        for b in [extractor(8.0, ["mean", "skewness"]), extractor(9.0, ["mean", "peak"])] {
            assert_eq!(a.clone().and(b).unwrap_err().kind(), ErrorKind::InvalidParameter);
        }
    }
}
