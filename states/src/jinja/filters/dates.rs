//! Salt's `strftime`: a time stamp or a date in one of the common notations, formatted.
// Effects: reads the clock where a template asks for now.
#![allow(clippy::disallowed_methods)]

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime};

use super::super::args::{Res, runtime};
use super::super::repr::text;
use super::super::value::Py;
use super::Call;

pub(super) const NAMES: &[&str] = &["date_format", "strftime"];

pub(super) fn apply(call: Call<'_, '_>) -> Res<Py> {
    // The clock, and the time zone of the machine.
    crate::kept::volatile();
    let [format] = call.args.bind(call.name, ["format"])?;
    let format = format.map_or_else(|| "%Y-%m-%d".to_owned(), |f| text(&f));
    let Some(date) = date(&call.subject) else {
        return runtime(format!("Unable to parse {}", text(&call.subject)));
    };
    Ok(Py::str(formatted(date, &format)))
}

fn date(value: &Py) -> Option<NaiveDateTime> {
    match value {
        Py::None => Some(Local::now().naive_local()),
        Py::Str(s) => written(s.trim()).or_else(|| stamp(s.trim().parse().ok()?)),
        other => stamp(other.as_float()?),
    }
}

#[allow(clippy::cast_possible_truncation)] // Microseconds of a time that chrono has.
fn stamp(seconds: f64) -> Option<NaiveDateTime> {
    if !(0.0..2.5e11).contains(&seconds.abs()) {
        return None;
    }
    Some(DateTime::from_timestamp_micros((seconds * 1e6).round() as i64)?.with_timezone(&Local).naive_local())
}

/// A date as people and programs write it, with or without a time.
fn written(text: &str) -> Option<NaiveDateTime> {
    const DAYS: &[&str] = &[
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%m/%d/%Y",
        "%d %b %Y",
        "%d %B %Y",
        "%B %d, %Y",
        "%B %d %Y",
        "%d-%b-%Y",
        "%d.%m.%Y",
    ];
    const TIMES: &[&str] = &["%H:%M:%S%.f", "%H:%M"];
    let text = text.strip_suffix('Z').unwrap_or(text);
    let midnight = |day: NaiveDate| day.and_hms_opt(0, 0, 0);
    let by_day = DAYS.iter().find_map(|f| NaiveDate::parse_from_str(text, f).ok().and_then(midnight));
    let with_time = |day: &&str| {
        let both = TIMES.iter().flat_map(|time| [format!("{day} {time}"), format!("{day}T{time}")]);
        both.into_iter().find_map(|f| NaiveDateTime::parse_from_str(text, &f).ok())
    };
    by_day.or_else(|| DAYS.iter().find_map(with_time))
}

/// `strftime` of C: what chrono does not know the same way is done here.
fn formatted(date: NaiveDateTime, format: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('s') => out.push_str(
                &date.and_local_timezone(Local).earliest().map_or(0, |d| d.timestamp()).to_string(),
            ),
            Some('f') => _ = write!(out, "{:06}", date.and_utc().timestamp_subsec_micros()),
            // A time without a zone prints none.
            Some('z' | 'Z') => {}
            Some(code) if "aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyY%".contains(code) => {
                _ = write!(out, "{}", date.format(&format!("%{code}")));
            }
            Some(code) => {
                out.push('%');
                out.push(code);
            }
            None => out.push('%'),
        }
    }
    out
}
