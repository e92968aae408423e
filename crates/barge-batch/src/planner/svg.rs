//! A timeline as a chart: jobs of each queue by state, vCPUs and memory in use. Readable on light and dark grounds.

use super::table::{count, time};
use super::{Outcome, Sample};
use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
/// Where the plots begin and end, from the left.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 940.0;
const PLOT_HEIGHT: f64 = 180.0;
/// From one panel's top to the next.
const PANEL: f64 = 262.0;
/// From a panel's top to its plot's.
const HEAD: f64 = 44.0;
/// Lines across a plot at most, and ticks below it.
const TICKS: f64 = 5.0;

const STYLE: &str = "
svg { background: #ffffff; font: 12px system-ui, sans-serif; }
text { fill: #24292f; } .title { font-size: 14px; font-weight: 600; } .tick { fill: #57606a; }
.grid { stroke: #d0d7de; stroke-width: 1; } .most { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 6 4; fill: none; }
.s0 { fill: #8c959f; } .s1 { fill: #d4a72c; } .s2 { fill: #54aeff; } .s3 { fill: #2da44e; } .level { fill: #8250df; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; } text { fill: #e6edf3; } .tick { fill: #8d96a0; } .grid { stroke: #30363d; }
.most { stroke: #ff7b72; } .s0 { fill: #6e7681; } .s1 { fill: #bb8009; } .s2 { fill: #388bfd; } .s3 { fill: #3fb950; }
.level { fill: #a371f7; } }
";

/// One plot.
struct Panel<'a> {
    title: String,
    /// From the ground up: what is in the legend, its class, its values.
    layers: Vec<(&'a str, String, Vec<f64>)>,
    /// A line that is not to be crossed.
    most: Option<f64>,
}

/// The chart of an outcome, as the text of an SVG file.
pub fn chart(outcome: &Outcome) -> String {
    let panels = panels(outcome);
    let last = outcome.timeline.samples.last().map_or(0.0, |sample| sample.at_seconds).max(1.0);
    let height = PANEL * count_of(&panels) + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Jobs and utilisation over time\">\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"24\">{}: {} to the last end</text>\n",
        escaped(&outcome.title),
        time(outcome.makespan_seconds)
    );
    let times: Vec<f64> = outcome.timeline.samples.iter().map(|sample| sample.at_seconds / last).collect();
    let mut top = 40.0;
    for panel in &panels {
        draw(&mut svg, panel, &times, last, top);
        top += PANEL;
    }
    svg.push_str("</svg>\n");
    svg
}

#[allow(clippy::cast_precision_loss)] // a few
fn count_of<T>(things: &[T]) -> f64 {
    things.len() as f64
}

fn panels(outcome: &Outcome) -> Vec<Panel<'_>> {
    let timeline = &outcome.timeline;
    let values = |of: &dyn Fn(&Sample) -> f64| timeline.samples.iter().map(of).collect::<Vec<f64>>();
    let mut panels = Vec::new();
    for (number, queue) in timeline.queues.iter().enumerate() {
        // What runs stands on the ground, what waits longest is on top.
        let layers = (0..timeline.states.len()).rev().map(|state| {
            #[allow(clippy::cast_precision_loss)] // drawn
            let jobs = |sample: &Sample| sample.queues[number][state] as f64;
            (timeline.states[state], format!("s{state}"), values(&jobs))
        });
        panels.push(Panel { title: format!("Jobs in {queue}"), layers: layers.collect(), most: None });
    }
    let utilisation = |part: Option<f64>| {
        part.map_or(String::new(), |part| format!(", {:.0} % of the maximum on average", part * 100.0))
    };
    let (vcpus, memory) = (&outcome.vcpus, &outcome.memory_gib);
    panels.push(Panel {
        title: format!("vCPUs in use{}", utilisation(vcpus.utilisation)),
        layers: vec![("in use", "level".to_owned(), values(&|sample| sample.vcpus))],
        most: vcpus.most,
    });
    panels.push(Panel {
        title: format!("GiB of memory in use{}", utilisation(memory.utilisation)),
        layers: vec![("in use", "level".to_owned(), values(&|sample| sample.memory_gib))],
        most: memory.most,
    });
    panels
}

fn draw(svg: &mut String, panel: &Panel<'_>, times: &[f64], last: f64, top: f64) {
    let sums: Vec<f64> = (0..times.len()).map(|at| panel.layers.iter().map(|layer| layer.2[at]).sum()).collect();
    let highest = sums.iter().copied().fold(0.0, f64::max);
    // A maximum far above everything would press the plot flat.
    let most = panel.most.filter(|most| *most <= highest * 4.0);
    let step = round_step(highest.max(most.unwrap_or(0.0)).max(1.0) / TICKS);
    let ceiling = (highest.max(most.unwrap_or(0.0)).max(1.0) / step).ceil() * step;
    let (ground, roof) = (top + HEAD + PLOT_HEIGHT, top + HEAD);
    let y = |value: f64| ground - value / ceiling * PLOT_HEIGHT;
    let x = |part: f64| LEFT + part * (RIGHT - LEFT);
    let _ =
        writeln!(svg, "<text class=\"title\" x=\"{LEFT}\" y=\"{:.0}\">{}</text>", top + 14.0, escaped(&panel.title));
    legend(svg, panel, most, top + 32.0);
    let mut value = 0.0;
    while value <= ceiling + step / 2.0 {
        let (at, label) = (y(value), label(value, step));
        let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0,
            at + 4.0
        );
        value += step;
    }
    let mut floor = vec![0.0; times.len()];
    for (_, class, values) in &panel.layers {
        let upper: Vec<f64> = floor.iter().zip(values).map(|(floor, value)| floor + value).collect();
        if values.iter().any(|value| *value > 0.0) {
            let mut path = String::new();
            outline(&mut path, times, &upper, &floor, x, y);
            let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
        floor = upper;
    }
    if let Some(most) = most {
        let _ = writeln!(svg, "<path class=\"most\" d=\"M{LEFT} {:.1}H{RIGHT}\"/>", y(most));
    }
    let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {roof:.1}V{ground:.1}\"/>");
    let step = time_step(last / TICKS);
    let mut at = 0.0;
    while at <= last {
        let anchor = match at / last {
            0.0 => "start",
            part if part > 0.97 => "end",
            _ => "middle",
        };
        let (x, y, text) = (x(at / last), ground + 18.0, time(at));
        let _ = writeln!(svg, "<text class=\"tick\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
        at += step;
    }
}

fn legend(svg: &mut String, panel: &Panel<'_>, most: Option<f64>, y: f64) {
    let mut x = LEFT;
    for (name, class, _) in panel.layers.iter().rev() {
        let _ =
            writeln!(svg, "<rect class=\"{class}\" x=\"{x:.0}\" y=\"{:.0}\" width=\"11\" height=\"11\"/>", y - 10.0);
        let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{y:.0}\">{name}</text>", x + 16.0);
        x += 110.0;
    }
    if let Some(most) = most {
        let _ = writeln!(svg, "<path class=\"most\" d=\"M{x:.0} {:.0}h24\"/>", y - 4.0);
        let _ = writeln!(svg, "<text x=\"{:.0}\" y=\"{y:.0}\">maximum {}</text>", x + 30.0, label(most, 0.1));
    }
}

/// Around what is between two lines, in steps: a count holds until the next sample.
fn outline(
    path: &mut String,
    times: &[f64],
    upper: &[f64],
    floor: &[f64],
    x: impl Fn(f64) -> f64,
    y: impl Fn(f64) -> f64,
) {
    for (number, (time, value)) in times.iter().zip(upper).enumerate() {
        let (x, y) = (x(*time), y(*value));
        let _ = if number == 0 { write!(path, "M{x:.1} {y:.1}") } else { write!(path, "H{x:.1}V{y:.1}") };
    }
    for (number, time) in times.iter().enumerate().rev() {
        let (x, y) = (x(*time), y(floor[number]));
        let _ = if number + 1 == times.len() { write!(path, "V{y:.1}") } else { write!(path, "V{y:.1}H{x:.1}") };
    }
    path.push('Z');
}

/// The next larger of 1, 2 and 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= least).unwrap_or(least)
}

/// The next larger of times that people count in, in seconds.
fn time_step(least: f64) -> f64 {
    const STEPS: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0,
        43_200.0, 86_400.0,
    ];
    STEPS.into_iter().find(|step| *step >= least).unwrap_or_else(|| (least / 86_400.0).ceil() * 86_400.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and not below 0
fn label(value: f64, step: f64) -> String {
    if step >= 1.0 || value.fract() == 0.0 { count(value.round() as u64) } else { format!("{value:.1}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // exact by construction
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (least, step) in [(0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (70.0, 100.0)] {
            assert_eq!(round_step(least), step);
        }
        for (least, step) in [(0.2, 1.0), (61.0, 120.0), (90_000.0, 172_800.0)] {
            assert_eq!(time_step(least), step);
        }
    }

    #[test]
    fn names_can_not_break_out() {
        assert_eq!(escaped("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }
}
