//! Load, replicas and waiting over time, as an SVG of three panels that share their axis of time.

use std::{error::Error, path::Path, time::Duration};

use anyhow::Context;
use control_plane::{
    PolicyKind,
    replay::{Bucket, Replayed},
};
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    },
    prelude::*,
};

use super::figures::{si, span};

const SIZE: (u32, u32) = (1200, 960);
const TITLE_HEIGHT: u32 = 72;
/// Of the lowest panel, whose axis has a name.
const MORE_BELOW: u32 = 24;
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(90, 90, 90);
/// Waits that are shorter are drawn here: an axis of powers has no zero.
const LEAST_WAIT_MILLIS: f64 = 0.1;
/// From one entry of the legend to the next.
const LEGEND_STEP: i32 = 140;

type Drawn = Result<(), Box<dyn Error>>;

/// One line of a panel.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Writes a plot of the same trace with one or more policies.
///
/// # Errors
///
/// Where the file cannot be written.
pub(crate) fn plot(path: &Path, title: &str, subtitle: &str, replayed: &[Replayed]) -> anyhow::Result<()> {
    let mut svg = String::new();
    draw(&mut svg, title, subtitle, replayed).map_err(|why| anyhow::anyhow!("cannot draw: {why}"))?;
    crate::umask::write_for_user(path, svg.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

fn draw(svg: &mut String, title: &str, subtitle: &str, replayed: &[Replayed]) -> Drawn {
    let Some(first) = replayed.first() else { return Ok(()) };
    let seconds = first.all.series.width.as_secs_f64();
    let load = line("all", GREY, first, |bucket| bucket.requests as f64 / seconds);
    let of_each = |of: &dyn Fn(&Bucket) -> f64| -> Vec<Line> {
        replayed.iter().map(|one| line(one.policy.name(), colour(one.policy), one, of)).collect()
    };
    let replicas = of_each(&|bucket| bucket.instance_seconds / seconds);
    let waits = of_each(&|bucket| (bucket.waits.quantile(0.99).as_secs_f64() * 1e3).max(LEAST_WAIT_MILLIS));

    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(TITLE_HEIGHT);
    head.draw(&Text::new(title.to_owned(), (24, 16), (FONT, 22).into_font().color(&BLACK)))?;
    head.draw(&Text::new(subtitle.to_owned(), (24, 46), (FONT, 15).into_font().color(&GREY)))?;
    legend(&head, &replicas)?;
    let height = (SIZE.1 - TITLE_HEIGHT - MORE_BELOW) / 3;
    let (upper, rest) = body.split_vertically(height);
    let (middle, lower) = rest.split_vertically(height);

    let from_zero = |lines: &[Line]| 0.0..(most(lines) * 1.08).max(0.1);
    panel(&upper, from_zero(std::slice::from_ref(&load)), "load (requests/s)", false, &|v| si(*v), &[load])?;
    panel(&middle, from_zero(&replicas), "replicas (mean)", false, &|v| si(*v), &replicas)?;
    let powers = (LEAST_WAIT_MILLIS * 0.9..most(&waits).max(10.0) * 3.0).log_scale();
    panel(&lower, powers, "wait (p99)", true, &|millis| wait_label(*millis), &waits)?;
    root.present()?;
    Ok(())
}

fn line(name: &'static str, colour: RGBColor, of: &Replayed, value: impl Fn(&Bucket) -> f64) -> Line {
    let series = &of.all.series;
    let hours = series.width.as_secs_f64() / 3600.0;
    let points = series.buckets.iter().enumerate();
    Line { name, colour, points: points.map(|(i, bucket)| ((i as f64 + 0.5) * hours, value(bucket))).collect() }
}

fn most(lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).fold(0.0, f64::max)
}

/// One panel over the axis of time, which only the lowest names.
fn panel<Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    axis: Y,
    label: &str,
    names_time: bool,
    format: &dyn Fn(&f64) -> String,
    lines: &[Line],
) -> Drawn
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let last = lines.iter().flat_map(|line| line.points.last()).map(|(hours, _)| *hours).fold(0.0, f64::max);
    let (scale, unit) = if last > 2.0 { (1.0, "h") } else { (60.0, "min") };
    let mut chart = ChartBuilder::on(area)
        .margin_left(8)
        .margin_right(24)
        .margin_top(6)
        .x_label_area_size(if names_time { 28 + MORE_BELOW } else { 28 })
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..last * scale, axis)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(GREY)
        .label_style((FONT, 14).into_font().color(&BLACK))
        .axis_desc_style((FONT, 15).into_font().color(&BLACK))
        .x_labels(13)
        .y_labels(6)
        .y_desc(label)
        .x_desc(if names_time { format!("time ({unit})") } else { String::new() })
        .x_label_formatter(&|value| si(*value))
        .y_label_formatter(format)
        .draw()?;
    // The first is drawn last, above the others.
    for Line { colour, points, .. } in lines.iter().rev() {
        let points = points.iter().map(|(hours, value)| (hours * scale, *value));
        chart.draw_series(LineSeries::new(points, colour.mix(0.85).stroke_width(1)))?;
    }
    Ok(())
}

/// One for all panels, at the right of the head, where it hides nothing.
fn legend(head: &DrawingArea<SVGBackend<'_>, Shift>, lines: &[Line]) -> Drawn {
    let left = SIZE.0 as i32 - 24 - LEGEND_STEP * lines.len() as i32;
    for (index, Line { name, colour, .. }) in lines.iter().enumerate() {
        let x = left + LEGEND_STEP * index as i32;
        head.draw(&PathElement::new(vec![(x, 26), (x + 20, 26)], colour.stroke_width(3)))?;
        head.draw(&Text::new(*name, (x + 28, 18), (FONT, 15).into_font().color(&BLACK)))?;
    }
    Ok(())
}

/// Those of Okabe and Ito, which people with any sight of colours can tell apart.
fn colour(policy: PolicyKind) -> RGBColor {
    match policy {
        PolicyKind::SqrtStaffing => RGBColor(0, 114, 178),
        PolicyKind::Kpa => RGBColor(213, 94, 0),
        PolicyKind::Hpa => RGBColor(0, 158, 115),
    }
}

fn wait_label(millis: f64) -> String {
    if millis < LEAST_WAIT_MILLIS * 1.01 { "none".to_owned() } else { span(Duration::from_secs_f64(millis / 1e3)) }
}
