//! What a feature row means: ordered names, units, the channel each comes from, window and rate.

use crate::{
    envelope::Fingerprint,
    error::{Error, Result},
    quantity::{Hertz, Timestamp},
    signal::{Channel, WindowSpec},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, sync::Arc};

/// One column of a feature row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Feature {
    /// Unique in its schema, such as `vibration.crest_factor`.
    pub name: String,
    /// Unit as printed behind a number; `""` for a pure number.
    pub unit: String,
    /// The channel it was computed from; contributions are summed over it.
    pub channel: String,
}

/// How the samples behind a waveform's features were taken and cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Samples a second of each channel.
    pub rate: Hertz,
    /// Length and hop of the windows.
    pub window: WindowSpec,
}

/// Ordered names and units of a feature row, with a fingerprint; cheap to clone.
///
/// Two schemas are equal where their fingerprints are: same columns in the same order, same window and rate.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "SchemaData", into = "SchemaData")]
pub struct FeatureSchema(Arc<Inner>);

struct Inner {
    data: SchemaData,
    fingerprint: Fingerprint,
}

#[derive(Clone, Serialize, Deserialize)]
struct SchemaData {
    features: Vec<Feature>,
    sampling: Option<Sampling>,
}

impl SchemaData {
    /// What the fingerprint is of, spelled out so that it does not change with the encoding of files: lines of
    /// `name TAB unit TAB channel`, then rate, length and hop where there are any. Names are quoted as Rust's `Debug` does.
    fn canonical(&self) -> String {
        let mut text = String::from("prognos schema 1\n");
        for f in &self.features {
            text += &format!("{:?}\t{:?}\t{:?}\n", f.name, f.unit, f.channel);
        }
        if let Some(s) = &self.sampling {
            text += &format!(
                "{:016x} {} {}\n",
                s.rate.get().to_bits(),
                s.window.length(),
                s.window.hop()
            );
        }
        text
    }
}

/// The most columns a schema may have.
pub(super) const MAX_FEATURES: usize = 65_535;

impl FeatureSchema {
    /// A schema of these columns.
    ///
    /// # Errors
    /// `InvalidInput` without a column, with more than 65,535, or where a name is empty or taken.
    pub fn new(features: Vec<Feature>, sampling: Option<Sampling>) -> Result<Self> {
        SchemaData { features, sampling }.try_into()
    }

    /// The schema of raw telemetry rows: each channel is its own feature.
    ///
    /// # Errors
    /// As [`FeatureSchema::new`].
    pub fn of_channels(channels: &[Channel]) -> Result<Self> {
        let feature = |c: &Channel| Feature {
            name: c.name.clone(),
            unit: c.unit.clone(),
            channel: c.name.clone(),
        };
        Self::new(channels.iter().map(feature).collect(), None)
    }

    /// Number of columns, at least one.
    #[allow(clippy::len_without_is_empty)] // a schema is never empty
    pub fn len(&self) -> usize {
        self.0.data.features.len()
    }

    /// The columns in order.
    pub fn features(&self) -> &[Feature] {
        &self.0.data.features
    }

    /// Window and rate, where the columns come from waveforms.
    pub fn sampling(&self) -> Option<Sampling> {
        self.0.data.sampling
    }

    /// Position of the column `name`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.data.features.iter().position(|f| f.name == name)
    }

    /// The columns at `indices`, in that order.
    ///
    /// # Errors
    /// `InvalidInput` where an index is out of range or repeats.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let pick = |&i: &usize| {
            let f = self.features().get(i).cloned();
            f.ok_or_else(|| Error::input("column index", format!("below {}", self.len()), i))
        };
        Self::new(indices.iter().map(pick).collect::<Result<_>>()?, self.sampling())
    }

    /// First eight bytes of the SHA-256 of names, units, channels, window and rate.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint
    }

    /// Fails unless `other` is this schema, naming the first difference.
    ///
    /// # Errors
    /// `SchemaMismatch`.
    pub fn expect(&self, other: &FeatureSchema) -> Result<()> {
        if self.fingerprint() == other.fingerprint() {
            return Ok(());
        }
        Err(self.difference(other))
    }

    #[cold]
    fn difference(&self, other: &FeatureSchema) -> Error {
        if self.len() != other.len() {
            return Error::schema("schema", format!("{} columns", self.len()), format!("{}", other.len()));
        }
        let show = |f: &Feature| format!("`{}` [{}] of channel `{}`", f.name, f.unit, f.channel);
        match self
            .features()
            .iter()
            .zip(other.features())
            .enumerate()
            .find(|(_, (a, b))| a != b)
        {
            Some((i, (a, b))) => Error::schema(&format!("schema column {i}"), show(a), show(b)),
            None => Error::schema(
                "schema sampling",
                format!("{:?}", self.sampling()),
                format!("{:?}", other.sampling()),
            ),
        }
    }
}

impl TryFrom<SchemaData> for FeatureSchema {
    type Error = Error;

    fn try_from(data: SchemaData) -> Result<Self> {
        let n = data.features.len();
        if n == 0 || n > MAX_FEATURES {
            return Err(Error::input("schema columns", format!("1..={MAX_FEATURES}"), n));
        }
        let mut seen = HashSet::with_capacity(n);
        for f in &data.features {
            if f.name.is_empty() || !seen.insert(f.name.as_str()) {
                return Err(Error::input(
                    "schema column names",
                    "unique and not empty",
                    format!("`{}`", f.name),
                ));
            }
        }
        let fingerprint = Fingerprint::of(data.canonical().as_bytes());
        Ok(Self(Arc::new(Inner { data, fingerprint })))
    }
}

impl From<FeatureSchema> for SchemaData {
    fn from(s: FeatureSchema) -> Self {
        s.0.data.clone()
    }
}

impl PartialEq for FeatureSchema {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

impl Eq for FeatureSchema {}

impl std::fmt::Debug for FeatureSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeatureSchema")
            .field("fingerprint", &self.fingerprint())
            .field("features", &self.features())
            .field("sampling", &self.sampling())
            .finish()
    }
}

/// One feature row as a model sees it: values in the order of a schema, and the instant they belong to.
#[derive(Clone, Copy, Debug)]
pub struct FeatureView<'a> {
    schema: &'a FeatureSchema,
    values: &'a [f64],
    time: Option<Timestamp>,
}

impl<'a> FeatureView<'a> {
    /// A row without an instant, for models that need none.
    ///
    /// # Errors
    /// `SchemaMismatch` where the number of values differs from the schema's.
    pub fn new(schema: &'a FeatureSchema, values: &'a [f64]) -> Result<Self> {
        if schema.len() != values.len() {
            return Err(Error::schema(
                "feature row",
                format!("{} values", schema.len()),
                values.len(),
            ));
        }
        Ok(Self {
            schema,
            values,
            time: None,
        })
    }

    /// The same row at an instant.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// The schema the values follow.
    pub fn schema(&self) -> &'a FeatureSchema {
        self.schema
    }

    /// The values; NaN is missing.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// The instant, where one was given.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn schema(names: &[&str]) -> FeatureSchema {
        let channels: Vec<_> = names.iter().map(|n| Channel::new(*n, "g")).collect();
        FeatureSchema::of_channels(&channels).unwrap()
    }

    #[test]
    fn fingerprint_sees_order_units_and_names() {
        assert_eq!(schema(&["a", "b"]), schema(&["a", "b"]));
        assert_ne!(schema(&["a", "b"]), schema(&["b", "a"]));
        let e = schema(&["a", "b"]).expect(&schema(&["a", "c"])).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::SchemaMismatch);
        assert!(e.to_string().contains("`b`") && e.to_string().contains("`c`"), "{e}");
    }

    #[test]
    fn fingerprints_do_not_change_with_the_encoding() {
        assert_eq!(schema(&["a", "b"]).fingerprint().to_string(), "b4958b79c86cb277");
    }

    #[test]
    fn hostile_schemas_do_not_deserialise() {
        for names in [vec![], vec!["a", "a"], vec![""]] {
            let features = names.iter().map(|n| Feature {
                name: (*n).into(),
                unit: String::new(),
                channel: String::new(),
            });
            let data = SchemaData {
                features: features.collect(),
                sampling: None,
            };
            let bytes = rmp_serde::to_vec_named(&data).unwrap();
            assert!(rmp_serde::from_slice::<FeatureSchema>(&bytes).is_err(), "{names:?}");
        }
        let good = schema(&["a"]);
        let bytes = rmp_serde::to_vec_named(&good).unwrap();
        assert_eq!(rmp_serde::from_slice::<FeatureSchema>(&bytes).unwrap(), good);
        assert!(good.select(&[1]).is_err() && good.select(&[0, 0]).is_err());
    }

    #[test]
    fn a_view_has_the_schema_s_width() {
        let s = schema(&["a"]);
        assert_eq!(FeatureView::new(&s, &[]).unwrap_err().kind(), ErrorKind::SchemaMismatch);
        assert_eq!(
            FeatureView::new(&s, &[1.0])
                .unwrap()
                .at(Timestamp::from_secs(1))
                .time()
                .unwrap()
                .nanos(),
            1_000_000_000
        );
    }
}
