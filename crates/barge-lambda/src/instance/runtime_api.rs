//! The Lambda Runtime API, as one instance's process sees it (Lambda Developer Guide, "Using the Lambda runtime API for
//! custom runtimes"): HTTP in, calls to the instance out. What a call means is the instance's to say.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const PREFIX: &str = "/2018-06-01/runtime/";

/// Bytes of an answer, at most: 6 MB and a little for what is around it (same page).
pub(crate) const ANSWER_LIMIT: usize = 6 * 1024 * 1024 + 100;

/// An event on its way to the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub request_id: String,
    pub deadline_millis: i64,
    pub function_arn: String,
    pub trace_id: String,
    pub client_context: Option<String>,
    pub payload: Bytes,
}

/// What the process asks or tells.
#[derive(Debug)]
pub(crate) enum RuntimeCall {
    /// It wants the next event. The sender is dropped where it may not have one now.
    Next(oneshot::Sender<Delivery>),
    /// It posts something about an invocation.
    Post { request_id: String, post: Post, reply: oneshot::Sender<Reply> },
    /// It could not start.
    InitError { error: PostedError, reply: oneshot::Sender<Reply> },
}

/// What came of an invocation.
#[derive(Debug)]
pub(crate) enum Post {
    /// The function's answer.
    Response(Bytes),
    /// Its answer is over the limit.
    TooLarge,
    /// It failed.
    Error(PostedError),
}

/// An error that a runtime posted.
#[derive(Debug)]
pub(crate) struct PostedError {
    /// The error object.
    pub body: Bytes,
    /// From the header `Lambda-Runtime-Function-Error-Type`.
    pub kind: Option<String>,
}

/// What the process hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Accepted,
    /// No such invocation is under way.
    UnknownRequest,
    TooLarge,
    /// Not now.
    WrongState,
}

/// A listening Runtime API; it ends when dropped.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl RuntimeApi {
    /// Listens on a free loopback port; `wrap` turns calls into what the instance takes.
    pub(crate) async fn open<T: Send + 'static>(
        instance: mpsc::UnboundedSender<T>,
        wrap: fn(RuntimeCall) -> T,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, instance, wrap)));
        Ok(Self { address, _serving: serving })
    }

    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve<T: Send + 'static>(
    listener: TcpListener,
    instance: mpsc::UnboundedSender<T>,
    wrap: fn(RuntimeCall) -> T,
) {
    // Connections end with the listener, however many a process leaves open.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, instance.clone(), wrap));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<T: Send + 'static>(
    stream: TcpStream,
    instance: mpsc::UnboundedSender<T>,
    wrap: fn(RuntimeCall) -> T,
) {
    // Without this the kernel holds small answers back; where it fails, answers are late and right.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let instance = instance.clone();
        async move { Ok::<_, Infallible>(answer(request, &instance, wrap).await) }
    });
    // A process may end in the middle of a call.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

enum Route {
    Next,
    Response(String),
    Error(String),
    InitError,
}

fn route(method: &Method, path: &str) -> Option<Route> {
    let path: Vec<&str> = path.strip_prefix(PREFIX)?.split('/').collect();
    match (method, &path[..]) {
        (&Method::GET, ["invocation", "next"]) => Some(Route::Next),
        (&Method::POST, ["invocation", id, "response"]) => Some(Route::Response((*id).to_owned())),
        (&Method::POST, ["invocation", id, "error"]) => Some(Route::Error((*id).to_owned())),
        (&Method::POST, ["init", "error"]) => Some(Route::InitError),
        _ => None,
    }
}

async fn answer<T>(
    request: Request<Incoming>,
    instance: &mpsc::UnboundedSender<T>,
    wrap: fn(RuntimeCall) -> T,
) -> Response<Full<Bytes>> {
    let call = |call: RuntimeCall| {
        // A send fails where the instance is gone; the reply's sender is gone with it, and that is the answer.
        let _ = instance.send(wrap(call));
    };
    let (reply, heard) = oneshot::channel();
    match route(request.method(), request.uri().path()) {
        None => return refusal(StatusCode::NOT_FOUND, "NotFound", "no such resource of the Runtime API"),
        Some(Route::Next) => {
            let (events, event) = oneshot::channel();
            call(RuntimeCall::Next(events));
            return event.await.map_or_else(|_| wrong_state(), delivered);
        }
        Some(Route::Response(request_id)) => {
            let post = match body(request).await {
                Ok(body) => Post::Response(body),
                Err(Unread::TooLarge) => Post::TooLarge,
                Err(Unread::Broken) => return broken(),
            };
            call(RuntimeCall::Post { request_id, post, reply });
        }
        Some(Route::Error(request_id)) => match posted_error(request).await {
            Ok(error) => call(RuntimeCall::Post { request_id, post: Post::Error(error), reply }),
            Err(refused) => return refused,
        },
        Some(Route::InitError) => match posted_error(request).await {
            Ok(error) => call(RuntimeCall::InitError { error, reply }),
            Err(refused) => return refused,
        },
    }
    match heard.await {
        Ok(Reply::Accepted) => json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#.to_owned()),
        Ok(Reply::UnknownRequest) => refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
        Ok(Reply::TooLarge) => refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!("Exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes)."),
        ),
        Ok(Reply::WrongState) | Err(_) => wrong_state(),
    }
}

enum Unread {
    TooLarge,
    Broken,
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Unread> {
    match Limited::new(request.into_body(), ANSWER_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}

async fn posted_error(request: Request<Incoming>) -> Result<PostedError, Response<Full<Bytes>>> {
    let kind = request.headers().get("lambda-runtime-function-error-type");
    let kind = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    match body(request).await {
        Ok(body) => Ok(PostedError { body, kind }),
        Err(Unread::TooLarge) => {
            Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "The error object is too large."))
        }
        Err(Unread::Broken) => Err(broken()),
    }
}

fn delivered(delivery: Delivery) -> Response<Full<Bytes>> {
    let deadline = delivery.deadline_millis.to_string();
    let mut headers = vec![
        ("lambda-runtime-aws-request-id", delivery.request_id),
        ("lambda-runtime-deadline-ms", deadline),
        ("lambda-runtime-invoked-function-arn", delivery.function_arn),
        ("lambda-runtime-trace-id", delivery.trace_id),
    ];
    if let Some(context) = delivery.client_context {
        headers.push(("lambda-runtime-client-context", context));
    }
    let mut response = Response::new(Full::new(delivery.payload));
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn wrong_state() -> Response<Full<Bytes>> {
    refusal(StatusCode::FORBIDDEN, "InvalidStateTransition", "The call does not fit the instance's state.")
}

fn broken() -> Response<Full<Bytes>> {
    refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "The body could not be read.")
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let error = [("errorMessage", barge_core::Document::from(message)), ("errorType", kind.into())];
    json(status, barge_core::Document::map(error).to_json())
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
