//! The thread that owns the connection, and the queue before it.
//!
//! Group commit: what waits in the queue goes into one transaction, each verb in a savepoint of its own, and one
//! sync of the file makes all of it durable. A verb's reply is given after that, never before. A verb sees what earlier verbs
//! of its group wrote; if the group's commit fails, all of them are told so, since nothing of it was done.
//!
//! A verb that only reads does so on its caller's thread while nothing is being written: a row or two of a file whose
//! pages are in memory takes less than waking a thread. Otherwise it waits in the queue like all others.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use aggregator::release::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::columns::failed;
#[cfg(test)]
use super::fault;

/// Verbs that wait; beyond it a verb is refused as busy.
pub(super) const QUEUE_MAX: usize = 256;
/// Verbs in one transaction.
pub(super) const GROUP_MAX: usize = 64;

/// A verb in the queue.
trait Job: Send {
    /// Does the work, all or nothing, and keeps the result.
    fn run(&mut self, connection: &Connection);
    /// Gives the result, or why the commit failed, to whoever waits.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Verb<T, E, F> {
    verb: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Verb<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn run(&mut self, connection: &Connection) {
        self.result = self.verb.take().map(|verb| in_savepoint(connection, verb));
    }

    fn reply(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(error.into()),
            (Ok(()), None) => Err(StoreError::Unavailable.into()),
        };
        // Whoever asked may be gone; what was done stays done.
        let _ = self.reply.send(result);
    }
}

/// Runs `verb`; an error of it undoes what it wrote.
fn in_savepoint<T, E: From<StoreError>>(
    connection: &Connection,
    verb: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    execute(connection, "SAVEPOINT verb")?;
    let result = verb(connection);
    if result.is_err() {
        execute(connection, "ROLLBACK TO verb")?;
    }
    execute(connection, "RELEASE verb")?;
    result
}

/// Runs a statement that is needed for every verb or group, and therefore parsed once.
fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(())).map_err(failed)?;
    Ok(())
}

/// The queue's end that everyone holds.
pub(super) struct Writer {
    /// Held by the thread while it writes. A panic of whoever holds it ends everything.
    connection: Arc<Mutex<Connection>>,
    /// Taken only when the writer is dropped, which ends the thread.
    jobs: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let connection = Arc::new(Mutex::new(connection));
        let (own, counter) = (Arc::clone(&connection), Arc::clone(&commits));
        #[cfg(test)]
        let fuse = fault::current();
        let serve = move || {
            #[cfg(test)]
            fault::attend(fuse);
            serve(&own, &queue, &counter);
        };
        let thread = std::thread::Builder::new().name("siwa-store".to_owned()).spawn(serve)?;
        Ok(Self { connection, jobs: Some(jobs), thread: Some(thread), commits })
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) async fn run<T, E>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, replied) = oneshot::channel();
        let job = Box::new(Verb { verb: Some(verb), result: None, reply });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Unavailable)?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Unavailable,
        })?;
        replied.await.unwrap_or_else(|_| Err(StoreError::Unavailable.into()))
    }

    /// Runs a verb that only reads: at once where nothing is being written, as [`Self::run`] otherwise. It sees what was
    /// committed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let verb = match self.connection.try_lock() {
            // Where a transaction could not even be undone, it is open still.
            Ok(connection) if connection.is_autocommit() => return verb(&connection),
            _ => verb,
        };
        self.run(verb).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported, and every verb since was refused.
            let _ = thread.join();
        }
    }
}

fn serve(connection: &Mutex<Connection>, queue: &Receiver<Box<dyn Job>>, commits: &AtomicU64) {
    #[cfg(test)]
    let mut unanswered = Vec::new();
    while let Ok(first) = queue.recv() {
        let mut group: Vec<_> = std::iter::once(first).chain(queue.try_iter().take(GROUP_MAX - 1)).collect();
        let Ok(connection) = connection.lock() else { return };
        #[cfg(test)]
        if fault::is_dead() {
            unanswered.push(group);
            continue;
        }
        let committed = commit(&connection, &mut group);
        drop(connection);
        #[cfg(test)]
        if fault::is_dead() {
            unanswered.push(group);
            continue;
        }
        if committed.is_ok() {
            commits.fetch_add(1, Ordering::Relaxed);
        }
        for job in group {
            job.reply(committed);
        }
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    execute(connection, "BEGIN")?;
    for job in &mut *group {
        job.run(connection);
        // SQLite ends the transaction by itself after some errors, such as a full disk: then all of it is undone.
        if connection.is_autocommit() {
            return Err(StoreError::Unavailable);
        }
    }
    #[cfg(test)]
    let planted = fault::next();
    #[cfg(test)]
    if let Some((fault::Moment::Before, deed)) = planted {
        execute(connection, "ROLLBACK")?;
        fault::strike(deed);
        return Err(StoreError::Unavailable);
    }
    execute(connection, "COMMIT").inspect_err(|_| {
        if let Err(error) = connection.execute_batch("ROLLBACK") {
            tracing::error!(%error, "the store could not be rolled back");
        }
    })?;
    #[cfg(test)]
    if let Some((fault::Moment::After, deed)) = planted {
        fault::strike(deed);
        return Err(StoreError::Unavailable);
    }
    Ok(())
}
