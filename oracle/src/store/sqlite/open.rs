//! Opening a file: the right one, whole, alone, and of this version.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// "SIWA", in SQLite's header: a file without it is another program's.
const APPLICATION_ID: i32 = 0x5349_5741;
/// Every change of the schema, in order. The file's `user_version` is how many it has had.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema/001.sql"),
    include_str!("schema/002.sql"),
    include_str!("schema/003.sql"),
    include_str!("schema/004.sql"),
    include_str!("schema/005.sql"),
];
/// Statements that stay parsed: more than there are.
const STATEMENTS_MAX: usize = 64;
/// Bytes that a checkpointed write-ahead log may keep.
const WAL_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// Why a store could not be opened. None of these is answered by making a new one.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file. A ledger is made once, by `siwa ledger init`, a store of accounts by `siwa identity init`.
    #[error("the store's file is missing; it is made once, by `siwa ledger init` or `siwa identity init`")]
    Missing,
    /// The file is not a store of Siwa.
    #[error("the file is not a store of Siwa")]
    Foreign,
    /// The file was written by a newer version.
    #[error("the store was written by a newer version of Siwa")]
    Newer,
    /// The file was written by an earlier version, and is only to be read here.
    #[error("the store was written by an earlier version: start the node once, or run `siwa ledger init`")]
    Earlier,
    /// The ledger's charges do not say when their data was contributed, as budgets need it. The file is left as it is.
    #[error(
        "the ledger was written by a version that did not note when data was contributed; it is not carried over: \
         see \"A ledger of an earlier form\" in docs/privacy.md"
    )]
    EarlierLedger,
    /// Another process has it open.
    #[error("the store is in use by another process")]
    InUse,
    /// What SQLite reads there is not what it wrote.
    #[error("the store is damaged")]
    Damaged,
    /// The file or its folder can't be read or written.
    #[error("the store's file cannot be used")]
    Io(#[source] io::Error),
    /// SQLite failed in another way.
    #[error("the store cannot be opened")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged,
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            // Only a migration's own check can fail before anything else was written.
            Some(ErrorCode::ConstraintViolation) => Self::EarlierLedger,
            _ => Self::Sqlite(error),
        }
    }
}

pub(super) fn existing(file: &Path) -> Result<Connection, OpenError> {
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > 0 => open(file),
        // An empty file is what a crash leaves of a store that was never made.
        Ok(_) => Err(OpenError::Missing),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(OpenError::Missing),
        Err(error) => Err(OpenError::Io(error)),
    }
}

pub(super) fn existing_or_new(file: &Path) -> Result<Connection, OpenError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder).map_err(OpenError::Io)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(_) => {
            // The folder's entry must be as durable as what the file will hold.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(OpenError::Io)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(OpenError::Io(error)),
    }
    open(file)
}

fn open(file: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    // Alone: two processes with one ledger would count every quota twice. The lock ends with the process.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on disk before it is reported (`fullfsync` is how macOS is told so).
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    migrate(&mut connection)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if verdict == "ok" { Ok(connection) } else { Err(OpenError::Damaged) }
}

/// Whether a file that is only read is one of this version.
pub(super) fn check_version(connection: &Connection) -> Result<(), OpenError> {
    let number = |sql| connection.query_row(sql, (), |row| row.get::<_, i32>(0));
    if number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(OpenError::Foreign);
    }
    match usize::try_from(number("PRAGMA user_version")?).map_err(|_| OpenError::Damaged)? {
        version if version > MIGRATIONS.len() => Err(OpenError::Newer),
        version if version < MIGRATIONS.len() => Err(OpenError::Earlier),
        _ => Ok(()),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let number = |sql| transaction.query_row(sql, (), |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let objects = number("SELECT count(*) FROM sqlite_schema")?;
    let fresh = (application, version, objects) == (0, 0, 0);
    if application != APPLICATION_ID && !fresh {
        return Err(OpenError::Foreign);
    }
    let done = usize::try_from(version).map_err(|_| OpenError::Damaged)?;
    let outstanding = MIGRATIONS.get(done..).ok_or(OpenError::Newer)?;
    for migration in outstanding {
        transaction.execute_batch(migration)?;
    }
    if !outstanding.is_empty() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        let version = i32::try_from(MIGRATIONS.len()).expect("migrations are few");
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()?;
    Ok(())
}
