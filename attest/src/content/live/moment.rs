//! Times of RFC 3339 §5.6.

const MS_PER_MINUTE: u64 = 60_000;
const MS_PER_DAY: u64 = 86_400_000;

/// Reads a time as Unix ms, from 1970 to 9999. A leap second counts as the second before it.
pub(super) fn parse_ms(text: &str) -> Option<u64> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't'])?;
    let (clock, rest) = (rest.get(..8)?, rest.get(8..)?);
    let [year, month, day] = fields(date, b'-', [4, 2, 2])?;
    let [hour, minute, second] = fields(clock, b':', [2, 2, 2])?;
    let inside = hour <= 23 && minute <= 59 && second <= 60;
    let days = days_since_1970(year, month, day).filter(|_| inside)?;
    let (ms, zone) = fraction_ms(rest)?;
    let local = days * MS_PER_DAY + hour * 60 * MS_PER_MINUTE + minute * MS_PER_MINUTE + second.min(59) * 1000 + ms;
    let (sign, offset) = match zone.as_bytes() {
        [b'Z' | b'z'] => return Some(local),
        [sign @ (b'+' | b'-'), ..] => (*sign, zone.get(1..)?),
        _ => return None,
    };
    let [hours, minutes] = fields(offset, b':', [2, 2])?;
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset_ms = (hours * 60 + minutes) * MS_PER_MINUTE;
    if sign == b'+' { local.checked_sub(offset_ms) } else { Some(local + offset_ms) }
}

/// Numbers of fixed widths between separators, and nothing else.
fn fields<const N: usize>(text: &str, separator: u8, widths: [usize; N]) -> Option<[u64; N]> {
    let mut rest = text.as_bytes();
    let mut numbers = [0; N];
    for (place, width) in widths.into_iter().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(&[separator])?;
        }
        let (digits, after) = rest.split_at_checked(width)?;
        numbers[place] = digits
            .iter()
            .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))?;
        rest = after;
    }
    rest.is_empty().then_some(numbers)
}

/// The fraction of a second, and what follows it.
fn fraction_ms(rest: &str) -> Option<(u64, &str)> {
    let Some(fraction) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = fraction.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (digits, zone) = fraction.split_at(end);
    if !(1..=9).contains(&digits.len()) {
        return None;
    }
    let ms =
        digits.bytes().chain(std::iter::repeat(b'0')).take(3).fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0'));
    Some((ms, zone))
}

/// Days of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    if year < 1970 || day < 1 || day > *lengths.get(before)? {
        return None;
    }
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    Some(years + lengths[..before].iter().sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::parse_ms;

    #[test]
    fn known_times() {
        // RFC 3339 §5.8, and `date -u -d … +%s`.
        assert_eq!(parse_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_ms("1985-04-12T23:20:50.52Z"), Some(482_196_050_520));
        assert_eq!(parse_ms("1996-12-19T16:39:57-08:00"), Some(851_042_397_000));
        assert_eq!(parse_ms("1990-12-31T23:59:60Z"), parse_ms("1990-12-31T23:59:59Z"));
        assert_eq!(parse_ms("2000-02-29t12:00:00z"), Some(951_825_600_000));
        assert_eq!(parse_ms("2100-03-01T00:00:00Z"), Some(4_107_542_400_000));
        assert_eq!(parse_ms("9999-12-31T23:59:59.999999999Z"), Some(253_402_300_799_999));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2025",
            "2025-07-29",
            "2025-07-29 10:00:00Z",
            "2025-07-29T10:00:00",
            "2025-02-29T10:00:00Z",
            "2025-13-01T10:00:00Z",
            "2025-00-01T10:00:00Z",
            "2025-07-00T10:00:00Z",
            "2025-07-29T24:00:00Z",
            "2025-07-29T10:60:00Z",
            "2025-07-29T10:00:61Z",
            "2025-07-29T10:00:00.Z",
            "2025-07-29T10:00:00Zx",
            "2025-07-29T10:00:00+0200",
            "2025-07-29T10:00:00+24:00",
            "1969-12-31T23:59:59Z",
            "+025-07-29T10:00:00Z",
            "1970-01-01T00:00:00+00:01",
            "2025-07-2９T10:00:00Z",
            "2025-07-29T10:00:00.1",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            parse_ms(&text);
        }
    }
}
