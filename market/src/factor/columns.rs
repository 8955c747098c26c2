//! One table for struct, column names, kinds and nulls: what a row is called in code, in files and in
//! docs cannot differ, because all come from one `columns!` list.

use crate::book::validity::{BookState, InvalidReason};
use crate::calendar::Day;

/// The content of one cell of a row, independent of where the row is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Missing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// Any integer of a row fits.
    Int(i64),
    /// Finite.
    Float(f64),
    /// A date of the exchange's calendar.
    Date(Day),
    /// UTF-8.
    Text(String),
}

/// What kind of cell a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// [`Cell::Bool`].
    Bool,
    /// [`Cell::Int`].
    Int,
    /// [`Cell::Float`].
    Float,
    /// [`Cell::Date`].
    Date,
    /// [`Cell::Text`].
    Text,
}

impl ColumnKind {
    /// Can its cells be compared with a threshold?
    pub fn is_number(self) -> bool {
        match self {
            ColumnKind::Int | ColumnKind::Float => true,
            ColumnKind::Bool | ColumnKind::Date | ColumnKind::Text => false,
        }
    }
}

/// One column of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in every store and file.
    pub name: &'static str,
    /// Its kind.
    pub kind: ColumnKind,
    /// May it be missing?
    pub nullable: bool,
    /// What it says, with its unit.
    pub doc: &'static str,
}

/// A field that can be a cell.
pub trait Field: Sized {
    /// Its kind.
    const KIND: ColumnKind;
    /// May it be missing?
    const NULLABLE: bool = false;
    /// The field as a cell.
    fn to_cell(&self) -> Cell;
    /// The field from a cell; `None` if the cell does not fit.
    fn from_cell(cell: Cell) -> Option<Self>;
    /// The field as a number; `None` if it is missing or is none.
    fn to_number(&self) -> Option<f64> {
        match self.to_cell() {
            Cell::Float(x) => Some(x),
            Cell::Int(i) => Some(i as f64),
            Cell::Null | Cell::Bool(_) | Cell::Date(_) | Cell::Text(_) => None,
        }
    }
}

macro_rules! int_field {
    ($($t:ty),*) => {$(
        impl Field for $t {
            const KIND: ColumnKind = ColumnKind::Int;
            fn to_cell(&self) -> Cell {
                Cell::Int(i64::try_from(*self).unwrap_or(i64::MAX))
            }
            fn from_cell(cell: Cell) -> Option<Self> {
                match cell {
                    Cell::Int(i) => Self::try_from(i).ok(),
                    Cell::Null | Cell::Bool(_) | Cell::Float(_) | Cell::Date(_) | Cell::Text(_) => None,
                }
            }
        }
    )*};
}
int_field!(i8, u8, u16, u32, u64, i64);

impl Field for bool {
    const KIND: ColumnKind = ColumnKind::Bool;
    fn to_cell(&self) -> Cell {
        Cell::Bool(*self)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Bool(b) = cell { Some(b) } else { None }
    }
}

impl Field for f64 {
    const KIND: ColumnKind = ColumnKind::Float;
    fn to_cell(&self) -> Cell {
        Cell::Float(*self)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Float(x) = cell { Some(x) } else { None }
    }
}

impl Field for Day {
    const KIND: ColumnKind = ColumnKind::Date;
    fn to_cell(&self) -> Cell {
        Cell::Date(*self)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Date(day) = cell { Some(day) } else { None }
    }
}

impl Field for String {
    const KIND: ColumnKind = ColumnKind::Text;
    fn to_cell(&self) -> Cell {
        Cell::Text(self.clone())
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        if let Cell::Text(t) = cell { Some(t) } else { None }
    }
}

/// Enums whose text is fixed.
macro_rules! text_field {
    ($($t:ty),*) => {$(
        impl $crate::factor::columns::Field for $t {
            const KIND: $crate::factor::columns::ColumnKind = $crate::factor::columns::ColumnKind::Text;
            fn to_cell(&self) -> $crate::factor::columns::Cell {
                $crate::factor::columns::Cell::Text(self.as_str().to_owned())
            }
            fn from_cell(cell: $crate::factor::columns::Cell) -> Option<Self> {
                use $crate::factor::columns::Cell;
                match cell {
                    Cell::Text(t) => <$t>::ALL.into_iter().find(|v| v.as_str() == t),
                    Cell::Null | Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Date(_) => None,
                }
            }
        }
    )*};
}
pub(crate) use text_field;
text_field!(BookState, InvalidReason);

impl<T: Field> Field for Option<T> {
    const KIND: ColumnKind = T::KIND;
    const NULLABLE: bool = true;
    fn to_cell(&self) -> Cell {
        self.as_ref().map_or(Cell::Null, Field::to_cell)
    }
    fn from_cell(cell: Cell) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::from_cell(cell).map(Some) }
    }
}

/// Declares a row: the struct, its column table, and both directions between fields and cells.
macro_rules! columns {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[doc = $doc:literal])+ pub $field:ident: $t:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[doc = $doc])+ pub $field: $t,)* }

        impl $name {
            /// All columns, in stored order.
            pub const COLUMNS: &'static [$crate::factor::columns::Column] = &[$(
                $crate::factor::columns::Column {
                    name: stringify!($field),
                    kind: <$t as $crate::factor::columns::Field>::KIND,
                    nullable: <$t as $crate::factor::columns::Field>::NULLABLE,
                    doc: concat!($($doc),+),
                },
            )*];

            /// All cells, in the order of [`Self::COLUMNS`].
            pub fn cells(&self) -> Vec<$crate::factor::columns::Cell> {
                vec![$($crate::factor::columns::Field::to_cell(&self.$field)),*]
            }

            /// The number in a column, by its place in [`Self::COLUMNS`]; `None` if it is missing or is none.
            pub fn number(&self, column: usize) -> Option<f64> {
                const NUMBERS: &[fn(&$name) -> Option<f64>] =
                    &[$(|row| $crate::factor::columns::Field::to_number(&row.$field)),*];
                NUMBERS.get(column)?(self)
            }

            /// A row from its cells, asked for one by one in the order of [`Self::COLUMNS`].
            ///
            /// # Errors
            /// The name of the first column whose cell does not fit.
            pub fn from_cells(
                mut cell: impl FnMut(&'static str) -> $crate::factor::columns::Cell,
            ) -> Result<Self, &'static str> {
                Ok($name { $(
                    $field: <$t as $crate::factor::columns::Field>::from_cell(cell(stringify!($field)))
                        .ok_or(stringify!($field))?,
                )* })
            }
        }
    };
}
pub(crate) use columns;
