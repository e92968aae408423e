//! Prints how long an attempt of `true` takes from launch to its reported end, and a sandbox to its first line.

use barge_engine::{
    Attempt, AttemptId, AttemptState, ComputeEngine, EmbeddedConfig, EmbeddedEngine, Lifetime, OutputTo, RootFs,
    ShimCommand,
};
use barge_image::pack::{Contents, from_contents};
use barge_image::{ImageConfig, ImageStore};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROUNDS: usize = 50;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let images = ImageStore::open(dir.path().join("images")).expect("an image store");
    let mut contents = Contents::default();
    let program = Path::new("/bin/true");
    contents.add_file(program, program, Some(0o755)).expect("/bin/true");
    contents.add_libraries_of(program).expect("its libraries");
    let image = from_contents(&images, &contents, &ImageConfig::default()).expect("an image");
    let shim = PathBuf::from(std::env::args().nth(1).expect("the path of barge-engine-shim"));
    let config = EmbeddedConfig {
        shim: ShimCommand { program: shim, args: Vec::new() },
        ..EmbeddedConfig::new(dir.path().join("engine"))
    };
    let engine = EmbeddedEngine::open(config, images, None).expect("an engine");
    engine.adopt().await.expect("an empty engine");
    let vcpu: f64 = std::env::args().nth(2).and_then(|v| v.parse().ok()).unwrap_or(1.0);

    let (mut runs, mut starts) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let attempt = Attempt {
            command: Some(vec!["/bin/true".to_owned()]),
            vcpu,
            ..Attempt::new(
                AttemptId::new(format!("t{round}")).expect("an id"),
                RootFs::Image { digest: image.to_string() },
            )
        };
        let id = attempt.id.clone();
        let began = Instant::now();
        engine.launch(attempt).await.expect("launched");
        let mut state = engine.watch(&id).expect("known");
        state.wait_for(|state| *state != AttemptState::Launching).await.expect("it starts");
        starts.push(began.elapsed());
        state.wait_for(|state| matches!(state, AttemptState::Ended(_))).await.expect("it ends");
        runs.push(began.elapsed());
    }
    let mut lines = Vec::new();
    for round in 0..ROUNDS {
        let root = RootFs::HostReadOnly { binds: Vec::new(), tmp_mib: 16 };
        let attempt = Attempt {
            command: Some(["/bin/sh", "-c", "echo up"].map(str::to_owned).to_vec()),
            lifetime: Lifetime::WithServer,
            output: OutputTo::Reader,
            ..Attempt::new(AttemptId::new(format!("s{round}")).expect("an id"), root)
        };
        let id = attempt.id.clone();
        let began = Instant::now();
        engine.launch(attempt).await.expect("launched");
        let mut reader = engine.output(&id, 0).await.expect("known");
        reader.next().await.expect("readable");
        lines.push(began.elapsed());
    }
    for (what, times) in [("true, to started", starts), ("true, to ended", runs), ("sandbox, to first line", lines)] {
        println!("{what:24} median {:?}", median(times));
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
