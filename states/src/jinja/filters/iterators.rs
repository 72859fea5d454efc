//! Filters that are Python's `itertools`: each gives a generator of tuples.

use super::super::args::{CallArgs, Res, int_arg, iterate, required, runtime};
use super::super::ops::check_length;
use super::super::value::Py;

/// More values than this are not made at once.
const MAX: usize = 200_000;
/// More values inside of these are not made either.
const MAX_INSIDE: usize = 2_000_000;
/// More are not taken together.
const MAX_TAKEN: usize = 10_000;

fn check_inside(rows: usize, columns: usize) -> Res<()> {
    check_length(rows.checked_mul(columns).filter(|n| *n <= MAX_INSIDE))
}

pub(super) fn apply(name: &str, items: &[Py], args: CallArgs) -> Res<Py> {
    let size = |value: Option<Py>, default: usize| -> Res<usize> {
        match int_arg(name, "r", value)? {
            None => Ok(default),
            Some(r) => usize::try_from(r).or_else(|_| runtime("r must be non-negative")),
        }
    };
    let (kind, rows) = match name {
        "zip" => ("zip", zip(items, &args, false)?),
        "zip_longest" => ("itertools.zip_longest", zip(items, &args, true)?),
        "product" => ("itertools.product", product(items, &args)?),
        "compress" => {
            let [selectors] = args.bind(name, ["selectors"])?;
            let selectors = iterate(&required(name, "selectors", selectors)?)?;
            let kept = items.iter().zip(selectors).filter(|(_, s)| s.truth()).map(|(i, _)| i.clone());
            return Ok(Py::once("itertools.compress", kept.collect()));
        }
        "permutations" => {
            let [r] = args.bind(name, ["r"])?;
            let r = size(r, items.len())?;
            ("itertools.permutations", chosen(items, r, |taken, i| !taken.contains(&i))?)
        }
        _ => {
            let [r] = args.bind(name, ["r"])?;
            let r = size(Some(required(name, "r", r)?), 0)?;
            let again = name == "combinations_with_replacement";
            let later = |taken: &[usize], i: usize| {
                taken.last().is_none_or(|last| i > *last || (again && i == *last))
            };
            ("itertools.combinations", chosen(items, r, later)?)
        }
    };
    Ok(Py::once(kind, rows.into_iter().map(Py::tuple).collect()))
}

fn zip(items: &[Py], args: &CallArgs, longest: bool) -> Res<Vec<Vec<Py>>> {
    let mut columns = vec![items.to_vec()];
    for more in &args.positional {
        columns.push(iterate(more)?);
    }
    let fill = args.named.iter().find(|(n, _)| &**n == "fillvalue").map(|(_, v)| v.clone());
    let lengths = columns.iter().map(Vec::len);
    let rows = if longest { lengths.max() } else { lengths.min() }.unwrap_or(0);
    let fill = fill.unwrap_or(Py::None);
    check_inside(rows, columns.len())?;
    let row = |i: usize| columns.iter().map(|c| c.get(i).cloned().unwrap_or_else(|| fill.clone())).collect();
    Ok((0..rows).map(row).collect())
}

fn product(items: &[Py], args: &CallArgs) -> Res<Vec<Vec<Py>>> {
    let repeat = args.named.iter().find(|(n, _)| &**n == "repeat").and_then(|(_, v)| v.as_int()).unwrap_or(1);
    let mut columns = vec![items.to_vec()];
    for more in &args.positional {
        columns.push(iterate(more)?);
    }
    let repeat = usize::try_from(repeat).unwrap_or(0);
    let columns = || columns.iter().cycle().take(columns.len().saturating_mul(repeat).min(64));
    let size = columns().try_fold(1usize, |all, c| all.checked_mul(c.len()));
    check_length(size.filter(|s| *s <= MAX))?;
    check_inside(size.unwrap_or(0), columns().count())?;
    Ok(columns().fold(vec![Vec::new()], |rows: Vec<Vec<Py>>, column| {
        let longer = |row: &Vec<Py>, value: &Py| [row.as_slice(), std::slice::from_ref(value)].concat();
        rows.iter().flat_map(|row| column.iter().map(move |v| longer(row, v))).collect()
    }))
}

/// Every way to take `r` items one after the other, where `may` allows an index behind those taken.
fn chosen(items: &[Py], r: usize, may: impl Fn(&[usize], usize) -> bool) -> Res<Vec<Vec<Py>>> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    check_length(Some(r).filter(|r| *r <= MAX_TAKEN))?;
    for taken in 1..=r {
        let mut longer = Vec::new();
        for row in &rows {
            for next in (0..items.len()).filter(|i| may(row, *i)) {
                let mut row = row.clone();
                row.push(next);
                longer.push(row);
            }
            check_length(Some(longer.len()).filter(|n| *n <= MAX))?;
            check_inside(longer.len(), taken)?;
        }
        rows = longer;
        if rows.is_empty() {
            break;
        }
    }
    Ok(rows.into_iter().map(|row| row.into_iter().map(|i| items[i].clone()).collect()).collect())
}
