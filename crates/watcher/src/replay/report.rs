//! `--report`: the result as one page of HTML that needs no network.

use askama::Template;
use jiff::Timestamp;
use serde_json::json;
use web_libraries::{Library, UPLOT_CSS, UPLOT_JS};

use super::{load::Load, output::Summary, run::Run};

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

impl Report<'_> {
    /// The page.
    ///
    /// # Errors
    /// When the template cannot be rendered. A test rules that out.
    pub(super) fn html(&self) -> anyhow::Result<String> {
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

    fn data(&self) -> serde_json::Value {
        let outcome = self.run.outcomes().next().unwrap_or_default();
        let mut data = self.summary.json();
        let more = json!({
            "made_at": Timestamp::now().to_string(),
            "load": self.load.name,
            "start": self.load.start(),
            "seconds": outcome.seconds,
            "unknown_seconds": outcome.unknown_seconds,
            "requests": outcome.requests,
            "price_per_million": self.summary.price,
            "signal": self.run.signal.to_string(),
            "arrivals": self.run.arrivals.name(),
            "series": self.run.chart.as_ref().map(|chart| chart.series()),
            "switches": self.run.chart.as_ref().map(|chart| chart.switches()),
            "sweep": self.summary.sweeps.first().map(|sweep| sweep.json()),
        });
        if let (Some(data), serde_json::Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
            // The page shows the first one only.
            data.remove("sweeps");
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
