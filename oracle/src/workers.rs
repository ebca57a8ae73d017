//! Threads for work that would hold up the reactor: signatures over P-384 and RSA take a millisecond or two each.
//!
//! Work is admitted up to a bound in units of its own cost and done in the order in which it came, so that what is
//! admitted never waits for more than the bound; beyond it the caller is told at once to come back later.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{fmt, io};

use tokio::sync::oneshot;

/// As much work waits as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("as much work waits as may")
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A crew of threads and the bounded queue before it. It ends, after what was admitted, when it is dropped.
pub(crate) struct Workers {
    /// Taken only when the crew is dropped, which ends the threads.
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    waiting: Arc<AtomicUsize>,
    cost_max: usize,
}

/// Gives a job's place back when it is done, dropped or has panicked.
struct Place {
    waiting: Arc<AtomicUsize>,
    cost: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.cost, Ordering::AcqRel);
    }
}

impl Workers {
    /// `threads` threads that together admit work of `cost_max` units.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(name: &str, threads: usize, cost_max: usize) -> io::Result<Self> {
        // No job costs less than a unit, so that the queue has room for whatever the units admit.
        let (jobs, queue) = sync_channel(cost_max);
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..threads.max(1)).map(|number| {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("{name}-{number}")).spawn(move || serve(&queue))
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), threads, waiting: Arc::default(), cost_max })
    }

    /// Does `work`, which costs `cost` units (1 at least), on one of the threads.
    ///
    /// # Errors
    /// When so much waits that this would pass the bound, or the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        cost: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let cost = cost.max(1);
        let admit = |waiting: usize| waiting.checked_add(cost).filter(|sum| *sum <= self.cost_max);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, admit).map_err(|_| Busy)?;
        let place = Place { waiting: Arc::clone(&self.waiting), cost };
        let (reply, replied) = oneshot::channel();
        let job = Box::new(move || {
            // Dropped before the reply's end in any case: whoever is told may come back at once.
            let place = place;
            // Whoever asked may have gone: what nobody waits for is not done.
            if reply.is_closed() {
                return;
            }
            let done = work();
            drop(place);
            let _ = reply.send(done);
        });
        self.jobs.as_ref().ok_or(Busy)?.try_send(job).map_err(|_| Busy)?;
        replied.await.map_err(|_| Busy)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic in there has been reported, and whoever waited was told.
            let _ = thread.join();
        }
    }
}

fn serve(queue: &Mutex<Receiver<Job>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics takes its own reply with it and leaves the thread to the others.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    /// A job that runs until the test lets it go, so that everything behind it waits.
    fn gate() -> (impl FnOnce() -> u32 + Send + 'static, Arc<Barrier>) {
        let barrier = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&barrier);
        let job = move || {
            inside.wait();
            7
        };
        (job, barrier)
    }

    #[tokio::test]
    async fn results_come_back() {
        let workers = Workers::start("test", 2, 4).unwrap();
        assert_eq!(workers.run(1, || 6 * 7).await, Ok(42));
        assert_eq!(workers.run(4, || "as large as the bound").await, Ok("as large as the bound"));
        assert_eq!(workers.run(5, || "never admitted").await, Err(Busy));
        assert_eq!(workers.waiting.load(Ordering::Acquire), 0);
    }

    /// Under overload the excess is refused at once, and what was admitted waits for no more than the bound: the same
    /// jobs that were before it, in their order, and none that came later.
    #[tokio::test]
    async fn overload_is_shed_and_what_is_admitted_keeps_its_place() {
        const BOUND: usize = 8;
        let workers = Arc::new(Workers::start("test", 1, BOUND).unwrap());
        let (job, barrier) = gate();
        let done = Arc::new(AtomicUsize::new(0));
        let first = tokio::spawn({
            let workers = Arc::clone(&workers);
            async move { workers.run(1, job).await }
        });
        while workers.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (workers, done) = (Arc::clone(&workers), Arc::clone(&done));
            callers.spawn(async move { workers.run(1, move || done.fetch_add(1, Ordering::AcqRel)).await });
        }
        let mut shed = 0;
        while shed < 100 - (BOUND - 1) {
            assert_eq!(callers.join_next().await.unwrap().unwrap(), Err(Busy), "nothing runs while the gate is shut");
            shed += 1;
        }
        assert_eq!(workers.waiting.load(Ordering::Acquire), BOUND);
        barrier.wait();
        assert_eq!(first.await.unwrap(), Ok(7));
        let mut places = Vec::new();
        while let Some(admitted) = callers.join_next().await {
            places.push(admitted.unwrap().unwrap());
        }
        places.sort_unstable();
        assert_eq!(places, (0..BOUND - 1).collect::<Vec<_>>(), "all that was admitted was done, and nothing else");
        assert_eq!(workers.run(BOUND, || 1).await, Ok(1), "there is room again");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_not_done() {
        let workers = Arc::new(Workers::start("test", 1, 4).unwrap());
        let (job, barrier) = gate();
        let gate = tokio::spawn({
            let workers = Arc::clone(&workers);
            async move { workers.run(1, job).await }
        });
        while workers.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        let done = Arc::new(AtomicUsize::new(0));
        let abandoned = {
            let done = Arc::clone(&done);
            let mut call = Box::pin(workers.run(1, move || done.fetch_add(1, Ordering::AcqRel)));
            assert!(futures_poll_once(call.as_mut()).await.is_none());
            call
        };
        drop(abandoned);
        barrier.wait();
        assert_eq!(gate.await.unwrap(), Ok(7));
        assert_eq!(workers.run(1, || 3).await, Ok(3));
        assert_eq!(done.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn a_panic_is_one_callers_and_gives_its_place_back() {
        let workers = Workers::start("test", 1, 2).unwrap();
        let broken: Result<(), Busy> = workers.run(2, || panic!("planted")).await;
        assert_eq!((broken, workers.run(2, || 5).await), (Err(Busy), Ok(5)));
    }

    async fn futures_poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut future = Some(future);
        std::future::poll_fn(move |context| {
            let polled = future.take().map(|future| future.poll(context));
            std::task::Poll::Ready(match polled {
                Some(std::task::Poll::Ready(value)) => Some(value),
                _ => None,
            })
        })
        .await
    }
}
