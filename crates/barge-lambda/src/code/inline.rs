//! Code written into a template becomes a zip file with one file in it.

use barge_core::AwsError;
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A zip file that holds `text` as the file `name`. The same text gives the same bytes, and so the same code digest.
pub(crate) fn inline_zip(name: &str, text: &str) -> Result<Vec<u8>, AwsError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o644).last_modified_time(zip::DateTime::default());
    zip.start_file(name, options).map_err(AwsError::internal)?;
    zip.write_all(text.as_bytes()).map_err(AwsError::internal)?;
    Ok(zip.finish().map_err(AwsError::internal)?.into_inner())
}
