//! Two small plots as inline SVG. Colours come from the page.

use std::fmt::Write as _;

use aggregator::audit::{Activity, Share};

use super::html::escape;
use super::text::{date, figure};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 120.0;
const DAY_SECONDS: u64 = 86_400;
/// Years of one plot, the newest.
const YEARS_MAX: usize = 24;

/// Bars with a title each, which a browser shows under the pointer, and a line for the limit.
fn bars(label: &str, bars: &[(f64, String)], limit: Option<f64>) -> String {
    let most = bars.iter().map(|(value, _)| *value).chain(limit).filter(|value| value.is_finite()).fold(0.0, f64::max);
    if bars.is_empty() || most <= 0.0 {
        return String::new();
    }
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
        escape(label)
    );
    #[expect(clippy::cast_precision_loss, reason = "some hundred bars")]
    let step = WIDTH / bars.len() as f64;
    for (number, (value, title)) in (0_u32..).zip(bars) {
        let height = (value.min(most) / most * (HEIGHT - 4.0)).max(1.0);
        let (left, top) = (f64::from(number) * step, HEIGHT - height);
        // A string never fails to be written to.
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{left:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{height:.2}\"><title>{}</title></rect>",
            (step - 1.0).clamp(0.5, 48.0),
            escape(title)
        );
    }
    if let Some(limit) = limit {
        let y = HEIGHT - limit / most * (HEIGHT - 4.0);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y:.2}\" y2=\"{y:.2}\"><title>allowed: {}</title></line>",
            figure(limit)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// ρ of a share by year, under its limit.
pub(super) fn years(share: &Share) -> String {
    let newest = share.years.len().saturating_sub(YEARS_MAX);
    let of_years: Vec<(f64, String)> = share.years[newest..]
        .iter()
        .map(|year| (year.rho, format!("from {}: ρ {}", date(year.from_s), figure(year.rho))))
        .collect();
    let limit = share.years.last().and_then(|year| year.limit);
    bars("ρ by year", &of_years, limit)
}

/// Releases over time.
pub(super) fn activity(activity: &[Activity]) -> String {
    // Steps without a release are gaps in the plot as in time.
    let Some((first, step)) = activity.first().map(|first| (first.day, first.days.max(1))) else {
        return String::new();
    };
    let mut of_time = Vec::new();
    for part in activity {
        let place = usize::try_from((part.day - first) / step).unwrap_or(usize::MAX).min(1000);
        while of_time.len() < place {
            of_time.push((0.0, String::new()));
        }
        #[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
        let releases = part.releases as f64;
        of_time.push((
            releases,
            format!("{} releases in {step} days from {}", part.releases, date(part.day * DAY_SECONDS)),
        ));
    }
    bars("releases over time", &of_time, None)
}
