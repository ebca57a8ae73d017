//! Structures of TPM 2.0 as bytes (TPM 2.0 Library, Part 2; big-endian) and of its logs (little-endian), read within
//! bounds.

/// The bytes are not of the structure that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not of this structure")]
pub struct Malformed;

/// Reads from the front of bytes; never past their end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next bytes, as many as the array has.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    /// A byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    /// A `UINT16`.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// A `UINT32`.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `UINT64`.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// 16 bits of a log.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn u16_le(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// 32 bits of a log.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn u32_le(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A `TPM2B`: a `UINT16`, and so many bytes.
    ///
    /// # Errors
    /// Fewer bytes are left.
    pub fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let size = self.u16()?;
        self.take(usize::from(size))
    }

    /// What a log counts with 32 bits, `max` bytes at most.
    ///
    /// # Errors
    /// More than `max`, or fewer bytes are left.
    pub fn sized_le(&mut self, max: usize) -> Result<&'a [u8], Malformed> {
        let size = usize::try_from(self.u32_le()?).map_err(|_| Malformed)?;
        if size > max { Err(Malformed) } else { self.take(size) }
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// Bytes are left.
    pub const fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Appends a `TPM2B`. More than its length field can count does not fit a command either: it is cut off, so that the TPM
/// refuses it.
pub fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(size)).unwrap_or(bytes));
}
