//! How a function's log is written (Lambda Developer Guide, "Configuring advanced logging controls for Lambda functions"): as text
//! or as JSON, and from which level on. Pure.

use barge_core::{AwsError, Document};
use barge_wire::lambda::{ApplicationLogLevel, LogFormat, LoggingConfig, SystemLogLevel, error};
use serde::{Deserialize, Serialize};

/// What a log's lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Format {
    /// Lambda's own lines are text, and the function's are as it prints them.
    #[default]
    Text,
    /// Lambda's own lines are JSON, the runtimes write what goes through their loggers as JSON, and levels count.
    Json {
        /// The lowest level of the function's lines.
        application: ApplicationLogLevel,
        /// The lowest level of Lambda's own.
        system: SystemLogLevel,
    },
}

impl Format {
    /// The format that a request asks for.
    ///
    /// # Errors
    /// `InvalidParameterValueException` where it gives levels to text.
    pub(crate) fn of(config: &LoggingConfig) -> Result<Self, AwsError> {
        match config.log_format {
            Some(LogFormat::Json) => Ok(Self::Json {
                application: config.application_log_level.unwrap_or(ApplicationLogLevel::Info),
                system: config.system_log_level.unwrap_or(SystemLogLevel::Info),
            }),
            _ if config.application_log_level.is_some() || config.system_log_level.is_some() => {
                Err(error::invalid_parameter_value_exception(
                    "ApplicationLogLevel and SystemLogLevel can be set only where LogFormat is JSON.",
                ))
            }
            _ => Ok(Self::Text),
        }
    }

    /// The format as the API shows it, for logs in `group`.
    pub(crate) fn shown(self, group: String) -> LoggingConfig {
        let (log_format, application_log_level, system_log_level) = match self {
            Self::Text => (LogFormat::Text, None, None),
            Self::Json { application, system } => (LogFormat::Json, Some(application), Some(system)),
        };
        LoggingConfig { log_format: Some(log_format), application_log_level, system_log_level, log_group: Some(group) }
    }

    /// The runtime's variables that tell it.
    pub(crate) fn variables(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Text => vec![("AWS_LAMBDA_LOG_FORMAT", "Text")],
            Self::Json { application, .. } => {
                vec![("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", application.as_str())]
            }
        }
    }

    /// Whether a line that the function printed belongs into the log. An object without a level has INFO; what is not an
    /// object has none.
    pub(crate) fn takes(self, line: &str) -> bool {
        let Self::Json { application, .. } = self else { return true };
        if application == ApplicationLogLevel::Trace || !line.trim_start().starts_with('{') {
            return true;
        }
        let Ok(object @ Document::Map(_)) = Document::from_json(line.as_bytes()) else { return true };
        let level = ["level", "log_level"].into_iter().find_map(|name| object.get(name)?.as_str());
        rank(level.unwrap_or_default()) >= rank(application.as_str())
    }
}

/// Python's loggers have names of their own for two levels.
fn rank(level: &str) -> u8 {
    match level.to_ascii_uppercase().as_str() {
        "TRACE" => 0,
        "DEBUG" => 1,
        "WARN" | "WARNING" => 3,
        "ERROR" => 4,
        "FATAL" | "CRITICAL" => 5,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_belong_to_json() {
        let text = LoggingConfig { system_log_level: Some(SystemLogLevel::Warn), ..LoggingConfig::default() };
        assert!(Format::of(&text).unwrap_err().message.contains("LogFormat"));
        let json = LoggingConfig { log_format: Some(LogFormat::Json), ..text };
        let format = Format::of(&json).unwrap();
        assert_eq!(format, Format::Json { application: ApplicationLogLevel::Info, system: SystemLogLevel::Warn });
        assert_eq!(format.shown("g".to_owned()).application_log_level, Some(ApplicationLogLevel::Info));
    }

    #[test]
    fn lines_below_the_level_are_left_out() {
        let warn = Format::Json { application: ApplicationLogLevel::Warn, system: SystemLogLevel::Info };
        for (line, taken) in [
            ("plain", true),
            ("{broken", true),
            (r#"{"level":"warn"}"#, true),
            (r#"{"level":"WARNING"}"#, true),
            (r#"{"log_level":"ERROR"}"#, true),
            (r#"{"level":"INFO"}"#, false),
            (r#"{"level":"strange"}"#, false),
            (r#"{"text":"x"}"#, false),
        ] {
            assert_eq!(warn.takes(line), taken, "{line}");
            assert!(Format::Text.takes(line));
        }
    }
}
