//! The shim alone: what `barge shim` does, in a program small enough to be started a hundred times a second. `barge serve` uses
//! it where it lies beside `barge`, and `barge` itself where it does not.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(command), Some(dir)) if command == "shim" => barge_engine::shim::main(Path::new(&dir)),
        (Some(command), None) if command == "format" => {
            println!("{}", barge_engine::shim::FORMAT);
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("barge-shim is started by barge");
            ExitCode::FAILURE
        }
    }
}
