//! `logConfiguration`: CloudWatch Logs, or a refusal.

use crate::api::{filled, refuse};
use barge_core::{AwsError, Region};
use barge_wire::batch::error::client_exception;
use barge_wire::batch::{LogConfiguration, LogDriver};

const HONOURED: [&str; 4] = ["awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group"];

pub(super) fn check(at: &str, configuration: &LogConfiguration) -> Result<(), AwsError> {
    let LogConfiguration { log_driver, options, secret_options } = configuration;
    let at = format!("{at}.logConfiguration");
    if *log_driver != LogDriver::Awslogs {
        return Err(client_exception(format!("{at}.logDriver {log_driver} is not available in Barge; use awslogs.")));
    }
    refuse(&[(&format!("{at}.secretOptions"), filled(secret_options.as_ref()))])?;
    for (name, value) in options.iter().flatten() {
        if !HONOURED.contains(&name.as_str()) {
            return refuse(&[(&format!("{at}.options.{name}"), true)]);
        }
        if name == "awslogs-region" && Region::new(value).is_none() {
            return Err(client_exception(format!("awslogs-region {value:?} is not a region.")));
        }
    }
    Ok(())
}
