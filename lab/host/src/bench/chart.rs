//! The result of a comparison as a drawing (SVG), readable on light and on dark ground.

use super::report::{Report, Row, number};

const WIDTH: usize = 860;
/// Where bars begin, and how long the longest is.
const LEFT: usize = 400;
const LONGEST: f64 = 330.0;
const BAR: usize = 14;
const GAP: usize = 12;
const TOP: usize = 64;
/// One for each driver, and again from the start. They differ in lightness, not in hue alone.
const COLOURS: [&str; 4] = ["#8a94a3", "#2f81f7", "#d29922", "#3fb950"];

/// Draws groups of bars, one group for each row. Bars of a group share their scale; groups do not.
pub fn draw(report: &Report) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for row in report.rows.iter().filter(|row| highest(row) > 0.0) {
        group(&mut body, &mut y, row, report);
    }
    let legend: String = report
        .drivers
        .iter()
        .enumerate()
        .map(|(index, driver)| {
            let x = LEFT + index * 110;
            let colour = colour(index);
            let label = escape(&driver.label);
            format!(
                "<rect x=\"{x}\" y=\"36\" width=\"12\" height=\"12\" rx=\"2\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"46\">{label}</text>\n",
                x + 18
            )
        })
        .collect();
    let title = format!(
        "e1000d on Redox, QEMU {}, {} processor(s), {}, medians of {}",
        report.nic, report.smp, report.date, report.repeats
    );
    let title = escape(&title);
    let height = y + GAP;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n\
         <title>{title}</title>\n\
         <style>\n\
         text {{ font: 12px system-ui, sans-serif; fill: #1f2328; }}\n\
         .title {{ font-size: 15px; font-weight: 600; }}\n\
         .less {{ fill: #59636e; }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3; }} .less {{ fill: #9198a1; }} }}\n\
         </style>\n\
         <text class=\"title\" x=\"12\" y=\"22\">{title}</text>\n{legend}{body}</svg>\n"
    )
}

fn group(body: &mut String, y: &mut usize, row: &Row, report: &Report) {
    let scale = LONGEST / highest(row);
    let better = if row.lower_is_better { "less" } else { "more" };
    body.push_str(&format!(
        "<text x=\"12\" y=\"{}\">{}</text>\n<text class=\"less\" x=\"12\" y=\"{}\">{}{}, {better} is better</text>\n",
        *y + 11,
        escape(row.title),
        *y + 26,
        row.kind.word(),
        match row.unit {
            "" => String::new(),
            unit => format!(", {}", escape(unit)),
        },
    ));
    let start = *y;
    for (index, driver) in report.drivers.iter().enumerate() {
        let Some(cell) = row.cells.get(&driver.label) else {
            continue;
        };
        let length = (cell.summary.median * scale).max(1.0);
        let text = match cell.of_reference {
            Some(ratio) if cell.target.is_some() => format!("{} ({ratio:.2} x)", number(cell.summary.median)),
            _ => number(cell.summary.median),
        };
        body.push_str(&format!(
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>\n",
            colour(index),
            LEFT as f64 + length + 6.0,
            *y + 11,
            escape(&text),
            y = *y,
        ));
        *y += BAR + 2;
    }
    *y = (*y).max(start + 2 * BAR + 2) + GAP;
}

fn highest(row: &Row) -> f64 {
    row.cells
        .values()
        .map(|cell| cell.summary.median)
        .fold(0.0, f64::max)
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

/// Text for XML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            // What XML cannot hold.
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::{Driver, rows};

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escape("a<b> & \"c\"'\u{7}"),
            "a&lt;b&gt; &amp; &quot;c&quot;&apos;\u{fffd}"
        );
    }

    #[test]
    fn longest_bar_of_a_group_fills_it() {
        let driver = |label: &str, value| Driver {
            label: label.to_owned(),
            sha256: String::new(),
            values: [("ping", vec![value]), ("faults", vec![0.0])].into(),
        };
        let drivers = vec![driver("stock", 400.0), driver("<new>", 100.0)];
        let chart = draw(&Report {
            date: "2026-01-01".to_owned(),
            qemu: String::new(),
            nic: "e1000".to_owned(),
            icount: false,
            smp: 1,
            repeats: 1,
            rows: rows(&drivers, false, 1),
            drivers,
            boots: Vec::new(),
        });
        assert_eq!(
            chart.matches("<rect").count(),
            4,
            "two bars and the legend, and none for nothing"
        );
        assert!(
            chart.contains("width=\"330.0\"") && chart.contains("width=\"82.5\""),
            "{chart}"
        );
        assert!(chart.contains("&lt;new&gt;") && !chart.contains("<new>"));
        assert!(chart.contains("100 (0.25 x)"));
    }
}
