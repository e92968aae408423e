//! Prints how many attempts of `true` run per second, many at a time: `throughput SHIM [ATTEMPTS [AT_ONCE [STARTS]]]`.

use barge_engine::{Attempt, AttemptId, ComputeEngine, EmbeddedConfig, EmbeddedEngine, EventKind, RootFs, ShimCommand};
use barge_image::pack::{Contents, from_contents};
use barge_image::{ImageConfig, ImageStore};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn number(position: usize, otherwise: usize) -> usize {
    std::env::args().nth(position).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

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
    let (attempts, at_once) = (number(2, 1000), number(3, 64));
    let defaults = EmbeddedConfig::new(dir.path().join("engine"));
    let config = EmbeddedConfig {
        shim: ShimCommand { program: shim, args: Vec::new() },
        starts_at_once: number(4, defaults.starts_at_once),
        ..defaults
    };
    let engine = EmbeddedEngine::open(config, images, None).expect("an engine");
    engine.adopt().await.expect("an empty engine");
    let mut events = engine.subscribe();
    let before = descriptors();

    let began = Instant::now();
    let (mut launched, mut ended) = (0, 0);
    while ended < attempts {
        while launched < attempts && launched - ended < at_once {
            let id = AttemptId::new(format!("t{launched}")).expect("an id");
            let attempt = Attempt {
                command: Some(vec!["/bin/true".to_owned()]),
                memory_mib: 64,
                ..Attempt::new(id, RootFs::Image { digest: image.to_string() })
            };
            engine.launch(attempt).await.expect("launched");
            launched += 1;
        }
        let event = events.recv().await.expect("the engine lives");
        if let EventKind::Ended(ending) = event.kind {
            assert!(matches!(ending, barge_engine::Ending::Exited { .. }), "{ending:?}");
            engine.forget(&event.id).await.expect("forgotten");
            ended += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(attempts).expect("a sensible number")) / seconds;
    println!(
        "{attempts} attempts, {at_once} at a time: {rate:.0}/s; descriptors {before} before, {} after",
        descriptors()
    );
}
