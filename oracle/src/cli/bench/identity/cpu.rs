//! How much of a processor the threads of this process have used, as Linux accounts for it (`proc_pid_schedstat`).

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

use crate::clock::Stopwatch;

/// Beginnings of the names of a node's threads.
const NODE_THREADS: [(&str, Part); 3] =
    [(super::service::THREAD, Part::Serving), ("siwa-sign", Part::Signing), ("siwa-store", Part::Storing)];

/// What a node's thread does.
#[derive(Clone, Copy)]
enum Part {
    Serving,
    Signing,
    Storing,
}

/// Time on a processor of a node's threads, of all of a kind together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NodeTime {
    /// TLS, HTTP, and everything that is done between a request and its answer.
    pub(super) serving: Duration,
    /// The crew that signs tokens.
    pub(super) signing: Duration,
    /// The stores' writers.
    pub(super) storing: Duration,
}

impl NodeTime {
    /// Used until now.
    pub(super) fn now() -> anyhow::Result<Self> {
        let mut time = Self::default();
        for task in fs::read_dir("/proc/self/task").context("no account of processor time: Linux keeps one")? {
            let task = task?.path();
            // A thread that ends meanwhile has no name any more: those that count here live as long as the node.
            let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
            let Some((_, part)) = NODE_THREADS.iter().find(|(begin, _)| name.starts_with(begin)) else { continue };
            let used = on_processor(&fs::read_to_string(task.join("schedstat"))?)?;
            match part {
                Part::Serving => time.serving += used,
                Part::Signing => time.signing += used,
                Part::Storing => time.storing += used,
            }
        }
        Ok(time)
    }

    /// Used since `earlier`.
    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            serving: self.serving.saturating_sub(earlier.serving),
            signing: self.signing.saturating_sub(earlier.signing),
            storing: self.storing.saturating_sub(earlier.storing),
        }
    }

    pub(super) fn total(self) -> Duration {
        self.serving + self.signing + self.storing
    }
}

/// Time that the calling thread was on a processor.
fn own() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat");
    on_processor(&text.context("no account of processor time: Linux keeps one")?)
}

/// The first of the three numbers: nanoseconds on a processor.
fn on_processor(schedstat: &str) -> anyhow::Result<Duration> {
    let used = schedstat.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    used.map(Duration::from_nanos).context("an account of processor time that cannot be read")
}

/// How often something was done, and the time on a processor that it took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) times: u64,
    pub(super) used: Duration,
}

impl Work {
    /// Does `work` on this thread until `duration` has passed.
    pub(super) fn during(duration: Duration, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (stopwatch, before) = (Stopwatch::start(), own()?);
        let mut times = 0;
        while times == 0 || stopwatch.elapsed() < duration {
            work()?;
            times += 1;
        }
        Ok(Self { times, used: own()?.saturating_sub(before) })
    }

    /// Does `work` on this thread once for each of `items`.
    pub(super) fn of_each<T, U>(
        items: impl IntoIterator<Item = T>,
        mut work: impl FnMut(T) -> anyhow::Result<U>,
    ) -> anyhow::Result<(Self, Vec<U>)> {
        let before = own()?;
        let done = items.into_iter().map(&mut work).collect::<anyhow::Result<Vec<U>>>()?;
        Ok((Self { times: done.len() as u64, used: own()?.saturating_sub(before) }, done))
    }

    /// Times in a second of a processor.
    pub(super) fn per_second(self) -> f64 {
        self.times as f64 / self.used.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
