//! The one thread that works on a database: takes what has queued, runs it as one group, commits once, answers all.

use crate::engine::Engine;
use crate::error::Failure;
use dynoxide::DynoxideError;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Operations that share one commit, at most: a bound on how long the first of them waits.
const GROUP: usize = 64;

/// Which operations may share a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Reads or writes items; shares a commit with others.
    Grouped,
    /// Changes tables; shares a commit, and dynoxide's memory of tables is dropped where it fails.
    Schema,
    /// Undoes parts of itself and answers all the same, so it keeps its own transactions.
    Alone,
}

/// What an operation left to be sent once the commit is known.
type Answer = Box<dyn FnOnce(Result<(), &str>) + Send>;

/// Runs an operation. The error means that its whole group is lost.
type Run = Box<dyn FnOnce(&mut Engine, Manner) -> Result<Answer, Failure> + Send>;

struct Job {
    manner: Manner,
    run: Run,
}

/// A database's queue. Clones share it.
#[derive(Clone)]
pub(crate) struct Worker {
    queue: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts the thread.
    pub(crate) fn start(engine: Engine) -> Result<Self, Failure> {
        let (queue, jobs) = mpsc::channel();
        std::thread::Builder::new().name("dynamodb".to_owned()).spawn(move || serve(engine, &jobs))?;
        Ok(Self { queue })
    }

    /// Runs `operation` and returns its result once what it changed is on disk.
    pub(crate) async fn run<T, F>(&self, manner: Manner, operation: F) -> Result<T, DynoxideError>
    where
        F: FnOnce(&Engine) -> Result<T, DynoxideError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let run = move |engine: &mut Engine, manner: Manner| {
            let result = match manner {
                Manner::Grouped | Manner::Schema => engine.run(operation)?,
                Manner::Alone => operation(engine),
            };
            let answer = move |commit: Result<(), &str>| {
                // Nobody may be waiting any more; the change stands all the same.
                let _ = reply.send(match commit {
                    Ok(()) => result,
                    Err(error) => Err(DynoxideError::InternalServerError(error.to_owned())),
                });
            };
            Ok(Box::new(answer) as Answer)
        };
        // A send fails only where the thread is gone; the reply's end is dropped with it, and that is the answer.
        let _ = self.queue.send(Job { manner, run: Box::new(run) });
        result.await.unwrap_or_else(|_| Err(DynoxideError::InternalServerError("the database has stopped".to_owned())))
    }
}

fn serve(mut engine: Engine, jobs: &mpsc::Receiver<Job>) {
    let mut next = None;
    while let Some(first) = next.take().or_else(|| jobs.recv().ok()) {
        let mut answers = Vec::new();
        let work = AssertUnwindSafe(|| match first.manner {
            Manner::Grouped => group(&mut engine, first, jobs, &mut next, &mut answers),
            Manner::Schema => schema(&mut engine, first, &mut answers),
            Manner::Alone => (first.run)(&mut engine, Manner::Alone).map(|answer| answers.push(answer)),
        });
        let outcome = match std::panic::catch_unwind(work) {
            Ok(outcome) => outcome.map_err(|failure| failure.to_string()),
            Err(_) => Err("the operation could not be completed".to_owned()),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, "a DynamoDB database failed at a group of operations");
            engine.abandon();
            if let Err(error) = engine.reopen() {
                tracing::error!(%error, "a DynamoDB database could not be opened again");
            }
        }
        for answer in answers {
            answer(outcome.as_ref().copied().map_err(String::as_str));
        }
    }
}

/// Runs `first` and what has queued behind it, up to one that can't share the commit; that one is left in `next`.
fn group(
    engine: &mut Engine,
    first: Job,
    jobs: &mpsc::Receiver<Job>,
    next: &mut Option<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), Failure> {
    engine.begin()?;
    answers.push((first.run)(engine, Manner::Grouped)?);
    while answers.len() < GROUP {
        match jobs.try_recv() {
            Ok(job) if job.manner == Manner::Grouped => answers.push((job.run)(engine, Manner::Grouped)?),
            Ok(job) => {
                *next = Some(job);
                break;
            }
            Err(_) => break,
        }
    }
    engine.commit()
}

/// Runs an operation that changes tables, and drops dynoxide's memory of them afterwards: it costs a millisecond, and
/// what was remembered inside a change that was undone would be wrong.
fn schema(engine: &mut Engine, job: Job, answers: &mut Vec<Answer>) -> Result<(), Failure> {
    engine.begin()?;
    answers.push((job.run)(engine, Manner::Schema)?);
    engine.commit()?;
    engine.reopen()
}
