//! What the demo prints.

use crate::pipeline::Row;
use aws_sdk_batch::types::JobDetail;
use aws_sdk_cloudformation::types::{ResourceStatus, StackEvent};

/// The columns of the table that are shown, and how wide.
const COLUMNS: &[(&str, usize)] =
    &[("ProductId", 12), ("ProductName", 26), ("ProductDescription", 48), ("Filename", 12)];

pub(crate) fn title(text: &str) {
    println!("\n== {text}");
}

pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// A resource that completed or failed; what is in progress is not worth a line.
pub(crate) fn event(event: &StackEvent) {
    let Some(status) = &event.resource_status else { return };
    if matches!(status, ResourceStatus::CreateInProgress | ResourceStatus::DeleteInProgress) {
        return;
    }
    println!(
        "  {:<18} {:<40} {:<28} {}",
        status.as_str(),
        event.resource_type.as_deref().unwrap_or_default(),
        event.logical_resource_id.as_deref().unwrap_or_default(),
        event.resource_status_reason.as_deref().unwrap_or_default(),
    );
}

/// The job's states with their times, in milliseconds since it was submitted.
pub(crate) fn job(job: &JobDetail) {
    println!(
        "  job {} ({}): {}",
        job.job_name.as_deref().unwrap_or_default(),
        job.job_id.as_deref().unwrap_or_default(),
        job.status_reason.as_deref().unwrap_or_default(),
    );
    let created = job.created_at.unwrap_or_default();
    let ended = job.status.as_ref().map_or("ENDED", |status| status.as_str());
    for (state, moment) in [("SUBMITTED", job.created_at), ("RUNNING", job.started_at), (ended, job.stopped_at)] {
        if let Some(moment) = moment {
            println!("    {state:<10} +{} ms", moment - created);
        }
    }
}

pub(crate) fn log(lines: &[String]) {
    println!("  its log:");
    for line in lines {
        println!("    {line}");
    }
}

pub(crate) fn rows(rows: &[Row]) {
    println!("  the table's rows:");
    let cut = |text: &str, width: usize| text.chars().take(width).collect::<String>();
    let print = |cell: &dyn Fn(&str) -> String| {
        let cells = COLUMNS.iter().map(|(name, width)| format!("{:<width$}", cut(&cell(name), *width)));
        println!("    {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(&|name: &str| name.to_owned());
    for row in rows {
        print(&|name: &str| row.get(name).map(|cell| cell.replace(char::is_whitespace, " ")).unwrap_or_default());
    }
}
