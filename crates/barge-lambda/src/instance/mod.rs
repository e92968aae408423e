//! One instance of a function: a process behind a Runtime API of its own, from its start to its end.
//!
//! An instance is one task that owns everything about it. What happens (an invocation comes, the process calls, prints
//! or ends, time runs out) comes to it one at a time; its [`Phase`] says what each means.

mod env;
mod failure;
mod journal;
mod lines;
mod output;
mod report;
mod runtime_api;
mod start;

pub(crate) use failure::Failure;
pub(crate) use start::launch;

use crate::names::FunctionKey;
use crate::pool::{Future, Handle, Permit};
use crate::sandbox::{Exit, Sandbox};
use crate::shared::Shared;
use crate::{code, function::Function};
use barge_core::AwsError;
use barge_wire::lambda::error;
use bytes::Bytes;
use journal::Journal;
use output::Output;
use report::{Ending, Event, Report};
use runtime_api::{ANSWER_LIMIT, Delivery, Post, PostedError, Reply, RuntimeApi, RuntimeCall};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// What an instance is told.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Run this. Only whoever took the instance from the pool may say so.
    Invoke(Box<Invoke>),
    /// End, since nobody needs you; you are free.
    Retire,
    /// End, whatever you do.
    Stop,
    /// Your process calls.
    Runtime(RuntimeCall),
}

/// One invocation.
#[derive(Debug)]
pub(crate) struct Invoke {
    pub request_id: String,
    pub payload: Bytes,
    pub client_context: Option<String>,
    pub trace_id: String,
    pub permit: Permit,
    pub reply: oneshot::Sender<Answer>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The function was run.
    Done(Outcome),
    /// It could not be run.
    Failed(AwsError),
    /// The instance was over; another one may take it.
    NotTaken,
}

/// How a function's run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed,
}

/// What a function gave.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub payload: Bytes,
    pub verdict: Verdict,
    /// The last of its log.
    pub tail: String,
}

enum Phase {
    /// The runtime has not asked for work yet.
    Starting { since: Instant, first: Option<Box<Invoke>> },
    /// No invocation. The runtime's question, if it has asked again already.
    Free { since: Instant, poll: Option<oneshot::Sender<Delivery>> },
    /// An invocation runs.
    Busy(Busy),
    /// Nothing more is to come.
    Over,
}

struct Busy {
    invoke: Box<Invoke>,
    since: Instant,
    /// The event, until the runtime has taken it.
    undelivered: Option<Delivery>,
    /// How long the start took, where this invocation waited for it.
    init: Option<Duration>,
}

struct Instance {
    shared: Arc<Shared>,
    function: Arc<Function>,
    handle: Handle,
    signals: mpsc::UnboundedReceiver<Signal>,
    sandbox: Box<dyn Sandbox>,
    output: Output,
    journal: Journal,
    phase: Phase,
    exited: bool,
    // Kept until the end: the Runtime API listens, and the code stays on disk.
    _api: RuntimeApi,
    _code: Vec<code::Pin>,
}

enum Happening {
    Told(Option<Signal>),
    Exited(Exit),
    Printed,
    Flushed,
    TimeIsUp,
}

impl Instance {
    fn key(&self) -> &FunctionKey {
        &self.function.key
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.function.settings.timeout_seconds.into())
    }

    async fn live(mut self) {
        while !matches!(self.phase, Phase::Over) {
            match self.next().await {
                Happening::Told(Some(signal)) => self.told(signal).await,
                Happening::Told(None) => self.stop(),
                Happening::Exited(exit) => self.ended(&exit),
                Happening::Printed => {
                    let lines = self.output.read();
                    self.journal.printed(lines);
                }
                Happening::Flushed => {}
                Happening::TimeIsUp => self.time_is_up().await,
            }
        }
        self.end().await;
    }

    async fn next(&mut self) -> Happening {
        let deadline = self.deadline();
        let Self { signals, sandbox, output, journal, .. } = self;
        let (room, lines) = (journal.has_room(), journal.has_lines());
        tokio::select! {
            signal = signals.recv() => Happening::Told(signal),
            exit = sandbox.exited() => Happening::Exited(exit),
            () = output.ready(), if room => Happening::Printed,
            () = journal.flush(), if lines => Happening::Flushed,
            () = tokio::time::sleep_until(deadline) => Happening::TimeIsUp,
        }
    }

    fn deadline(&self) -> Instant {
        let config = &self.shared.config;
        match &self.phase {
            Phase::Starting { since, first: None } => *since + config.init_timeout,
            Phase::Starting { since, first: Some(_) } => *since + config.init_timeout + self.timeout(),
            Phase::Free { since, .. } => *since + config.idle_timeout,
            Phase::Busy(busy) => busy.since + self.timeout(),
            Phase::Over => Instant::now(),
        }
    }

    async fn told(&mut self, signal: Signal) {
        match signal {
            Signal::Invoke(invoke) => self.invoke(invoke),
            Signal::Retire => {
                if !matches!(self.phase, Phase::Busy(_) | Phase::Starting { first: Some(_), .. }) {
                    self.phase = Phase::Over;
                }
            }
            Signal::Stop => self.stop(),
            Signal::Runtime(RuntimeCall::Next(poll)) => self.polled(poll),
            Signal::Runtime(RuntimeCall::Post { request_id, post, reply }) => {
                let heard = self.posted(&request_id, post);
                // The process may have hung up.
                let _ = reply.send(heard);
            }
            Signal::Runtime(RuntimeCall::InitError { error, reply }) => {
                let heard = self.init_failed(error).await;
                let _ = reply.send(heard);
            }
        }
    }

    fn stop(&mut self) {
        let invoke = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Busy(busy) => Some(busy.invoke),
            Phase::Starting { first, .. } => first,
            Phase::Free { .. } | Phase::Over => None,
        };
        if let Some(invoke) = invoke {
            let _ = invoke.reply.send(Answer::Failed(error::service_exception("The server is stopping.")));
        }
    }

    fn invoke(&mut self, invoke: Box<Invoke>) {
        match &mut self.phase {
            Phase::Starting { first: first @ None, .. } => *first = Some(invoke),
            Phase::Free { poll, .. } => {
                let poll = poll.take();
                self.begin(invoke, poll, None);
            }
            _ => drop(invoke.reply.send(Answer::NotTaken)),
        }
    }

    /// The runtime asks for an event. Where it may not have one now, its question is dropped.
    fn polled(&mut self, poll: oneshot::Sender<Delivery>) {
        match &mut self.phase {
            Phase::Starting { since, first } => {
                let (first, took) = (first.take(), since.elapsed());
                self.journal.event(&Event::InitEnd { took, failure: None });
                match first {
                    Some(invoke) => self.begin(invoke, Some(poll), Some(took)),
                    None => self.phase = Phase::Free { since: Instant::now(), poll: Some(poll) },
                }
            }
            Phase::Free { poll: waiting, .. } => {
                if waiting.as_ref().is_none_or(oneshot::Sender::is_closed) {
                    *waiting = Some(poll);
                }
            }
            Phase::Busy(busy) => {
                if let Some(delivery) = busy.undelivered.take() {
                    busy.undelivered = poll.send(delivery).err();
                }
            }
            Phase::Over => {}
        }
    }

    fn begin(&mut self, invoke: Box<Invoke>, poll: Option<oneshot::Sender<Delivery>>, init: Option<Duration>) {
        let earlier = self.output.drain();
        self.journal.printed(earlier);
        self.journal.begin_tail();
        let (request_id, version) = (invoke.request_id.as_str(), self.key().version_name());
        self.journal.event(&Event::Start { request_id, version: &version });
        let delivery = Delivery {
            request_id: invoke.request_id.clone(),
            deadline_millis: (self.shared.ambient.clock.now() + self.timeout()).millis(),
            function_arn: self.key().invoked_arn(),
            trace_id: invoke.trace_id.clone(),
            client_context: invoke.client_context.clone(),
            payload: invoke.payload.clone(),
        };
        let undelivered = match poll {
            Some(poll) => poll.send(delivery).err(),
            None => Some(delivery),
        };
        self.phase = Phase::Busy(Busy { invoke, since: Instant::now(), undelivered, init });
    }

    fn posted(&mut self, request_id: &str, post: Post) -> Reply {
        let busy = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Busy(busy) if busy.undelivered.is_none() && busy.invoke.request_id == request_id => busy,
            other => {
                self.phase = other;
                return Reply::UnknownRequest;
            }
        };
        let (payload, verdict, reply) = match post {
            Post::Response(body) => (body, Verdict::Succeeded, Reply::Accepted),
            Post::Error(error) => (error.payload(), Verdict::Failed, Reply::Accepted),
            Post::TooLarge => (too_large(), Verdict::Failed, Reply::TooLarge),
        };
        let (invoke, outcome) = self.conclude(busy, payload, verdict, None);
        let Invoke { permit, reply: client, .. } = *invoke;
        self.phase = match self.shared.pools.finish(permit, &self.handle) {
            Future::Stay => Phase::Free { since: Instant::now(), poll: None },
            Future::Leave => Phase::Over,
        };
        // The client may have hung up.
        let _ = client.send(Answer::Done(outcome));
        reply
    }

    async fn init_failed(&mut self, error: PostedError) -> Reply {
        let Phase::Starting { since, first } = &mut self.phase else { return Reply::WrongState };
        let (took, first) = (since.elapsed(), first.take());
        let kind = error.kind.clone().unwrap_or_else(|| "Runtime.Unknown".to_owned());
        let failure = Failure::new(kind, "The runtime could not start.");
        self.journal.event(&Event::InitEnd { took, failure: Some(&failure) });
        self.phase = Phase::Over;
        self.sandbox.kill().await;
        if let Some(invoke) = first {
            self.give_up(busy(invoke, Some(took)), error.payload(), &failure);
        }
        Reply::Accepted
    }

    /// The process is gone.
    fn ended(&mut self, exit: &Exit) {
        self.exited = true;
        let failure = Failure::exited(exit);
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Starting { since, first } => {
                self.journal.event(&Event::InitEnd { took: since.elapsed(), failure: Some(&failure) });
                if let Exit::NotStarted(reason) = exit {
                    tracing::warn!(%reason, function = %self.key().name, "an instance was not started");
                }
                if let Some(invoke) = first {
                    self.fail(busy(invoke, None), &failure);
                }
            }
            Phase::Busy(busy) => self.fail(busy, &failure),
            Phase::Free { .. } | Phase::Over => {}
        }
    }

    async fn time_is_up(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Free { poll, .. } => {
                // Whoever took it from the pool a moment ago is about to send work.
                if !self.shared.pools.withdraw(self.key(), &self.handle.id) {
                    self.phase = Phase::Free { since: Instant::now(), poll };
                }
            }
            Phase::Busy(busy) => {
                self.sandbox.kill().await;
                self.fail(busy, &Failure::timed_out(self.timeout()));
            }
            Phase::Starting { since, first } => {
                self.sandbox.kill().await;
                let failure = Failure::timed_out(since.elapsed());
                self.journal.event(&Event::InitEnd { took: since.elapsed(), failure: Some(&failure) });
                if let Some(invoke) = first {
                    self.fail(busy(invoke, None), &failure);
                }
            }
            Phase::Over => {}
        }
    }

    /// Ends an invocation that the runtime did not answer.
    fn fail(&mut self, busy: Busy, failure: &Failure) {
        let payload = failure.payload(&busy.invoke.request_id);
        self.give_up(busy, payload.into(), failure);
    }

    fn give_up(&mut self, busy: Busy, payload: Bytes, failure: &Failure) {
        // Nobody may take an instance that is about to end.
        self.shared.pools.withdraw(self.key(), &self.handle.id);
        let (invoke, outcome) = self.conclude(busy, payload, Verdict::Failed, Some(failure));
        let Invoke { permit, reply, .. } = *invoke;
        drop(permit);
        let _ = reply.send(Answer::Done(outcome));
    }

    /// Writes the invocation's last lines and gathers what it gave.
    fn conclude(
        &mut self,
        busy: Busy,
        payload: Bytes,
        verdict: Verdict,
        failure: Option<&Failure>,
    ) -> (Box<Invoke>, Outcome) {
        let duration = busy.since.elapsed();
        let request_id = busy.invoke.request_id.as_str();
        let printed = if failure.is_some() { self.output.finish() } else { self.output.drain() };
        self.journal.printed(printed);
        let ending = match (failure, verdict) {
            (Some(failure), _) => Ending::Failed(failure),
            (None, Verdict::Failed) => Ending::Error,
            (None, Verdict::Succeeded) => Ending::Success,
        };
        self.journal.event(&Event::End { request_id, ending });
        let memory_mib = self.function.settings.memory_mib;
        self.journal.event(&Event::Report(Report { request_id, duration, memory_mib, init: busy.init, ending }));
        let outcome = Outcome { payload, verdict, tail: self.journal.tail().to_owned() };
        (busy.invoke, outcome)
    }

    async fn end(mut self) {
        self.shared.pools.died(self.key(), &self.handle.id);
        refuse_what_is_left(&mut self.signals);
        if !self.exited {
            self.sandbox.kill().await;
            self.sandbox.exited().await;
        }
        self.sandbox.dispose().await;
        let lines = self.output.finish();
        self.journal.printed(lines);
        if self.journal.has_lines() {
            self.journal.flush().await;
        }
        let (shared, function) = (Arc::clone(&self.shared), Arc::clone(&self.function));
        drop(self);
        shared.instance_ended(&function).await;
    }
}

/// An invocation that never reached the runtime.
fn busy(invoke: Box<Invoke>, init: Option<Duration>) -> Busy {
    Busy { invoke, since: Instant::now(), undelivered: None, init }
}

/// Sends back invocations that came too late for an instance.
fn refuse_what_is_left(signals: &mut mpsc::UnboundedReceiver<Signal>) {
    signals.close();
    while let Ok(signal) = signals.try_recv() {
        if let Signal::Invoke(invoke) = signal {
            let _ = invoke.reply.send(Answer::NotTaken);
        }
    }
}

fn too_large() -> Bytes {
    let error = [
        ("errorType", barge_core::Document::from("Function.ResponseSizeTooLarge")),
        (
            "errorMessage",
            format!("Response payload size exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes).").into(),
        ),
    ];
    barge_core::Document::map(error).to_json().into()
}

impl PostedError {
    /// The error object; made from the error's type where the runtime posted none.
    fn payload(&self) -> Bytes {
        if self.body.is_empty() {
            let kind = self.kind.clone().unwrap_or_else(|| "Runtime.Unknown".to_owned());
            return barge_core::Document::map([("errorType", kind)].map(|(k, v)| (k, v.into()))).to_json().into();
        }
        self.body.clone()
    }
}
