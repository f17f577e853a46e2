//! Go's reference layouts: `2006-01-02 15:04:05` and its parts, read and written as Go's `time` package does.
//!
//! One thing is not as in Go: an abbreviation of a zone other than UTC and GMT is an error when parsing, where Go takes an
//! unknown one for an offset of 0, which is a wrong time without a word.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use super::moment::Moment;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A part of a layout that stands for a part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Zone(ZoneForm),
    /// So many digits of the second's fraction, behind a point or a comma.
    Fraction {
        digits: usize,
        trimmed: bool,
        separator: char,
    },
}

/// How an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ZoneForm {
    /// `Z` for an offset of 0.
    z: bool,
    colon: bool,
    minutes: bool,
    seconds: bool,
}

/// The tokens that are a text each; of two that begin alike, the longer one is first.
const TEXTS: &[(&str, Token)] = &[
    ("January", Token::LongMonth),
    ("Jan", Token::Month),
    ("Monday", Token::LongWeekday),
    ("Mon", Token::Weekday),
    ("MST", Token::ZoneName),
    ("002", Token::ZeroYearDay),
    ("01", Token::ZeroMonth),
    ("02", Token::ZeroDay),
    ("03", Token::ZeroHour12),
    ("04", Token::ZeroMinute),
    ("05", Token::ZeroSecond),
    ("06", Token::Year),
    ("15", Token::Hour),
    ("1", Token::NumMonth),
    ("2006", Token::LongYear),
    ("2", Token::Day),
    ("__2", Token::SpaceYearDay),
    ("_2", Token::SpaceDay),
    ("3", Token::Hour12),
    ("4", Token::Minute),
    ("5", Token::Second),
    ("PM", Token::UpperPm),
    ("pm", Token::LowerPm),
];

/// The forms of an offset, behind `-` or `Z`.
const ZONES: [(&str, bool, bool, bool); 5] = [
    ("070000", false, true, true),
    ("07:00:00", true, true, true),
    ("0700", false, true, false),
    ("07:00", true, true, false),
    ("07", false, false, false),
];

/// The text before the next token, the token, and what follows it.
fn next(layout: &str) -> Option<(&str, Token, &str)> {
    for (at, _) in layout.char_indices() {
        let (before, rest) = layout.split_at(at);
        // `_2006` is an underscore and a year.
        if rest.starts_with("_2006") {
            continue;
        }
        if let Some((token, length)) = token(rest) {
            return Some((before, token, rest.get(length..).unwrap_or_default()));
        }
    }
    None
}

/// The token at the beginning of a text, and its length.
fn token(text: &str) -> Option<(Token, usize)> {
    for (form, colon, minutes, seconds) in ZONES {
        let zone = |z| Token::Zone(ZoneForm { z, colon, minutes, seconds });
        for (sign, z) in [("-", false), ("Z", true)] {
            if text.strip_prefix(sign).is_some_and(|rest| rest.starts_with(form)) {
                return Some((zone(z), form.len() + 1));
            }
        }
    }
    if let Some((separator, rest)) = fraction_sign(text) {
        let digit = rest.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
        let digits = rest.chars().take_while(|c| *c == digit).count();
        let ends = !rest.chars().nth(digits).is_some_and(|c| c.is_ascii_digit());
        return ends.then_some((Token::Fraction { digits, trimmed: digit == '9', separator }, digits + 1));
    }
    let (word, token) = TEXTS.iter().find(|(word, token)| {
        let Some(rest) = text.strip_prefix(word) else { return false };
        // `Janet` has no month in it.
        let short = matches!(token, Token::Month | Token::Weekday);
        !(short && rest.starts_with(|c: char| c.is_ascii_lowercase()))
    })?;
    Some((*token, word.len()))
}

/// What stands between seconds and their fraction, and what follows it.
fn fraction_sign(text: &str) -> Option<(char, &str)> {
    let sign = text.chars().next().filter(|sign| matches!(sign, '.' | ','))?;
    Some((sign, text.get(1..)?))
}

/// Whether a text is a layout of Go's. A single word that begins with something else, such as `iso8601`, is none, even
/// though there is a token in it.
pub(super) fn is_layout(text: &str) -> bool {
    let word = text.chars().all(|c| c.is_ascii_alphanumeric()) && text.starts_with(|c: char| c.is_ascii_alphabetic());
    next(text).is_some_and(|(before, ..)| !word || before.is_empty())
}

/// A time as text.
pub(super) fn format(layout: &str, time: &Moment) -> String {
    let (civil, offset) = (time.civil(), time.offset());
    let mut text = String::with_capacity(layout.len() + 10);
    let mut rest = layout;
    while let Some((before, token, after)) = next(rest) {
        text.push_str(before);
        text.push_str(&token.written(time, civil, offset));
        rest = after;
    }
    text.push_str(rest);
    text
}

impl Token {
    fn written(self, time: &Moment, civil: DateTime, offset: Offset) -> String {
        let hour12 = match civil.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let month = MONTHS.get(usize::try_from(civil.month() - 1).unwrap_or(0)).copied().unwrap_or_default();
        let weekday = usize::try_from(civil.weekday().to_sunday_zero_offset()).unwrap_or(0);
        let weekday = DAYS.get(weekday).copied().unwrap_or_default();
        let pm = civil.hour() >= 12;
        match self {
            Self::LongMonth => month.to_owned(),
            Self::Month => month.chars().take(3).collect(),
            Self::NumMonth => civil.month().to_string(),
            Self::ZeroMonth => format!("{:02}", civil.month()),
            Self::LongWeekday => weekday.to_owned(),
            Self::Weekday => weekday.chars().take(3).collect(),
            Self::Day => civil.day().to_string(),
            Self::SpaceDay => format!("{:2}", civil.day()),
            Self::ZeroDay => format!("{:02}", civil.day()),
            Self::SpaceYearDay => format!("{:3}", civil.day_of_year()),
            Self::ZeroYearDay => format!("{:03}", civil.day_of_year()),
            Self::Hour => format!("{:02}", civil.hour()),
            Self::Hour12 => hour12.to_string(),
            Self::ZeroHour12 => format!("{hour12:02}"),
            Self::Minute => civil.minute().to_string(),
            Self::ZeroMinute => format!("{:02}", civil.minute()),
            Self::Second => civil.second().to_string(),
            Self::ZeroSecond => format!("{:02}", civil.second()),
            Self::LongYear if civil.year() < 0 => format!("-{:04}", civil.year().unsigned_abs()),
            Self::LongYear => format!("{:04}", civil.year()),
            Self::Year => format!("{:02}", civil.year().unsigned_abs() % 100),
            Self::UpperPm => if pm { "PM" } else { "AM" }.to_owned(),
            Self::LowerPm => if pm { "pm" } else { "am" }.to_owned(),
            Self::ZoneName => time.abbreviation().unwrap_or_else(|| PLAIN.written(offset)),
            Self::Zone(form) => form.written(offset),
            Self::Fraction { digits, trimmed, separator } => match fraction(civil.subsec_nanosecond(), digits, trimmed)
            {
                digits if digits.is_empty() => digits,
                digits => format!("{separator}{digits}"),
            },
        }
    }
}

/// `-0700`.
const PLAIN: ZoneForm = ZoneForm { z: false, colon: false, minutes: true, seconds: false };

impl ZoneForm {
    fn written(self, offset: Offset) -> String {
        if self.z && offset.is_zero() {
            return "Z".to_owned();
        }
        let seconds = offset.seconds().unsigned_abs();
        let sign = if offset.is_negative() { '-' } else { '+' };
        let colon = if self.colon { ":" } else { "" };
        let mut text = format!("{sign}{:02}", seconds / 3600);
        if self.minutes {
            text.push_str(&format!("{colon}{:02}", seconds / 60 % 60));
        }
        if self.seconds {
            text.push_str(&format!("{colon}{:02}", seconds % 60));
        }
        text
    }
}

fn fraction(nanoseconds: i32, digits: usize, trimmed: bool) -> String {
    let all = format!("{nanoseconds:09}");
    let padded = format!("{all:0<digits$}");
    let kept = padded.get(..digits).unwrap_or_default();
    let kept = if trimmed { kept.trim_end_matches('0') } else { kept };
    kept.to_owned()
}

/// The time that a text tells; the error says what is wrong with the text.
pub(super) fn parse(layout: &str, text: &str) -> Result<Moment, String> {
    let mut told = Told::default();
    let (mut layout, mut value) = (layout, text);
    while let Some((before, token, after)) = next(layout) {
        value = skip(value, before)?;
        value = told.read(token, value, after)?;
        layout = after;
    }
    value = skip(value, layout)?;
    if !value.is_empty() {
        return Err(format!("there is more in it: {value:?}"));
    }
    told.instant()
}

/// A text without what a layout has between tokens. A run of spaces is as good as one.
fn skip<'t>(value: &'t str, literal: &str) -> Result<&'t str, String> {
    let (mut value, mut literal) = (value, literal);
    while let Some(c) = literal.chars().next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(format!("a space is missing before {value:?}"));
            }
            (literal, value) = (literal.trim_start_matches(' '), value.trim_start_matches(' '));
            continue;
        }
        value = value.strip_prefix(c).ok_or_else(|| format!("{literal:?} is missing before {value:?}"))?;
        literal = literal.get(c.len_utf8()..).unwrap_or_default();
    }
    Ok(value)
}

/// What a text has told so far.
#[derive(Debug, Default)]
struct Told {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    pm: Option<bool>,
    offset: Option<Offset>,
}

impl Told {
    /// Reads a token's part of the text, and returns what follows it.
    fn read<'t>(&mut self, token: Token, value: &'t str, layout: &str) -> Result<&'t str, String> {
        match token {
            Token::LongMonth => self.set_month(name(value, &MONTHS, usize::MAX)?),
            Token::Month => self.set_month(name(value, &MONTHS, 3)?),
            Token::LongWeekday => Ok(name(value, &DAYS, usize::MAX)?.1),
            Token::Weekday => Ok(name(value, &DAYS, 3)?.1),
            Token::NumMonth | Token::ZeroMonth => {
                let (month, rest) = number(value, 2, token == Token::ZeroMonth, "a month", 1..=12)?;
                self.month = i8::try_from(month).ok();
                Ok(rest)
            }
            Token::Day | Token::SpaceDay | Token::ZeroDay => {
                let value = if token == Token::SpaceDay { value.strip_prefix(' ').unwrap_or(value) } else { value };
                let (day, rest) = number(value, 2, token == Token::ZeroDay, "a day", 1..=31)?;
                self.day = i8::try_from(day).ok();
                Ok(rest)
            }
            Token::SpaceYearDay | Token::ZeroYearDay => {
                let spaces = value.len() - value.trim_start_matches(' ').len();
                let value = value.get(spaces.min(2)..).unwrap_or_default();
                let (day, rest) = number(value, 3, token == Token::ZeroYearDay, "a day of the year", 1..=366)?;
                self.year_day = i16::try_from(day).ok();
                Ok(rest)
            }
            Token::LongYear => {
                let (year, rest) = number(value, 4, true, "a year", 0..=9999)?;
                self.year = i16::try_from(year).ok();
                Ok(rest)
            }
            Token::Year => {
                let (year, rest) = number(value, 2, true, "a year of two digits", 0..=99)?;
                self.year = i16::try_from(if year >= 69 { year + 1900 } else { year + 2000 }).ok();
                Ok(rest)
            }
            Token::Hour => small(&mut self.hour, number(value, 2, false, "an hour", 0..=23)?),
            Token::Hour12 | Token::ZeroHour12 => {
                small(&mut self.hour, number(value, 2, token == Token::ZeroHour12, "an hour", 0..=12)?)
            }
            Token::Minute | Token::ZeroMinute => {
                small(&mut self.minute, number(value, 2, token == Token::ZeroMinute, "a minute", 0..=59)?)
            }
            Token::Second | Token::ZeroSecond => {
                let read = number(value, 2, token == Token::ZeroSecond, "a second", 0..=59)?;
                let rest = small(&mut self.second, read)?;
                // A fraction is welcome behind a second, also where the layout has none.
                match next(layout) {
                    Some(("", Token::Fraction { .. }, _)) => Ok(rest),
                    _ => self.read_fraction(rest, None),
                }
            }
            Token::UpperPm => self.read_half(value, "AM", "PM"),
            Token::LowerPm => self.read_half(value, "am", "pm"),
            Token::Fraction { trimmed: true, .. } => self.read_fraction(value, None),
            Token::Fraction { digits, trimmed: false, .. } => self.read_fraction(value, Some(digits)),
            Token::ZoneName => {
                let end = value.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(value.len());
                let (name, rest) = value.split_at(end);
                if !matches!(name, "UTC" | "GMT" | "UT") {
                    return Err(format!("the zone {name:?} is neither UTC nor GMT; write an offset"));
                }
                self.offset = Some(Offset::UTC);
                Ok(rest)
            }
            Token::Zone(form) => self.read_zone(value, form),
        }
    }

    fn set_month<'t>(&mut self, (index, rest): (usize, &'t str)) -> Result<&'t str, String> {
        self.month = i8::try_from(index + 1).ok();
        Ok(rest)
    }

    fn read_half<'t>(&mut self, value: &'t str, am: &str, pm: &str) -> Result<&'t str, String> {
        let (half, rest) = match (value.strip_prefix(am), value.strip_prefix(pm)) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(format!("{am} or {pm} is missing at {value:?}")),
        };
        self.pm = Some(half);
        Ok(rest)
    }

    /// A fraction with so many digits, or with any, or none at all.
    fn read_fraction<'t>(&mut self, value: &'t str, digits: Option<usize>) -> Result<&'t str, String> {
        let behind = value.strip_prefix(['.', ',']).unwrap_or_default();
        let length = behind.bytes().take_while(u8::is_ascii_digit).count();
        match digits {
            None if length == 0 => return Ok(value),
            Some(wanted) if length != wanted => {
                return Err(format!("a fraction of {wanted} digits is missing at {value:?}"));
            }
            _ => {}
        }
        let (fraction, rest) = behind.split_at(length);
        let nine = format!("{fraction:0<9}");
        self.nanosecond = nine.get(..9).and_then(|nine| nine.parse().ok()).unwrap_or(0);
        Ok(rest)
    }

    fn read_zone<'t>(&mut self, value: &'t str, form: ZoneForm) -> Result<&'t str, String> {
        if let Some(rest) = value.strip_prefix('Z').filter(|_| form.z) {
            self.offset = Some(Offset::UTC);
            return Ok(rest);
        }
        let wrong = || format!("an offset such as {} is missing at {value:?}", form.written(Offset::constant(-7)));
        let (sign, digits) = match (value.strip_prefix('+'), value.strip_prefix('-')) {
            (Some(digits), _) => (1, digits),
            (None, Some(digits)) => (-1, digits),
            (None, None) => return Err(wrong()),
        };
        let colon = |text: &'t str| if form.colon { text.strip_prefix(':').ok_or_else(wrong) } else { Ok(text) };
        let (hours, mut rest) = number(digits, 2, true, "an offset's hours", 0..=24)?;
        let (mut minutes, mut seconds) = (0, 0);
        if form.minutes {
            (minutes, rest) = number(colon(rest)?, 2, true, "an offset's minutes", 0..=59)?;
        }
        if form.seconds {
            (seconds, rest) = number(colon(rest)?, 2, true, "an offset's seconds", 0..=59)?;
        }
        let all = i32::from(hours) * 3600 + i32::from(minutes) * 60 + i32::from(seconds);
        self.offset = Some(Offset::from_seconds(sign * all).map_err(|_| wrong())?);
        Ok(rest)
    }

    /// What was not told is that of midnight, January 1st of the year 0, in UTC.
    fn instant(self) -> Result<Moment, String> {
        let year = self.year.unwrap_or(0);
        let wrong = |_| "there is no such day".to_owned();
        let mut date = Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).map_err(wrong)?;
        if let Some(day) = self.year_day {
            let of_year = Date::new(year, 1, 1).and_then(|first| first.with().day_of_year(day).build());
            let of_year = of_year.map_err(wrong)?;
            let agrees = self.month.is_none_or(|month| month == of_year.month())
                && self.day.is_none_or(|day| day == of_year.day());
            if !agrees {
                return Err("its day of the year is another day".to_owned());
            }
            date = of_year;
        }
        let hour = match (self.pm, self.hour) {
            (Some(true), hour @ 0..12) => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
        let time = Time::new(hour, self.minute, self.second, self.nanosecond).map_err(|error| error.to_string())?;
        let offset = self.offset.unwrap_or(Offset::UTC);
        let timestamp = offset.to_timestamp(date.to_datetime(time)).map_err(|error| error.to_string())?;
        Ok(Moment { timestamp, zone: TimeZone::fixed(offset) })
    }
}

fn small<'t>(into: &mut i8, (number, rest): (u16, &'t str)) -> Result<&'t str, String> {
    *into = i8::try_from(number).unwrap_or(i8::MAX);
    Ok(rest)
}

/// A number of at most so many digits, or of exactly as many, and what follows it.
fn number<'t>(
    value: &'t str,
    digits: usize,
    exactly: bool,
    what: &str,
    bounds: std::ops::RangeInclusive<u16>,
) -> Result<(u16, &'t str), String> {
    let length = value.bytes().take(digits).take_while(u8::is_ascii_digit).count();
    let (text, rest) = value.split_at(length);
    let number = text.parse::<u16>().ok().filter(|_| !exactly || length == digits);
    let number = number.ok_or_else(|| format!("{what} is missing at {value:?}"))?;
    if !bounds.contains(&number) {
        return Err(format!("{what} is out of range at {value:?}"));
    }
    Ok((number, rest))
}

/// The index of the name that a text begins with, in any case, and what follows it.
fn name<'t>(value: &'t str, names: &[&str], letters: usize) -> Result<(usize, &'t str), String> {
    for (index, name) in names.iter().enumerate() {
        let name = name.get(..letters.min(name.len())).unwrap_or_default();
        if let Some((begin, rest)) = value.split_at_checked(name.len())
            && begin.eq_ignore_ascii_case(name)
        {
            return Ok((index, rest));
        }
    }
    Err(format!("there is no name of a month or weekday at {value:?}"))
}

/// Whether a text is the name of a day of the week.
pub(super) fn is_weekday(name: &str) -> bool {
    DAYS.iter().any(|day| day.eq_ignore_ascii_case(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        parse("2006-01-02T15:04:05.999999999Z07:00", text).unwrap()
    }

    /// The texts are those of Go's own tests of `Time.Format`, and of its documentation.
    #[test]
    fn texts_are_those_of_go() {
        let time = at("2009-02-04T21:00:57.012345600-08:00");
        for (layout, expected) in [
            ("Mon Jan _2 15:04:05 2006", "Wed Feb  4 21:00:57 2009"),
            ("Mon Jan 02 15:04:05 -0700 2006", "Wed Feb 04 21:00:57 -0800 2009"),
            ("02 Jan 06 15:04 -0700", "04 Feb 09 21:00 -0800"),
            ("Monday, 02-Jan-06 15:04:05 -0700", "Wednesday, 04-Feb-09 21:00:57 -0800"),
            ("2006-01-02T15:04:05Z07:00", "2009-02-04T21:00:57-08:00"),
            ("2006-01-02T15:04:05.999999999Z07:00", "2009-02-04T21:00:57.0123456-08:00"),
            ("3:04PM", "9:00PM"),
            ("3pm", "9pm"),
            ("03:04pm", "09:00pm"),
            ("Jan _2 15:04:05.000", "Feb  4 21:00:57.012"),
            ("Jan _2 15:04:05.000000", "Feb  4 21:00:57.012345"),
            ("Jan _2 15:04:05,000000000", "Feb  4 21:00:57,012345600"),
            ("06/1/2", "09/2/4"),
            ("January 2, 2006", "February 4, 2009"),
            ("_2 002 __2 _2006", " 4 035  35 _2009"),
            ("Janet 15h4m5s", "Janet 21h0m57s"),
            ("Z0700 Z07 -07:00:00 -07", "-0800 -08 -08:00:00 -08"),
            ("MST", "-0800"),
            ("Jan 2, 2006 at 3:04pm (MST)", "Feb 4, 2009 at 9:00pm (-0800)"),
        ] {
            assert_eq!(format(layout, &time), expected, "{layout}");
        }
        let utc = at("2009-02-04T00:05:07Z");
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2009-02-04T00:05:07Z"),
            ("MST Z0700 -0700", "UTC Z +0000"),
            ("15:04:05.999", "00:05:07"),
            ("3:4:5 PM", "12:5:7 AM"),
        ] {
            assert_eq!(format(layout, &utc), expected, "{layout}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (layout, text, expected) in [
            ("2006-01-02", "2013-02-03", "2013-02-03T00:00:00Z"),
            ("Jan 2, 2006 at 3:04pm (MST)", "Feb 3, 2013 at 7:54pm (UTC)", "2013-02-03T19:54:00Z"),
            ("2006-Jan-02", "2013-feb-03", "2013-02-03T00:00:00Z"),
            ("Mon Jan _2 15:04:05 2006", "Thu Feb  4 21:00:57 2010", "2010-02-04T21:00:57Z"),
            ("Mon Jan _2 15:04:05 2006", "Thu Feb 14 21:00:57 2010", "2010-02-14T21:00:57Z"),
            ("2006-01-02T15:04:05Z07:00", "2010-02-04T21:00:57-08:00", "2010-02-04T21:00:57-08:00"),
            ("2006-01-02T15:04:05Z07:00", "2010-02-04T21:00:57.0123456-08:00", "2010-02-04T21:00:57.0123456-08:00"),
            ("15:04:05.000", "21:00:57.012", "0000-01-01T21:00:57.012Z"),
            ("02 Jan 06 15:04 -0700", "04 Feb 10 21:00 -0800", "2010-02-04T21:00:00-08:00"),
            ("06", "69", "1969-01-01T00:00:00Z"),
            ("06", "68", "2068-01-01T00:00:00Z"),
            ("2006-002", "2010-035", "2010-02-04T00:00:00Z"),
            ("2006  __2", "2010  35", "2010-02-04T00:00:00Z"),
            ("3PM", "12AM", "0000-01-01T00:00:00Z"),
            ("3PM", "12PM", "0000-01-01T12:00:00Z"),
        ] {
            let full = "2006-01-02T15:04:05.999999999Z07:00";
            assert_eq!(format(full, &parse(layout, text).unwrap()), expected, "{layout} {text}");
        }
        for (layout, text) in [
            ("2006-01-02", "22-10-25"),
            ("2006-01-02", "2010-13-01"),
            ("2006-01-02", "2010-02-30"),
            ("2006-01-02", "2010-02-03x"),
            ("15:04:05", "1:2"),
            ("15:04:05", "25:00:00"),
            ("15:04:05.000", "21:00:57.1"),
            ("3:04PM", "7:04XM"),
            ("MST", "CEST"),
            ("Z07:00", "08:00"),
            ("Jan", "Foo"),
            ("2006-01-02 002", "2010-02-04 034"),
        ] {
            assert!(parse(layout, text).is_err(), "{layout} {text}");
        }
    }

    #[test]
    fn layouts_are_told_from_words() {
        for layout in ["2006-01-02", "Jan 2", "3:04PM", "15h04", "06", "PM", "Monday", "T15:04", "(002)"] {
            assert!(is_layout(layout), "{layout}");
        }
        for word in ["", "iso8601", "rfc850", "unknown", "Janet", "YYYY-MM-DD", "yyyy"] {
            assert!(!is_layout(word), "{word}");
        }
    }
}
