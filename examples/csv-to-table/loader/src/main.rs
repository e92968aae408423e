//! The job: loads CSV files from an S3 bucket into a DynamoDB table.
//!
//! `records`, `share`, `row`, `batch` and `backoff` decide, and touch nothing; `bucket`, `rejected` and `table` talk to
//! AWS, and decide nothing; `load` has the one ask the other. This file starts it and says how it ended.

mod args;
mod backoff;
mod batch;
mod bucket;
mod load;
mod records;
mod rejected;
mod row;
mod share;
mod summary;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use csv_to_table_client::{Patience, configure};

use crate::args::{Args, ArgsError};
use crate::bucket::Bucket;
use crate::load::Loader;
use crate::table::Table;

/// Threads beyond this gain nothing: the table is slower than one core's work.
const MAX_THREADS: usize = 4;

fn main() -> ExitCode {
    let started = Instant::now();
    let args = Args::parse();
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(load(args, started)).map_err(|error| error.to_string()),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

async fn load(args: Args, started: Instant) -> Result<ExitCode, ArgsError> {
    let region = args.region(std::env::var("AWS_REGION").ok())?;
    let share = args.share()?;
    let keys = args.keys()?.to_vec();
    println!("loading s3://{}/{} into table {}{}", args.bucket_name, args.file_name, args.table_name, share.label());
    let config = configure(region, Patience::Long).await;
    let mut loader = Loader {
        bucket: Bucket::new(&config, args.bucket_name),
        table: Table::new(&config, args.table_name, args.in_flight),
        keys,
        columns: args.columns,
        share,
    };
    let summary = loader.run(&args.file_name).await;
    println!("{}", summary.line(started.elapsed()));
    Ok(ExitCode::from(summary.exit_code()))
}
