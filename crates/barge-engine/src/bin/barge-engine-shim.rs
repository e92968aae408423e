//! Plays the shim in tests, so that they need not the whole program: `barge-engine-shim DIR`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(dir) => barge_engine::shim::main(Path::new(&dir)),
        None => ExitCode::FAILURE,
    }
}
