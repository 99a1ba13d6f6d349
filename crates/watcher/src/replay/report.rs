//! `--report`: the result as one page of HTML that needs no network.

use std::{
    fs::{self, OpenOptions},
    path::Path,
};

use anyhow::Context as _;
use askama::Template;
use jiff::Timestamp;
use serde_json::{Value, json};
use web_libraries::{Library, UPLOT_CSS, UPLOT_JS};

use super::{chart::Chart, load::Load, output::Summary, run::Run};

/// The parts of the script, which share one scope, in their order.
const SCRIPT: [&str; 7] = [
    include_str!("../../web/report-text.js"),
    include_str!("../../web/report-plot.js"),
    include_str!("../../web/report-markers.js"),
    include_str!("../../web/report-timeline.js"),
    include_str!("../../web/report-frontier.js"),
    include_str!("../../web/report-tables.js"),
    include_str!("../../web/report.js"),
];

/// The parts of the style, in their order.
const STYLE: [&str; 2] =
    [include_str!("../../web/report.css"), include_str!("../../web/report-charts.css")];

/// What a report shows.
pub(super) struct Report<'a> {
    pub(super) load: &'a Load,
    pub(super) summary: &'a Summary,
    /// The run of the charts.
    pub(super) run: &'a Run,
}

/// The page. Its script makes everything from the data.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    libraries: String,
    style: String,
    script: String,
    data: String,
}

/// Finds out whether a report can be written to this file, and leaves everything as it is.
pub(super) fn check(path: &Path) -> anyhow::Result<()> {
    let is_new = !path.exists();
    OpenOptions::new().append(true).create(true).open(path).with_context(|| named(path))?;
    if is_new {
        fs::remove_file(path).with_context(|| named(path))?;
    }
    Ok(())
}

fn named(path: &Path) -> String {
    format!("--report: {}", path.display())
}

impl Report<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let html = self.html()?;
        fs::write(path, html).with_context(|| named(path))
    }

    /// The page. A test rules out that it cannot be rendered.
    fn html(&self) -> anyhow::Result<String> {
        let page = Page {
            title: format!("Replay of {}", self.load.name),
            libraries: style_sheet(&UPLOT_CSS) + &script(&UPLOT_JS),
            style: STYLE.join("\n"),
            script: SCRIPT.join("\n"),
            // No text of the data may end the element that it is in.
            data: self.data().to_string().replace('<', "\\u003c"),
        };
        Ok(page.render()?)
    }

    fn data(&self) -> Value {
        let outcome = self.run.outcomes().next().unwrap_or_default();
        let chart = self.run.chart.as_ref();
        let mut data = self.summary.json();
        // The page shows the first sweep only, which is of the same run as the charts.
        let sweep = data["sweeps"].get_mut(0).map(Value::take);
        data["sweep"] = json!(sweep);
        data["sweeps"].take();
        for (name, value) in [
            ("made_at", json!(Timestamp::now().to_string())),
            ("load", json!(self.load.name)),
            ("start", json!(self.load.start())),
            ("seconds", json!(outcome.seconds)),
            ("unknown_seconds", json!(outcome.unknown_seconds)),
            ("requests", json!(outcome.requests)),
            ("price_per_million", json!(self.summary.price)),
            ("signal", json!(self.run.signal.to_string())),
            ("arrivals", json!(self.run.arrivals.name())),
            ("series", json!(chart.map(Chart::series))),
            ("switches", json!(chart.map(Chart::switches))),
        ] {
            data[name] = value;
        }
        data
    }
}

fn style_sheet(library: &Library) -> String {
    match library.embedded {
        Some(bytes) => format!("<style>{}</style>", String::from_utf8_lossy(bytes)),
        None => format!(
            r#"<link rel="stylesheet" href="{}" integrity="{}" crossorigin="anonymous">"#,
            library.url, library.integrity
        ),
    }
}

fn script(library: &Library) -> String {
    match library.embedded {
        Some(bytes) => format!("<script>{}</script>", String::from_utf8_lossy(bytes)),
        None => format!(
            r#"<script src="{}" integrity="{}" crossorigin="anonymous"></script>"#,
            library.url, library.integrity
        ),
    }
}
