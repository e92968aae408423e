//! Images in and out: a registry over HTTP, OCI layouts, archives.

#![allow(missing_docs)] // a test program

use barge_image::registry::Registry;
use barge_image::{Digest, ImageConfig, ImageStore, pack, references};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// As much of a registry as a push and a pull need: `repository` only, one user.
#[derive(Default)]
struct Shelf {
    blobs: Mutex<HashMap<String, Bytes>>,
    manifests: Mutex<HashMap<String, Bytes>>,
    uploads: Mutex<u32>,
}

impl Shelf {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let say = |status: StatusCode, body: Bytes| Response::builder().status(status).body(Full::new(body)).unwrap();
        let refusal = |code: &str| Bytes::from(format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#));
        if request.headers().get("authorization").is_none_or(|v| v != "Basic QVdTOnNlY3JldA==") {
            return say(StatusCode::UNAUTHORIZED, refusal("UNAUTHORIZED"));
        }
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let path = uri.path().strip_prefix("/v2/my/repository/").unwrap_or_default();
        let found = |shelf: &Mutex<HashMap<String, Bytes>>, name: &str| {
            shelf.lock().unwrap().get(name).map_or_else(
                || say(StatusCode::NOT_FOUND, refusal("UNKNOWN")),
                |content| say(StatusCode::OK, content.clone()),
            )
        };
        match (method, path.split_once('/').unwrap_or_default()) {
            (Method::HEAD | Method::GET, ("blobs", digest)) => found(&self.blobs, digest),
            (Method::GET, ("manifests", name)) => found(&self.manifests, name),
            (Method::POST, ("blobs", "uploads/")) => Response::builder()
                .status(StatusCode::ACCEPTED)
                .header("location", "/v2/my/repository/blobs/uploads/1?state=x")
                .body(Full::default())
                .unwrap(),
            (Method::PUT, ("blobs", "uploads/1")) => {
                let digest = uri.query().unwrap().strip_prefix("state=x&digest=").unwrap().to_owned();
                assert_eq!(Digest::of(&body).as_str(), digest);
                *self.uploads.lock().unwrap() += 1;
                self.blobs.lock().unwrap().insert(digest, body);
                say(StatusCode::CREATED, Bytes::new())
            }
            (Method::PUT, ("manifests", name)) => {
                let mut manifests = self.manifests.lock().unwrap();
                manifests.insert(Digest::of(&body).to_string(), body.clone());
                manifests.insert(name.to_owned(), body);
                say(StatusCode::CREATED, Bytes::new())
            }
            _ => say(StatusCode::BAD_REQUEST, refusal("UNSUPPORTED")),
        }
    }

    async fn serve() -> (Arc<Self>, String) {
        let shelf = Arc::new(Self::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&shelf);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shelf = Arc::clone(&served);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let shelf = Arc::clone(&shelf);
                        async move { Ok::<_, Infallible>(shelf.answer(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (shelf, base)
    }
}

fn store(dir: &Path) -> ImageStore {
    ImageStore::open(dir.join("images")).unwrap()
}

fn image(store: &ImageStore) -> Digest {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("hello"), "world".repeat(100_000)).unwrap();
    let config = ImageConfig { command: vec!["/hello".to_owned()], ..ImageConfig::default() };
    pack::from_directory(store, files.path(), &config).unwrap()
}

#[tokio::test]
async fn an_image_is_pushed_and_pulled_back() {
    let (shelf, base) = Shelf::serve().await;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (store(here.path()), store(there.path()));
    let digest = image(&here);
    let registry = Registry::new(&base, Some(("AWS", "secret"))).unwrap();
    for _ in 0..2 {
        registry.push(&here, &digest, "my/repository", "v1").await.unwrap();
    }
    assert_eq!(*shelf.uploads.lock().unwrap(), 2, "what is there is not sent again");
    for reference in ["v1", digest.as_str()] {
        assert_eq!(registry.pull(&there, "my/repository", reference).await.unwrap(), digest);
    }
    assert_eq!(there.config(&digest).unwrap(), here.config(&digest).unwrap());
}

#[tokio::test]
async fn a_refusal_is_told_in_the_registrys_words() {
    let (_shelf, base) = Shelf::serve().await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let wrong = Registry::new(&base, Some(("AWS", "wrong"))).unwrap();
    let error = wrong.pull(&store, "my/repository", "v1").await.unwrap_err();
    assert_eq!(error.to_string(), "the registry answers 401 Unauthorized: UNAUTHORIZED: no");
    let right = Registry::new(&base, Some(("AWS", "secret"))).unwrap();
    assert!(right.pull(&store, "my/repository", "none").await.unwrap_err().to_string().contains("404"));
    assert!(Registry::new("https://example.com", None).is_err());
    assert!(Registry::new("nothing", None).is_err());
}

#[tokio::test]
async fn a_pull_checks_what_it_gets() {
    let (shelf, base) = Shelf::serve().await;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let digest = image(&store);
    let registry = Registry::new(&base, Some(("AWS", "secret"))).unwrap();
    registry.push(&store, &digest, "my/repository", "v1").await.unwrap();
    for blob in shelf.blobs.lock().unwrap().values_mut() {
        *blob = Bytes::from_static(b"something else");
    }
    let other = tempfile::tempdir().unwrap();
    let other = ImageStore::open(other.path()).unwrap();
    assert!(registry.pull(&other, "my/repository", "v1").await.unwrap_err().to_string().contains("digest mismatch"));
    assert!(other.manifest(&digest).is_err());
}

/// Writes the image as an OCI layout.
fn write_layout(store: &ImageStore, digest: &Digest, to: &Path) {
    let blobs = to.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let manifest = store.manifest(digest).unwrap();
    for reference in references(&manifest).unwrap() {
        let (mut file, _) = store.open_blob(&reference.digest).unwrap();
        std::io::copy(&mut file, &mut fs::File::create(blobs.join(reference.digest.hex())).unwrap()).unwrap();
    }
    fs::write(blobs.join(digest.hex()), &manifest).unwrap();
    fs::write(to.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{}}}]}}"#,
        manifest.len()
    );
    fs::write(to.join("index.json"), index).unwrap();
}

#[test]
fn layouts_and_archives_are_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let source = store(dir.path());
    let digest = image(&source);
    let layout = dir.path().join("layout");
    write_layout(&source, &digest, &layout);
    let archive = dir.path().join("image.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", &layout).unwrap();
    tar.into_inner().unwrap();
    for path in [&layout, &archive] {
        let fresh = tempfile::tempdir().unwrap();
        let fresh = store(fresh.path());
        assert_eq!(fresh.import(path).unwrap(), digest);
        assert_eq!(fs::metadata(fresh.prepare(&digest).unwrap().layers[0].join("hello")).unwrap().len(), 500_000);
    }
}

#[test]
fn an_archive_of_docker_save_is_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let source = store(dir.path());
    let digest = image(&source);
    let names = references(&source.manifest(&digest).unwrap()).unwrap();
    let saved = dir.path().join("saved");
    fs::create_dir(&saved).unwrap();
    for (name, reference) in ["config.json", "layer.tar"].into_iter().zip(&names) {
        let (mut file, _) = source.open_blob(&reference.digest).unwrap();
        std::io::copy(&mut file, &mut fs::File::create(saved.join(name)).unwrap()).unwrap();
    }
    fs::write(saved.join("manifest.json"), r#"[{"Config":"config.json","RepoTags":["a:b"],"Layers":["layer.tar"]}]"#)
        .unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let fresh = store(fresh.path());
    let imported = fresh.import(&saved).unwrap();
    assert_eq!(fresh.config(&imported).unwrap().command, ["/hello"]);
}

#[test]
fn what_is_no_image_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let text = dir.path().join("text");
    fs::write(&text, "hello").unwrap();
    let escaping = dir.path().join("escaping");
    fs::create_dir(&escaping).unwrap();
    fs::write(escaping.join("manifest.json"), r#"[{"Config":"../../etc/passwd","Layers":[]}]"#).unwrap();
    for path in [&empty, &text, &escaping, &dir.path().join("none")] {
        assert!(store.import(path).is_err(), "{}", path.display());
    }
}
