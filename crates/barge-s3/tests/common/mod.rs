//! A service on a directory of its own, neighbours that remember what they were told, and a client that signs.
#![allow(dead_code)] // each test program uses what it needs

use async_trait::async_trait;
use barge_core::ids::RandomIds;
use barge_core::ports::{AccessKey, Event, EventSink, FunctionInvoker, Invocation, InvocationMode, KeyDirectory};
use barge_core::{AccountId, Ambient, Arn, AwsError, Clock, Principal, SystemClock, Timestamp};
use barge_s3::{Body, Neighbours, S3Service};
use barge_store::Store;
use bytes::Bytes;
use futures::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, Request, StatusCode};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// Functions that fail so many times before they work.
#[derive(Default)]
pub(crate) struct Functions {
    pub(crate) failures: AtomicUsize,
    pub(crate) invoked: Mutex<Vec<String>>,
    pub(crate) heard: Notify,
}

#[async_trait]
impl FunctionInvoker for Functions {
    async fn invoke(&self, _: &Arn, payload: Bytes, mode: InvocationMode) -> Result<Invocation, AwsError> {
        assert_eq!(mode, InvocationMode::Event);
        let failing = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let answer = if failing.is_ok() {
            Err(AwsError::new("TooManyRequestsException", 429, "later"))
        } else {
            self.invoked.lock().unwrap().push(String::from_utf8(payload.to_vec()).unwrap());
            Ok(Invocation::default())
        };
        self.heard.notify_one();
        answer
    }

    async fn permits(&self, function: &Arn, service: &str, source: &Arn, account: &str) -> Result<bool, AwsError> {
        assert_eq!((service, account), ("s3.amazonaws.com", AccountId::DEFAULT));
        assert!(source.to_string().starts_with("arn:aws:s3:::"), "{source}");
        match function.resource.as_str() {
            "function:f" => Ok(true),
            "function:closed" => Ok(false),
            _ => Err(AwsError::new("ResourceNotFoundException", 404, "no such function")),
        }
    }
}

impl Functions {
    /// The payloads, once there are so many.
    pub(crate) async fn payloads(&self, count: usize) -> Vec<String> {
        loop {
            let heard = self.heard.notified();
            let payloads = self.invoked.lock().unwrap().clone();
            if payloads.len() >= count {
                return payloads;
            }
            heard.await;
        }
    }
}

/// Events that were sent.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) sent: Mutex<Vec<Event>>,
    pub(crate) heard: Notify,
}

#[async_trait]
impl EventSink for Events {
    async fn put(&self, events: Vec<Event>) -> Result<(), AwsError> {
        self.sent.lock().unwrap().extend(events);
        self.heard.notify_one();
        Ok(())
    }
}

/// `ROOT` of the default account, `OTHER` of another, `TEMP` with the token `token`, `LATE` that has expired.
struct Keys;

impl KeyDirectory for Keys {
    fn access_key(&self, id: &str) -> Option<AccessKey> {
        let account = AccountId::new(if id == "OTHER" { "111111111111" } else { AccountId::DEFAULT })?;
        let temporary = matches!(id, "TEMP" | "LATE");
        matches!(id, "ROOT" | "OTHER" | "TEMP" | "LATE").then(|| AccessKey {
            secret_access_key: format!("{id}-secret"),
            session_token: temporary.then(|| "token".to_owned()),
            principal: Principal::Root { account: account.clone() },
            account,
            expiration: (id == "LATE").then(|| Timestamp::from_millis(1)),
        })
    }
}

/// A service and its directory.
pub(crate) struct Bench {
    pub(crate) directory: Arc<TempDir>,
    pub(crate) service: Arc<S3Service>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) events: Arc<Events>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text in the first element of this name.
    pub(crate) fn element(&self, name: &str) -> String {
        let text = self.text();
        let found = text.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
        found.map(|(value, _)| value.to_owned()).unwrap_or_default()
    }
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) key: &'a str,
    pub(crate) region: &'a str,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: &str, path: &'a str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self { method, path, body: Body::empty(), headers: Vec::new(), key: "ROOT", region: "us-east-1" }
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Self {
        let body: Bytes = body.into();
        let length = body.len().to_string();
        Self { body: Body::from(body), ..self }.header("content-length", length)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn key(self, key: &'a str) -> Self {
        Self { key, ..self }
    }

    pub(crate) fn region(self, region: &'a str) -> Self {
        Self { region, ..self }
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), Arc::default())
    }

    /// A service on what another one left.
    pub(crate) fn on(directory: Arc<TempDir>, functions: Arc<Functions>) -> Self {
        Self::open(directory, functions, Arc::new(SystemClock))
    }

    /// A service on what another one left, whose time is the test's.
    pub(crate) fn open(directory: Arc<TempDir>, functions: Arc<Functions>, clock: Arc<dyn Clock>) -> Self {
        let store = Store::open(directory.path().join("test.db")).unwrap();
        let ambient = Ambient { clock, ids: Arc::new(RandomIds), endpoint: "http://127.0.0.1:4566".into() };
        let events = Arc::new(Events::default());
        let neighbours = Neighbours {
            keys: Arc::new(Keys),
            functions: Arc::clone(&functions) as Arc<dyn FunctionInvoker>,
            events: Some(Arc::clone(&events) as Arc<dyn EventSink>),
        };
        let service = S3Service::open(store, directory.path(), ambient, neighbours).unwrap();
        Self { directory, service, functions, events }
    }

    /// Signs and sends a request.
    pub(crate) async fn send(&self, call: Call<'_>) -> Answer {
        let now = Timestamp::from(SystemTime::now()).iso8601();
        let date: String = now.chars().filter(|c| !"-:".contains(*c)).collect();
        let (date, day) = (format!("{}Z", &date[..15]), &date[..8]);
        let (path, query) = call.path.split_once('?').unwrap_or((call.path, ""));
        let mut headers = call.headers.clone();
        headers.push(("host", "127.0.0.1:4566".into()));
        headers.push(("x-amz-date", date.clone()));
        if !headers.iter().any(|(name, _)| *name == "x-amz-content-sha256") {
            headers.push(("x-amz-content-sha256", "UNSIGNED-PAYLOAD".into()));
        }
        headers.sort();
        let payload = headers.iter().find(|(name, _)| *name == "x-amz-content-sha256").unwrap().1.clone();
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = lines.concat();
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut pairs: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        pairs.sort();
        let request = format!("{}\n{path}\n{}\n{canonical}\n{names}\n{payload}", call.method, pairs.join("&"));
        let scope = format!("{day}/{}/s3/aws4_request", call.region);
        let digest = hex::encode(Sha256::digest(request.as_bytes()));
        let mut key = format!("AWS4{}-secret", call.key).into_bytes();
        for part in [day, call.region, "s3", "aws4_request"] {
            key = hmac(&key, part);
        }
        let signature = hex::encode(hmac(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}")));
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", call.key);
        headers.push(("authorization", authorization));
        let mut request = Request::builder().method(call.method).uri(call.path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.send_as_is(request.body(call.body).unwrap()).await
    }

    /// Sends a request with the signature that it has, or none.
    pub(crate) async fn send_as_is(&self, request: Request<Body>) -> Answer {
        let (parts, mut stream) = self.service.handle(request).await.into_parts();
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend(chunk.unwrap());
        }
        Answer { status: parts.status, headers: parts.headers, body: body.into() }
    }

    /// Sends a request that must succeed.
    pub(crate) async fn done(&self, call: Call<'_>) -> Answer {
        let answer = self.send(call).await;
        assert!(answer.status.is_success(), "{} {}", answer.status, answer.text());
        answer
    }

    /// Sends a request that must be refused with this code.
    pub(crate) async fn refused(&self, status: u16, code: &str, call: Call<'_>) -> Answer {
        let answer = self.send(call).await;
        assert_eq!((answer.status.as_u16(), answer.element("Code").as_str()), (status, code), "{}", answer.text());
        answer
    }

    pub(crate) async fn put(&self, path: &str, body: impl Into<Bytes>) {
        self.done(Call::new("PUT", path).body(body)).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Bytes {
        self.done(Call::new("GET", path)).await.body
    }

    /// Turns versions of the bucket `bucket` on or off.
    pub(crate) async fn versioning(&self, status: &str) {
        let document = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        self.done(Call::new("PUT", "/bucket?versioning").body(document)).await;
    }

    /// Files of bodies.
    pub(crate) fn blobs(&self) -> usize {
        let mut folders = vec![self.directory.path().join("objects")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { files += 1 }
            }
        }
        files
    }

    /// Waits until there are so many files of bodies; files go after the answer.
    pub(crate) async fn blobs_become(&self, count: usize) {
        for _ in 0..1000 {
            if self.blobs() == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{} files instead of {count}", self.blobs());
    }
}
