//! Code written into a template becomes a zip file: the text, and the module by which it may answer CloudFormation.

use crate::runtimes::Family;
use barge_core::AwsError;
use std::io::{Cursor, Write as _};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What code of a language becomes (CloudFormation Template Reference, `AWS::Lambda::Function` Code).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inline {
    /// The file that the text is.
    file: &'static str,
    /// Name and content of the module that goes with it (CloudFormation User Guide, "cfn-response module").
    module: (&'static str, &'static str),
}

impl Inline {
    /// `None` where code cannot be written into a template.
    pub(crate) fn of(family: Family) -> Option<Self> {
        match family {
            Family::Provided => None,
            Family::Python => {
                Some(Self { file: "index.py", module: ("cfnresponse.py", include_str!("cfnresponse.py")) })
            }
            Family::Node => {
                Some(Self { file: "index.js", module: ("cfn-response.js", include_str!("cfn-response.js")) })
            }
        }
    }

    /// The zip file with `text`.
    pub(crate) fn zip(self, text: &str) -> Result<Vec<u8>, AwsError> {
        zip(&[(self.file, text), self.module])
    }
}

/// A zip file of names and contents. The same ones give the same bytes, and so the same code digest.
pub(crate) fn zip(files: &[(&str, &str)]) -> Result<Vec<u8>, AwsError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o644).last_modified_time(zip::DateTime::default());
    for (name, text) in files {
        zip.start_file(*name, options).map_err(AwsError::internal)?;
        zip.write_all(text.as_bytes()).map_err(AwsError::internal)?;
    }
    Ok(zip.finish().map_err(AwsError::internal)?.into_inner())
}
