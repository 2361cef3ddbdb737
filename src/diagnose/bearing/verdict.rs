//! The rule from combs to a verdict.

use super::{
    BearingFault, BearingReport, BearingVerdict, FaultCandidate, FaultLine,
    envelope_orders::{Comb, EnvelopeOrders, HARMONICS},
};
use crate::{features::bearing::BearingOrders, quantity::Hertz};

// One set for every bearing, chosen on drive-end records of the CWRU rig: each moved down and up by a fifth or more, none makes
// a verdict there wrong. Scores are mean heights in nepers of power, depths amplitudes relative to the mean envelope.
const RACE_SCORE: f64 = 2.5;
const ELEMENT_SCORE: f64 = 1.8;
const DEPTH: f64 = 0.20;
const MARGIN: f64 = 0.7;
/// How much stronger than the candidate another comb may be, for rounding of its place.
const RIVAL: f64 = 0.15;
/// Lines between those of the candidate may have this share of its score.
const BETWEEN: f64 = 0.6;
const RACE_SLIP: f64 = 0.01;
const ELEMENT_SLIP: f64 = 0.02;
const CAGE_SCORE: f64 = 2.5;
const HEALTHY_KURTOSIS: f64 = 4.0;
const HEALTHY_SCORE: f64 = 1.9;
const HEALTHY_DEPTH: f64 = 0.12;

/// What was measured of a record.
pub(super) struct Measured {
    pub(super) raw: EnvelopeOrders,
    pub(super) white: EnvelopeOrders,
    /// Of the raw envelope in longer segments.
    pub(super) slow: EnvelopeOrders,
    /// The strongest comb of the prewhitened spectrum.
    pub(super) strongest: Comb,
    pub(super) kurtosis: f64,
    pub(super) shaft: Hertz,
    pub(super) shaft_is_refined: bool,
}

struct Candidate {
    fault: BearingFault,
    comb: Comb,
    depth: f64,
}

pub(super) fn judge(m: &Measured, orders: &BearingOrders) -> BearingReport {
    let faults = [
        (BearingFault::InnerRace, orders.bpfi(), RACE_SLIP),
        (BearingFault::OuterRace, orders.bpfo(), RACE_SLIP),
        (BearingFault::Ball, 2.0 * orders.bsf(), ELEMENT_SLIP),
    ];
    let of = |spectrum: &EnvelopeOrders| {
        faults.map(|(fault, order, slip)| {
            let comb = spectrum.comb(order, slip);
            Candidate {
                fault,
                comb,
                depth: spectrum.depth(comb.order),
            }
        })
    };
    let (mut white, raw) = (of(&m.white), of(&m.raw));
    let candidates = white
        .iter()
        .zip(faults)
        .map(|(c, (_, nominal, _))| described(m, c, nominal, orders))
        .collect();
    white.sort_by(|a, b| b.comb.score.total_cmp(&a.comb.score));
    let strongest = m.strongest;
    let cage = m.slow.comb(orders.ftf(), ELEMENT_SLIP);
    let mut report = BearingReport {
        verdict: BearingVerdict::Undetermined,
        confidence: 0.0,
        shaft_hz: m.shaft.get(),
        shaft_is_refined: m.shaft_is_refined,
        candidates,
        strongest_order: strongest.order,
        strongest_score: strongest.score,
        kurtosis: m.kurtosis,
        evidence: Vec::new(),
    };
    if !m.shaft_is_refined {
        report.say("no clear speed within 2% of the stated one; the stated one was used");
    }
    let [first, second, _] = &white;
    match claim(first, second, &strongest, &m.white) {
        Ok((confidence, text)) => {
            report.verdict = first.fault.into();
            report.confidence = confidence;
            report.say(text);
        }
        Err(reason) => {
            report.say(reason);
            match healthy(m, &raw, &white, &strongest) {
                Ok(text) => {
                    report.verdict = BearingVerdict::Healthy;
                    // Without a baseline of the same machine no more is known.
                    report.confidence = 0.5;
                    report.say(text);
                }
                Err(reason) => {
                    report.say(reason);
                    if cage.score >= CAGE_SCORE && cage.is_inside {
                        report.say(format!(
                            "hint: lines at multiples of the cage's order {:.3} (score {:.1}): ball or cage",
                            cage.order, cage.score
                        ));
                    }
                }
            }
        }
    }
    report
}

/// The confidence and grounds of a claim, or what keeps from it.
fn claim(
    first: &Candidate,
    second: &Candidate,
    strongest: &Comb,
    white: &EnvelopeOrders,
) -> Result<(f64, String), String> {
    let (name, comb) = (first.fault.name(), &first.comb);
    let least = if first.fault == BearingFault::Ball {
        ELEMENT_SCORE
    } else {
        RACE_SCORE
    };
    let lead = comb.score - second.comb.score;
    let no = |why: String| {
        Err(format!(
            "no fault is claimed: the best comb, {name} at order {:.3}, {why}",
            comb.order
        ))
    };
    if comb.score < least {
        return no(format!("scores {:.1}, below {least}", comb.score));
    }
    if first.depth < DEPTH {
        return no(format!(
            "modulates by {:.0}%, below {:.0}%",
            100.0 * first.depth,
            100.0 * DEPTH
        ));
    }
    if lead < MARGIN {
        return no(format!(
            "leads {} by {lead:.1} only, below {MARGIN}",
            second.fault.name()
        ));
    }
    if !comb.is_inside {
        return no("is stronger beyond the slip of such a fault".into());
    }
    if comb.score < strongest.score - RIVAL {
        return no(format!(
            "scores {:.1}, but one at order {:.3} {:.1}",
            comb.score, strongest.order, strongest.score
        ));
    }
    let between = white.between(comb.order);
    if between > BETWEEN * comb.score {
        return no(format!(
            "has lines between its own (score {between:.1}): it is part of a slower one"
        ));
    }
    // At its threshold a condition counts one half, at twice that one.
    let ratios = [comb.score / least, first.depth / DEPTH, lead / MARGIN];
    let confidence = ratios.into_iter().fold(2.0, f64::min) / 2.0;
    let text = format!(
        "{name}: comb at order {:.3} scores {:.1} nepers over its surroundings in the prewhitened envelope, modulates by {:.0}%, \
         leads {} by {lead:.1} and is the strongest comb of all",
        comb.order,
        comb.score,
        100.0 * first.depth,
        second.fault.name()
    );
    Ok((confidence, text))
}

/// The grounds on which a bearing counts as healthy, or what keeps from it.
fn healthy(m: &Measured, raw: &[Candidate], white: &[Candidate], strongest: &Comb) -> Result<String, String> {
    let no = |why: String| Err(format!("not healthy either: {why}"));
    if m.kurtosis >= HEALTHY_KURTOSIS {
        return no(format!("kurtosis {:.1}, not below {HEALTHY_KURTOSIS}", m.kurtosis));
    }
    for c in raw {
        if c.comb.score >= HEALTHY_SCORE || c.depth >= HEALTHY_DEPTH {
            return no(format!(
                "{} scores {:.1} and modulates by {:.0}% in the envelope",
                c.fault.name(),
                c.comb.score,
                100.0 * c.depth
            ));
        }
    }
    if let Some(c) = white.iter().find(|c| c.depth >= DEPTH) {
        let depth = 100.0 * c.depth;
        return no(format!(
            "{} modulates by {depth:.0}% in the prewhitened envelope",
            c.fault.name()
        ));
    }
    if strongest.score >= HEALTHY_SCORE {
        return no(format!(
            "an unexplained comb at order {:.3} scores {:.1}",
            strongest.order, strongest.score
        ));
    }
    Ok(format!(
        "healthy as far as one record without a baseline can tell: kurtosis {:.1}, no comb of this bearing above its \
         surroundings",
        m.kurtosis
    ))
}

fn described(m: &Measured, c: &Candidate, nominal: f64, orders: &BearingOrders) -> FaultCandidate {
    // What a fault passes the load zone with: the inner ring turns with the shaft, an element with the cage.
    let spacing = match c.fault {
        BearingFault::Ball => orders.ftf(),
        _ => 1.0,
    };
    let decibel = |height: f64| height * 10.0 / std::f64::consts::LN_10;
    let lines = (1..=HARMONICS).filter_map(|h| {
        let order = c.comb.order * f64::from(h);
        let height = m.white.height(order)?;
        let sides = [order - spacing, order + spacing].map(|o| m.white.height(o).unwrap_or(0.0));
        Some(FaultLine {
            harmonic: h,
            order,
            frequency_hz: order * m.shaft.get(),
            signal_to_noise_db: decibel(height),
            amplitude_percent: 100.0 * m.white.amplitude(order),
            sideband_spacing_orders: spacing,
            sideband_signal_to_noise_db: decibel(0.5 * (sides[0] + sides[1])),
        })
    });
    FaultCandidate {
        fault: c.fault,
        nominal_order: nominal,
        order: c.comb.order,
        slip_percent: 100.0 * (c.comb.order / nominal - 1.0),
        score: c.comb.score,
        modulation_percent: 100.0 * c.depth,
        lines: lines.collect(),
    }
}
