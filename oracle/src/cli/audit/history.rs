//! Earlier versions of a policy folder, from the history of the git work tree that it lies in.
//!
//! `git` runs as a process and is asked for three things: the commits that touched the folder, the files of one of them,
//! and the files' bytes. What comes back is believed in nothing but its length: files are used where their digest is the
//! one that was asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use policies::{Digest, PolicySet, set};

use super::folders::{belongs, is_under_git};

/// Commits looked at, the newest first.
const COMMITS_MAX: usize = 10_000;
/// Bytes of a listing of commits or files.
const LISTING_BYTES_MAX: u64 = 4 << 20;
/// Files whose bytes are kept between commits.
const BLOBS_MAX: usize = 20_000;

/// Files by their path.
type Files = BTreeMap<String, Vec<u8>>;

/// The history of one folder, as far as it was looked at.
pub(super) struct History {
    folder: PathBuf,
    commits: Option<std::vec::IntoIter<String>>,
    met: HashMap<Digest, (String, Files)>,
    listings: HashSet<Digest>,
    blobs: HashMap<String, Vec<u8>>,
    reader: Option<Blobs>,
}

impl History {
    /// The folder's history; nothing where it is not under git.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        is_under_git(folder).then(|| Self {
            folder: folder.to_owned(),
            commits: None,
            met: HashMap::new(),
            listings: HashSet::new(),
            blobs: HashMap::new(),
            reader: None,
        })
    }

    /// The files whose digest this is, and the commit that has them; nothing where no commit does.
    ///
    /// # Errors
    /// git failed, or said something that it does not say.
    pub(super) fn files(&mut self, digest: Digest) -> anyhow::Result<Option<(String, Files)>> {
        if let Some(found) = self.met.get(&digest) {
            return Ok(Some(found.clone()));
        }
        while let Some(commit) = self.next_commit()? {
            let Some(files) = self.read(&commit)? else { continue };
            let found = Digest::of(set::manifest(&files).as_bytes());
            let entry = self.met.entry(found).or_insert((commit, files));
            if found == digest {
                return Ok(Some(entry.clone()));
            }
        }
        Ok(None)
    }

    fn next_commit(&mut self) -> anyhow::Result<Option<String>> {
        if self.commits.is_none() {
            let count = format!("--max-count={COMMITS_MAX}");
            // Topology matters in nothing: every version that was ever committed is one that may have been in force.
            let text = git(&self.folder, &["log", "--all", "--format=%H", &count, "--", "."])?;
            let text = String::from_utf8(text).context("git log gave no text")?;
            let commits: Vec<String> = text.lines().map(str::to_owned).collect();
            ensure!(commits.iter().all(|commit| is_object(commit)), "git log gave no commits");
            self.commits = Some(commits.into_iter());
        }
        Ok(self.commits.as_mut().and_then(Iterator::next))
    }

    /// The folder's files in a commit; nothing where they are those of a commit before.
    fn read(&mut self, commit: &str) -> anyhow::Result<Option<Files>> {
        let listing = git(&self.folder, &["ls-tree", "-r", "-z", commit, "--", "."])?;
        if !self.listings.insert(Digest::of(&listing)) {
            return Ok(None);
        }
        let mut files = Files::new();
        for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            // mode SP type SP object TAB path
            let line = std::str::from_utf8(line).context("a path in the history is not UTF-8")?;
            let (head, path) = line.split_once('\t').context("git ls-tree gave no path")?;
            let mut head = head.split(' ').skip(1);
            let (Some("blob"), Some(object)) = (head.next(), head.next()) else { continue };
            if belongs(path) {
                ensure!(is_object(object), "git ls-tree gave no object");
                ensure!(files.len() < PolicySet::FILES_MAX, "a commit has more policy files than a folder can");
                files.insert(path.to_owned(), self.blob(object)?);
            }
        }
        Ok(Some(files))
    }

    fn blob(&mut self, object: &str) -> anyhow::Result<Vec<u8>> {
        if let Some(bytes) = self.blobs.get(object) {
            return Ok(bytes.clone());
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(Blobs::start(&self.folder)?),
        };
        let bytes = reader.read(object)?;
        if self.blobs.len() < BLOBS_MAX {
            self.blobs.insert(object.to_owned(), bytes.clone());
        }
        Ok(bytes)
    }
}

/// 40 or 64 hexadecimal digits: what git names objects by.
fn is_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    // What is looked for is what was committed: no replaced objects, no paging, and nothing fetched from elsewhere.
    command.arg("--no-replace-objects").arg("--no-pager").arg("-C").arg(folder).args(arguments);
    command.env("GIT_NO_LAZY_FETCH", "1").stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs git to its end and gives what it printed, within its limit.
fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut child = command(folder, arguments).stdout(Stdio::piped()).spawn().context("git cannot be run")?;
    let mut printed = Vec::new();
    let stdout = child.stdout.take().context("git has no output")?;
    let read = stdout.take(LISTING_BYTES_MAX + 1).read_to_end(&mut printed);
    let within = u64::try_from(printed.len()).is_ok_and(|length| length <= LISTING_BYTES_MAX);
    if !within {
        // It may be waiting to print more.
        let _ = child.kill();
    }
    let status = child.wait().context("git did not end")?;
    read.context("git's output cannot be read")?;
    ensure!(within, "git {} printed more than {LISTING_BYTES_MAX} bytes", arguments[0]);
    ensure!(status.success(), "git {} failed", arguments[0]);
    Ok(printed)
}

/// One process that gives objects' bytes.
struct Blobs {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Blobs {
    fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut command = command(folder, &["cat-file", "--batch"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("git cannot be run")?;
        let (ask, answers) = child.stdin.take().zip(child.stdout.take()).context("git has no input and output")?;
        Ok(Self { child, ask, answers: BufReader::new(answers) })
    }

    fn read(&mut self, object: &str) -> anyhow::Result<Vec<u8>> {
        writeln!(self.ask, "{object}").and_then(|()| self.ask.flush()).context("git cannot be asked")?;
        // object SP type SP size LF bytes LF
        let mut head = String::new();
        (&mut self.answers).take(200).read_line(&mut head).context("git's answer cannot be read")?;
        let mut words = head.trim_end().split(' ');
        let kind = (words.next() == Some(object)).then(|| words.next()).flatten();
        ensure!(kind == Some("blob"), "git cat-file gave another object");
        let size: usize = words.next().and_then(|size| size.parse().ok()).context("git cat-file gave no size")?;
        ensure!(size <= PolicySet::FILE_BYTES_MAX, "a file in the history is larger than a policy file can be");
        let mut bytes = vec![0; size + 1];
        self.answers.read_exact(&mut bytes).context("git's answer cannot be read")?;
        bytes.pop();
        Ok(bytes)
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // It ends by itself when its input does; this makes it so now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
