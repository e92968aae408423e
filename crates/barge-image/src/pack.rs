//! Makes images from files of this machine, always the same bytes from the same files: no times, no owners, names in order.

use crate::digest::HashingReader;
use crate::{Digest, ImageConfig, ImageError, ImageStore};
use oci_spec::image::{Arch, ConfigBuilder, ImageConfigurationBuilder, MediaType, Os, RootFsBuilder};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// What goes into an image's one layer: path inside (without a leading `/`) to what is there. Directories above are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<PathBuf, Content>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Directory { mode: u32 },
    File { source: PathBuf, mode: u32 },
    Text { text: String },
    Link { target: PathBuf },
}

/// Makes an image of one program: `binary`, at `path` inside, with the shared libraries that it needs, in the store.
/// An empty entrypoint in `config` becomes `path`. Gives the manifest's digest.
pub fn from_binary(store: &ImageStore, binary: &Path, path: &Path, config: ImageConfig) -> Result<Digest, ImageError> {
    let mut contents = Contents::default();
    contents.add_file(binary, path, Some(0o755))?;
    contents.add_libraries_of(binary)?;
    contents.add_text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")?;
    contents.add_text("etc/group", "root:x:0:\nnogroup:x:65534:\n")?;
    contents.add_directory("tmp", 0o1777)?;
    let entrypoint = if config.entrypoint.is_empty() {
        vec![Path::new("/").join(inside(path)?).display().to_string()]
    } else {
        config.entrypoint
    };
    from_contents(store, &contents, &ImageConfig { entrypoint, ..config })
}

/// Makes an image whose `/` is a copy of `directory`, in the store. Gives the manifest's digest.
pub fn from_directory(store: &ImageStore, directory: &Path, config: &ImageConfig) -> Result<Digest, ImageError> {
    let mut contents = Contents::default();
    contents.add_tree(directory, Path::new(""))?;
    from_contents(store, &contents, config)
}

/// Makes an image with one layer, in the store. Gives the manifest's digest.
pub fn from_contents(store: &ImageStore, contents: &Contents, config: &ImageConfig) -> Result<Digest, ImageError> {
    let making = tempfile::NamedTempFile::new_in(store.path("uploads")).map_err(ImageError::io("packing"))?;
    contents.write(making.as_file()).map_err(ImageError::io("packing"))?;
    let file = File::open(making.path()).map_err(ImageError::io("packing"))?;
    let mut reader = HashingReader::new(file);
    let size = io::copy(&mut reader, &mut io::sink()).map_err(ImageError::io("packing"))?;
    let layer = reader.finish().map_err(ImageError::io("packing"))?;
    let kept = making.into_temp_path().keep().map_err(|e| e.error).and_then(|path| store.keep_file(path, &layer));
    kept.map_err(ImageError::io("packing"))?;
    let wrong = |error: oci_spec::OciSpecError| ImageError::Malformed(error.to_string());
    let mut run = ConfigBuilder::default();
    if !config.entrypoint.is_empty() {
        run = run.entrypoint(config.entrypoint.clone());
    }
    if !config.command.is_empty() {
        run = run.cmd(config.command.clone());
    }
    if !config.user.is_empty() {
        run = run.user(config.user.clone());
    }
    if !config.workdir.is_empty() {
        run = run.working_dir(config.workdir.clone());
    }
    let run = run.env(config.env.clone()).build().map_err(wrong)?;
    let document = ImageConfigurationBuilder::default()
        .architecture(Arch::default())
        .os(Os::Linux)
        .config(run)
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(vec![layer.to_string()]).build().map_err(wrong)?)
        .build()
        .and_then(|document| document.to_string())
        .map_err(wrong)?;
    assemble(store, document.as_bytes(), vec![(MediaType::ImageLayer, (layer, size))])
}

/// Makes an image of a configuration and layers that are in the store. Gives the manifest's digest.
pub(crate) fn assemble(
    store: &ImageStore,
    config: &[u8],
    layers: Vec<(MediaType, (Digest, u64))>,
) -> Result<Digest, ImageError> {
    let digest = store.put_blob(config)?;
    let manifest = crate::archive::manifest((digest, config.len() as u64), layers)
        .map_err(|error| ImageError::Malformed(error.to_string()))?;
    store.put_manifest(&manifest)
}

impl Contents {
    /// Adds a copy of the file `source` at `path`, with `mode` or its own. Links are followed.
    pub fn add_file(&mut self, source: &Path, path: &Path, mode: Option<u32>) -> Result<(), ImageError> {
        let meta = fs::metadata(source).map_err(ImageError::io(source.display().to_string()))?;
        if !meta.is_file() {
            return Err(ImageError::Malformed(format!("{} is not a file", source.display())));
        }
        let mode = mode.unwrap_or(meta.mode() & 0o7777);
        self.add(path, Content::File { source: source.to_owned(), mode })
    }

    /// Adds a file with `text` in it at `path`, readable for all.
    pub fn add_text(&mut self, path: impl AsRef<Path>, text: &str) -> Result<(), ImageError> {
        self.add(path.as_ref(), Content::Text { text: text.to_owned() })
    }

    /// Adds an empty directory.
    pub fn add_directory(&mut self, path: impl AsRef<Path>, mode: u32) -> Result<(), ImageError> {
        self.add(path.as_ref(), Content::Directory { mode })
    }

    /// Adds a copy of the directory `source` and all in it at `path`. Sockets and devices are left out.
    pub fn add_tree(&mut self, source: &Path, path: &Path) -> Result<(), ImageError> {
        let wrong = || ImageError::io(source.display().to_string());
        for entry in fs::read_dir(source).map_err(wrong())? {
            let entry = entry.map_err(wrong())?;
            let (from, to) = (entry.path(), path.join(entry.file_name()));
            let meta = fs::symlink_metadata(&from).map_err(wrong())?;
            if meta.is_dir() {
                self.add(&to, Content::Directory { mode: meta.mode() & 0o7777 })?;
                self.add_tree(&from, &to)?;
            } else if meta.is_symlink() {
                self.add(&to, Content::Link { target: fs::read_link(&from).map_err(wrong())? })?;
            } else if meta.is_file() {
                self.add(&to, Content::File { source: from, mode: meta.mode() & 0o7777 })?;
            }
        }
        Ok(())
    }

    /// Adds the loader and shared libraries that the program `binary` needs, at the places where it looks for them. A
    /// program that is linked statically needs none.
    pub fn add_libraries_of(&mut self, binary: &Path) -> Result<(), ImageError> {
        let wrong = || ImageError::io(binary.display().to_string());
        let Some(loader) = loader(binary).map_err(wrong())? else { return Ok(()) };
        // The loader's own account, asked of the loader: it runs nothing of the program.
        let listed = Command::new(&loader).arg("--list").arg(binary).output().map_err(wrong())?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        if !listed.status.success() {
            return Err(ImageError::Malformed(format!("{}: its libraries cannot be listed: {text}", binary.display())));
        }
        for library in libraries(&text)? {
            self.add_file(&library, &library, Some(0o755))?;
        }
        self.add_file(&loader, &loader, Some(0o755))
    }

    fn add(&mut self, path: &Path, content: Content) -> Result<(), ImageError> {
        let path = inside(path)?;
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            self.0.entry(above.to_owned()).or_insert(Content::Directory { mode: 0o755 });
        }
        self.0.insert(path, content);
        Ok(())
    }

    fn write(&self, to: &File) -> io::Result<()> {
        let mut tar = tar::Builder::new(io::BufWriter::with_capacity(256 * 1024, to));
        for (path, content) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            match content {
                Content::Directory { mode } => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(*mode);
                    tar.append_data(&mut header, path, io::empty())?;
                }
                Content::File { source, mode } => {
                    let file = File::open(source)?;
                    let size = file.metadata()?.len();
                    header.set_mode(*mode);
                    header.set_size(size);
                    tar.append_data(&mut header, path, file.take(size))?;
                }
                Content::Text { text } => {
                    header.set_mode(0o644);
                    header.set_size(text.len() as u64);
                    tar.append_data(&mut header, path, text.as_bytes())?;
                }
                Content::Link { target } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    tar.append_link(&mut header, path, target)?;
                }
            }
        }
        io::Write::flush(&mut tar.into_inner()?)
    }
}

/// `path` without its leading `/`.
fn inside(path: &Path) -> Result<PathBuf, ImageError> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(ImageError::Malformed(format!("{} contains \"..\"", path.display())));
            }
        }
    }
    if clean.as_os_str().is_empty() { Err(ImageError::Malformed("a path is empty".to_owned())) } else { Ok(clean) }
}

/// The libraries in what the loader lists: lines of `name => /path (address)` or `/path (address)`.
fn libraries(listing: &str) -> Result<Vec<PathBuf>, ImageError> {
    let mut found = Vec::new();
    for line in listing.lines().map(str::trim) {
        let place = line.split_once("=> ").map_or(line, |(_, place)| place);
        let place = place.rsplit_once(" (").map_or(place, |(place, _)| place);
        if place.starts_with("not found") {
            return Err(ImageError::Malformed(format!("a shared library is missing: {line}")));
        }
        if place.starts_with('/') {
            found.push(PathBuf::from(place));
        }
    }
    Ok(found)
}

/// The loader that an ELF program asks for (elf(5), PT_INTERP); `None` where it needs none.
fn loader(binary: &Path) -> io::Result<Option<PathBuf>> {
    const PT_INTERP: u32 = 3;
    let file = File::open(binary)?;
    let read = |offset: u64, size: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, offset)?;
        Ok(bytes)
    };
    // 64-bit, this machine's byte order: what this machine can run as a container.
    let header = read(0, 64)?;
    if header[..5] != [0x7f, b'E', b'L', b'F', 2] {
        return Err(io::Error::other("not a 64-bit ELF program"));
    }
    let number = |bytes: &[u8], at: usize, size: usize| -> u64 {
        let mut word = [0; 8];
        word[..size].copy_from_slice(&bytes[at..at + size]);
        u64::from_le_bytes(word)
    };
    let (table, entry_size, entries) = (number(&header, 32, 8), number(&header, 54, 2), number(&header, 56, 2));
    for index in 0..entries {
        let entry = read(table + index * entry_size, 56)?;
        if number(&entry, 0, 4) == u64::from(PT_INTERP) {
            let (offset, size) = (number(&entry, 8, 8), number(&entry, 32, 8));
            let name = read(offset, usize::try_from(size.min(4096)).unwrap_or(4096))?;
            let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
            return Ok(Some(PathBuf::from(name)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_image() {
        let files = tempfile::tempdir().unwrap();
        for (name, text) in [("b", "2"), ("a", "1")] {
            fs::write(files.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("a", files.path().join("link")).unwrap();
        let config = ImageConfig { command: vec!["/a".to_owned()], ..ImageConfig::default() };
        let digests: Vec<Digest> = (0..2)
            .map(|_| {
                let dir = tempfile::tempdir().unwrap();
                let store = ImageStore::open(dir.path()).unwrap();
                let digest = from_directory(&store, files.path(), &config).unwrap();
                assert_eq!(store.config(&digest).unwrap(), config);
                digest
            })
            .collect();
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn a_program_comes_with_its_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(dir.path()).unwrap();
        let me = std::env::current_exe().unwrap();
        let digest = from_binary(&store, &me, Path::new("/app/job"), ImageConfig::default()).unwrap();
        assert_eq!(store.config(&digest).unwrap().entrypoint, ["/app/job"]);
        let image = store.prepare(&digest).unwrap();
        let root = &image.layers[0];
        assert!(root.join("app/job").is_file());
        if let Some(loader) = loader(&me).unwrap() {
            assert!(root.join(loader.strip_prefix("/").unwrap()).is_file());
        }
        assert!(image.read_text("etc/passwd").starts_with("root:"));
    }

    #[test]
    fn what_the_loader_lists() {
        let listing = "\tlinux-vdso.so.1 (0x7ff)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\t/lib64/ld.so.2 (0x7)\n";
        assert_eq!(libraries(listing).unwrap(), [PathBuf::from("/lib/libc.so.6"), PathBuf::from("/lib64/ld.so.2")]);
        assert!(libraries("\tlibx.so => not found\n").is_err());
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../x", "a/../b", "", "/"] {
            assert!(Contents::default().add_text(path, "").is_err(), "{path}");
        }
    }
}
