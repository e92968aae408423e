//! Which job an upload asks for. Pure.

use crate::event::Upload;

/// What the function's environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `JOB_QUEUE`: name or ARN.
    pub(crate) queue: String,
    /// `JOB_DEFINITION`: name, name and revision, or ARN.
    pub(crate) definition: String,
    /// `DB_TABLE_NAME`.
    pub(crate) table: String,
    /// `AWS_REGION`, which Lambda sets: bucket, function and table are in the same.
    pub(crate) region: String,
    /// `ARRAY_THRESHOLD_BYTES`: the most that one job loads; a larger file becomes an array job. Unset: no file does.
    pub(crate) threshold: Option<u64>,
}

/// The environment lacks something, or has nonsense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// A variable isn't set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The threshold isn't a number above 0.
    #[error("ARRAY_THRESHOLD_BYTES must be a number of bytes above 0, not {0:?}")]
    Threshold(String),
}

impl Settings {
    /// Reads the settings by `variable`, which looks up the environment.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name| set(name).ok_or(SettingsError::Missing(name));
        let threshold = set("ARRAY_THRESHOLD_BYTES").map(|value| match value.parse() {
            Ok(bytes) if bytes > 0 => Ok(bytes),
            _ => Err(SettingsError::Threshold(value)),
        });
        Ok(Self {
            queue: required("JOB_QUEUE")?,
            definition: required("JOB_DEFINITION")?,
            table: required("DB_TABLE_NAME")?,
            region: required("AWS_REGION")?,
            threshold: threshold.transpose()?,
        })
    }
}

/// The members of SubmitJob that differ from upload to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// The job's name, the same for the same key.
    pub(crate) name: String,
    /// The container's environment.
    pub(crate) environment: [(&'static str, String); 4],
    /// Number of children, if it is an array job.
    pub(crate) children: Option<i32>,
}

/// The job that loads an upload.
pub(crate) fn job(upload: Upload, settings: &Settings) -> Job {
    Job {
        name: name(&upload.key),
        children: children(upload.size, settings.threshold),
        environment: [
            ("InputBucket", upload.bucket),
            ("FileName", upload.key),
            ("Region", settings.region.clone()),
            ("DBTableName", settings.table.clone()),
        ],
    }
}

/// As many children as it takes for none to load more than the threshold, within what Batch has: 2 to 10,000.
fn children(size: u64, threshold: Option<u64>) -> Option<i32> {
    let threshold = threshold.filter(|&threshold| size > threshold)?;
    i32::try_from(size.div_ceil(threshold).clamp(2, 10_000)).ok()
}

/// A name that Batch takes (API Reference, SubmitJob: letters, digits, hyphens, underscores; the first a letter or
/// digit; at most 128). It is for people to read, and needn't be unique.
fn name(key: &str) -> String {
    let legal = |letter: char| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' };
    let stem = key.strip_suffix(".csv").unwrap_or(key);
    format!("load-{stem}").chars().map(legal).take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(threshold: Option<&str>) -> Result<Settings, SettingsError> {
        Settings::read(|name| match name {
            "JOB_QUEUE" => Some("queue".to_owned()),
            "JOB_DEFINITION" => Some("loader".to_owned()),
            "DB_TABLE_NAME" => Some("products".to_owned()),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "ARRAY_THRESHOLD_BYTES" => threshold.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn the_job_knows_what_to_load_and_where() {
        let upload = Upload { bucket: "in".to_owned(), key: "a b.csv".to_owned(), size: 10 };
        let job = job(upload, &settings(None).unwrap());
        assert_eq!(job.name, "load-a-b");
        assert_eq!(job.children, None);
        let expected =
            [("InputBucket", "in"), ("FileName", "a b.csv"), ("Region", "eu-west-1"), ("DBTableName", "products")];
        assert_eq!(job.environment, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_file_above_the_threshold_is_an_array() {
        let cases = [(100, None), (101, Some(2)), (200, Some(2)), (201, Some(3)), (5_000_000, Some(10_000))];
        for (size, expected) in cases {
            assert_eq!(children(size, Some(100)), expected, "{size} bytes");
        }
        assert_eq!(children(u64::MAX, None), None);
        assert_eq!(children(u64::MAX, Some(1)), Some(10_000));
    }

    #[test]
    fn names_are_legal_whatever_the_key() {
        assert_eq!(name("sample.csv"), "load-sample");
        assert_eq!(name("in/2026-01_x/é ü.csv"), "load-in-2026-01_x----");
        assert_eq!(name(".csv"), "load-");
        let long = name(&"x".repeat(1024));
        assert_eq!(long.len(), 128);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(Settings::read(|_| None), Err(SettingsError::Missing("JOB_QUEUE")));
        assert_eq!(settings(Some("1000")).unwrap().threshold, Some(1000));
        assert_eq!(settings(Some("")).unwrap().threshold, None);
        assert_eq!(settings(Some("0")), Err(SettingsError::Threshold("0".to_owned())));
        assert_eq!(settings(Some("1 GB")), Err(SettingsError::Threshold("1 GB".to_owned())));
    }
}
