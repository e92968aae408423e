//! What to load, from the command line or the environment.

use clap::Parser;

use crate::share::{Share, ShareError};

/// Loads CSV files from an S3 bucket into a DynamoDB table.
///
/// Exit code: 0 when every row was loaded, 1 when a file could not be read or the table not be written, 2 for wrong
/// arguments, 3 when every good row was loaded and others were rejected. The last line of output is a JSON object.
#[derive(Debug, Parser)]
#[command(name = "loader", version)]
pub(crate) struct Args {
    /// Bucket that holds the files
    #[arg(long, env = "InputBucket")]
    pub(crate) bucket_name: String,

    /// Key, or prefix of the keys, of the files; those that end in .csv are loaded
    #[arg(long, env = "FileName")]
    pub(crate) file_name: String,

    /// Region of bucket and table [default: AWS_REGION]
    #[arg(long, env = "Region")]
    pub(crate) region: Option<String>,

    /// Table that takes the rows
    #[arg(long = "db-table-name", env = "DBTableName")]
    pub(crate) table_name: String,

    /// The table's key: partition key, then sort key if it has one
    #[arg(long, env = "KeyColumns", value_delimiter = ',', num_args = 1, default_value = "ProductId,ProductName")]
    pub(crate) key_columns: Vec<String>,

    /// Columns of files that have no header row; without it, each file's first row names its columns
    #[arg(long, env = "Columns", value_delimiter = ',', num_args = 1)]
    pub(crate) columns: Option<Vec<String>>,

    /// BatchWriteItem calls in flight at once
    #[arg(long, env = "InFlight", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) in_flight: u8,

    /// Which child of an array job this is, from 0
    #[arg(long, env = "AWS_BATCH_JOB_ARRAY_INDEX")]
    pub(crate) array_index: Option<u32>,

    /// How many children the array job has
    #[arg(long, env = "AWS_BATCH_JOB_ARRAY_SIZE")]
    pub(crate) array_size: Option<u32>,
}

/// Arguments that are well-formed each, but not together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    /// No region anywhere.
    #[error("no region: give --region, or set Region or AWS_REGION")]
    NoRegion,
    /// No table has such a key.
    #[error("a table's key has one or two columns, not {0}")]
    KeyColumns(usize),
    /// Array index and size don't fit.
    #[error(transparent)]
    Share(#[from] ShareError),
}

impl Args {
    /// The region, by default that of the environment (`aws_region`).
    pub(crate) fn region(&self, aws_region: Option<String>) -> Result<String, ArgsError> {
        self.region.clone().or(aws_region).filter(|region| !region.is_empty()).ok_or(ArgsError::NoRegion)
    }

    /// The share of each file that is this job's.
    pub(crate) fn share(&self) -> Result<Share, ArgsError> {
        Ok(Share::new(self.array_index, self.array_size)?)
    }

    /// The key's columns.
    pub(crate) fn keys(&self) -> Result<&[String], ArgsError> {
        match self.key_columns.len() {
            1 | 2 => Ok(&self.key_columns),
            count => Err(ArgsError::KeyColumns(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Args {
        let given = ["loader", "--bucket-name", "b", "--file-name", "f.csv", "--db-table-name", "t"];
        Args::try_parse_from(given.iter().chain(more)).unwrap()
    }

    #[test]
    fn the_products_key_and_a_header_row_are_the_default() {
        let args = parse(&[]);
        assert_eq!(args.keys().unwrap(), ["ProductId", "ProductName"]);
        assert_eq!(args.columns, None);
        assert_eq!(args.share(), Ok(Share::WHOLE));
    }

    #[test]
    fn lists_are_split_at_commas() {
        let args = parse(&["--key-columns", "Id", "--columns", "Id,Name"]);
        assert_eq!(args.keys().unwrap(), ["Id"]);
        assert_eq!(args.columns.unwrap(), ["Id", "Name"]);
        assert_eq!(parse(&["--key-columns", "a,b,c"]).keys(), Err(ArgsError::KeyColumns(3)));
    }

    #[test]
    fn the_region_is_given_or_the_environments() {
        assert_eq!(parse(&["--region", "eu-west-1"]).region(None).unwrap(), "eu-west-1");
        assert_eq!(parse(&[]).region(Some("us-east-1".to_owned())).unwrap(), "us-east-1");
        assert_eq!(parse(&[]).region(None), Err(ArgsError::NoRegion));
    }

    #[test]
    fn an_array_child_has_its_share() {
        let args = parse(&["--array-index", "1", "--array-size", "2"]);
        assert_eq!(args.share().unwrap().of(100), 50..100);
        assert_eq!(parse(&["--array-index", "1"]).share(), Err(ArgsError::Share(ShareError::Half)));
    }
}
