//! Layers as people make them, and layers as attackers do: what is unpacked, and that nothing lands outside.

#![allow(missing_docs)] // a test program

use barge_image::{Digest, ImageError, ImageStore, UnpackLimits};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tar::{Builder, EntryType, Header};

/// Writes a tar entry by entry, with names that the tar crate itself would refuse to write.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000);
        header.set_size(content.len() as u64);
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    fn dir(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", 0o755, b"")
    }

    fn symlink(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, name, to, 0o777, b"")
    }

    fn hardlink(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Link, name, to, 0o644, b"")
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

struct World {
    dir: tempfile::TempDir,
    store: ImageStore,
}

impl World {
    fn new() -> Self {
        Self::with(UnpackLimits::default())
    }

    fn with(limits: UnpackLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        let store = ImageStore::open_with(dir.path().join("images"), limits).unwrap();
        Self { dir, store }
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    /// An image of `tars`, its layers packed with gzip.
    fn image(&self, tars: &[Vec<u8>]) -> Digest {
        let diff_ids: Vec<String> = tars.iter().map(|tar| format!("{:?}", Digest::of(tar).as_str())).collect();
        let layers: Vec<String> = tars
            .iter()
            .map(|tar| {
                let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
                packer.write_all(tar).unwrap();
                let blob = packer.finish().unwrap();
                let digest = self.store.put_blob(&blob).unwrap();
                descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &digest, blob.len())
            })
            .collect();
        self.manifest(&layers, &diff_ids)
    }

    fn manifest(&self, layers: &[String], diff_ids: &[String]) -> Digest {
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            diff_ids.join(",")
        );
        let digest = self.store.put_blob(config.as_bytes()).unwrap();
        let config = descriptor("application/vnd.oci.image.config.v1+json", &digest, config.len());
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layers.join(","));
        self.store.put_manifest(manifest.as_bytes()).unwrap()
    }

    fn unpack(&self, tar: Vec<u8>) -> Result<PathBuf, ImageError> {
        self.store.prepare(&self.image(&[tar])).map(|image| image.layers[0].clone())
    }
}

fn descriptor(kind: &str, digest: &Digest, size: usize) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#)
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn ordinary_layers_unpack_as_they_are() {
    let world = World::new();
    let tar = Tar::new()
        .dir("./")
        .entry(EntryType::Directory, "closed/", "", 0o555, b"")
        .file("closed/a", "A")
        .file("/rooted/b", "B")
        .hardlink("c", "closed/a")
        .symlink("usr/lib64", "lib")
        .dir("usr/lib")
        .file("usr/lib64/through", "T")
        .entry(EntryType::Regular, "tool", "", 0o4755, b"#!")
        .entry(EntryType::Fifo, "pipe", "", 0o600, b"")
        .entry(EntryType::Char, "null", "", 0o666, b"")
        .symlink("absolute", "/etc/passwd")
        .file("twice", "1")
        .file("twice", "2")
        .dir("was-dir/x")
        .file("was-dir", "file now")
        .finish();
    let root = world.unpack(tar).unwrap();
    assert_eq!(text(root.join("closed/a")), "A");
    assert_eq!(text(root.join("rooted/b")), "B");
    assert_eq!(fs::metadata(root.join("c")).unwrap().ino(), fs::metadata(root.join("closed/a")).unwrap().ino());
    assert_eq!(text(root.join("usr/lib/through")), "T");
    assert_eq!(fs::metadata(root.join("tool")).unwrap().mode() & 0o7777, 0o4755);
    assert_eq!(fs::metadata(root.join("tool")).unwrap().mtime(), 1_000_000);
    assert!(fs::metadata(root.join("pipe")).unwrap().file_type().is_fifo());
    assert!(!root.join("null").exists());
    assert_eq!(fs::read_link(root.join("absolute")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(text(root.join("twice")), "2");
    assert_eq!(text(root.join("was-dir")), "file now");
}

#[test]
fn whiteouts_become_the_overlays_own() {
    let world = World::new();
    let tar = Tar::new().file("etc/.wh.gone", "").file("var/.wh..wh..opq", "").file("var/kept", "k").finish();
    let root = world.unpack(tar).unwrap();
    let gone = fs::symlink_metadata(root.join("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device());
    assert_eq!(gone.rdev(), 0);
    assert!(!root.join("etc/.wh.gone").exists());
    assert!(!root.join("var/.wh..wh..opq").exists());
    let mark = if nix::unistd::geteuid().is_root() { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    let mut value = [0_u8; 1];
    assert_eq!(rustix::fs::getxattr(root.join("var"), mark, &mut value), Ok(1));
}

#[test]
fn nothing_lands_outside_its_layer() {
    let world = World::new();
    let outside = world.outside();
    let out = outside.to_str().unwrap();
    fs::write(outside.join("victim"), "intact").unwrap();
    let victim = format!("{out}/victim");
    let up = "../../../../../../../../../..";
    let attacks: Vec<(&str, Tar)> = vec![
        ("dots", Tar::new().file("../../outside/evil", "x")),
        ("dots within", Tar::new().dir("a").file("a/../../evil", "x")),
        ("absolute link, then through it", Tar::new().symlink("l", out).file("l/evil", "x")),
        ("relative link, then through it", Tar::new().symlink("l", &format!("{up}{out}")).file("l/evil", "x")),
        ("link to a link", Tar::new().symlink("a", "b").symlink("b", out).file("a/evil", "x")),
        ("directory through a link", Tar::new().symlink("l", out).dir("l/evil")),
        ("link through a link", Tar::new().symlink("l", out).symlink("l/evil", "x")),
        ("hard link by dots", Tar::new().hardlink("h", &format!("{up}{victim}")).file("h", "evil")),
        ("hard link through a link", Tar::new().symlink("l", out).hardlink("h", "l/victim")),
        ("hard link to what is not there", Tar::new().hardlink("h", &victim)),
        ("whiteout through a link", Tar::new().symlink("l", out).file("l/.wh.victim", "")),
        ("opaque through a link", Tar::new().symlink("l", out).file("l/.wh..wh..opq", "")),
        ("whiteout of the parent", Tar::new().file("a/.wh...", "")),
        ("whiteout of itself", Tar::new().file("a/.wh..", "")),
        ("fifo through a link", Tar::new().symlink("l", out).entry(EntryType::Fifo, "l/evil", "", 0o600, b"")),
        ("device through a link", Tar::new().symlink("l", out).entry(EntryType::Char, "l/evil", "", 0o600, b"")),
        ("proc's magic links", Tar::new().symlink("l", "/proc/self/cwd").file("l/evil", "x")),
        ("a loop", Tar::new().symlink("a", "b").symlink("b", "a").file("a/evil", "x")),
    ];
    for (name, tar) in attacks {
        let refused = world.unpack(tar.finish());
        match refused {
            Err(ImageError::Escape { .. } | ImageError::Layer { .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
        let found: Vec<_> = fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(found, ["victim"], "{name}");
        assert_eq!(text(outside.join("victim")), "intact", "{name}");
        let meta = fs::metadata(outside.join("victim")).unwrap();
        assert!(meta.is_file() && meta.nlink() == 1, "{name}");
        assert!(!world.dir.path().join("evil").exists(), "{name}");
    }
    assert_eq!(fs::read_dir(world.dir.path().join("images/layers/root")).unwrap().count(), 0);
}

#[test]
fn a_link_whose_place_is_taken_by_a_file_is_replaced_not_followed() {
    let world = World::new();
    let out = world.outside().join("f");
    fs::write(&out, "intact").unwrap();
    let tar = Tar::new().symlink("l", out.to_str().unwrap()).file("l", "mine").finish();
    let root = world.unpack(tar).unwrap();
    assert_eq!(text(root.join("l")), "mine");
    assert_eq!(text(&out), "intact");
}

#[test]
fn modes_at_the_end_go_to_directories_only() {
    // A directory that a later entry turns into a link must not pass its mode on to what the link points to.
    let world = World::new();
    let out = world.outside();
    let before = fs::metadata(&out).unwrap().mode();
    let tar = Tar::new().entry(EntryType::Directory, "d", "", 0o1777, b"").symlink("d", out.to_str().unwrap()).finish();
    world.unpack(tar).unwrap();
    assert_eq!(fs::metadata(&out).unwrap().mode(), before);
}

#[test]
fn what_is_not_what_was_announced_is_refused() {
    let world = World::new();
    let tar = Tar::new().file("a", "A").finish();
    let digest = world.store.put_blob(&tar).unwrap();
    let layer = |digest: &Digest| descriptor("application/vnd.oci.image.layer.v1.tar", digest, tar.len());
    let other = Digest::of(b"other");

    let wrong_diff_id = world.manifest(&[layer(&digest)], &[format!("{:?}", other.as_str())]);
    assert!(matches!(world.store.prepare(&wrong_diff_id), Err(ImageError::DigestMismatch { .. })));

    let too_few = world.manifest(&[layer(&digest)], &[]);
    assert!(matches!(world.store.prepare(&too_few), Err(ImageError::Malformed(_))));

    let image = world.manifest(&[layer(&digest)], &[format!("{:?}", digest.as_str())]);
    let blob = world.dir.path().join("images/blobs/sha256").join(digest.hex());
    let mut changed = tar.clone();
    changed[600] ^= 1;
    fs::write(&blob, &changed).unwrap();
    assert!(matches!(world.store.prepare(&image), Err(ImageError::DigestMismatch { .. })));
    fs::remove_file(&blob).unwrap();
    assert!(matches!(world.store.prepare(&image), Err(ImageError::NotFound(_))));
    fs::write(&blob, &tar).unwrap();
    world.store.prepare(&image).unwrap();
}

#[test]
fn bombs_are_refused() {
    let limits = UnpackLimits { bytes: 100_000, entries: 10, leave_free: 0 };
    let world = World::with(limits);
    let big = Tar::new().entry(EntryType::Regular, "zeros", "", 0o644, &vec![0; 100_001]).finish();
    let many = (0..11).fold(Tar::new(), |tar, i| tar.file(&format!("f{i}"), "")).finish();
    for tar in [big, many] {
        assert!(matches!(world.unpack(tar), Err(ImageError::Layer { .. })));
    }
    let making = world.dir.path().join("images/making");
    assert_eq!(fs::read_dir(making).unwrap().count(), 0);
}

#[test]
fn a_broken_tar_is_refused() {
    let world = World::new();
    let mut tar = Tar::new().file("a", "A").finish();
    tar.truncate(700);
    assert!(world.unpack(tar).is_err());
    assert!(world.unpack(b"not a tar at all, but long enough to be read as one".repeat(40)).is_err());
}

#[test]
fn what_nobody_refers_to_is_removed() {
    let world = World::new();
    let (one, two) = (Tar::new().file("a", "1").finish(), Tar::new().file("a", "2").finish());
    let kept = world.image(std::slice::from_ref(&one));
    let dropped = world.image(&[one, two]);
    for image in [&kept, &dropped] {
        world.store.prepare(image).unwrap();
    }
    let roots = [kept.clone()].into();
    let hour = std::time::Duration::from_hours(1);
    let young = world.store.remove_unreferenced(&roots, hour).unwrap();
    assert_eq!((young.blobs, young.layers), (0, 1));
    let removed = world.store.remove_unreferenced(&roots, std::time::Duration::ZERO).unwrap();
    assert_eq!(removed.blobs, 3, "a manifest, a configuration, a layer");
    assert_eq!(text(world.store.prepare(&kept).unwrap().layers[0].join("a")), "1");
    assert!(matches!(world.store.prepare(&dropped), Err(ImageError::NotFound(_))));
}

#[test]
fn a_manifest_needs_its_blobs() {
    let world = World::new();
    let missing = Digest::of(b"missing");
    let config = descriptor("application/vnd.oci.image.config.v1+json", &missing, 7);
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
    let refused = world.store.put_manifest(manifest.as_bytes());
    assert!(matches!(refused, Err(ImageError::MissingBlobs(blobs)) if blobs == [missing]));
}

#[test]
fn a_prepared_image_is_remembered() {
    let world = World::new();
    let image = world.image(&[Tar::new().file("etc/passwd", "root").finish()]);
    let first = world.store.prepare(&image).unwrap();
    assert!(Arc::ptr_eq(&first, &world.store.prepare(&image).unwrap()));
    assert_eq!(first.read_text("etc/passwd"), "root");
    assert_eq!(first.read_text("etc/none"), "");
}

#[test]
fn files_are_read_as_the_container_will_see_them() {
    let world = World::new();
    let host = world.outside().join("secret");
    fs::write(&host, "secret").unwrap();
    let image = world.image(&[
        Tar::new().file("a", "lower").file("b", "lower").file("c", "lower").finish(),
        Tar::new().file("a", "upper").file(".wh.b", "").symlink("c", host.to_str().unwrap()).finish(),
    ]);
    let image = world.store.prepare(&image).unwrap();
    assert_eq!([image.read_text("a"), image.read_text("b"), image.read_text("c")], ["upper", "", ""]);
}
